//! Links and special files.

use std::ffi::CStr;

pub use super::entries::getdents;

use super::fs::at;
use super::mem::Memory;
use super::{check, os};
use crate::error::{Errno, Result};

/// `room` is the caller's, of `len` bytes. The result is the length of the link's text.
pub fn readlinkat(dir: i32, path: &CStr, room: Memory, len: u64) -> Result<u64> {
    // The C library of Linux takes a length of 0 for an error of its own.
    let len = len.min(i32::MAX as u64) as usize;
    // SAFETY: the path is NUL-terminated; the kernel checks `room`, which is lent to this operation (Memory).
    check(unsafe { libc::readlinkat(at(dir), path.as_ptr(), room.address().cast(), len) } as i64)
}

/// Creates a symbolic link that says `text`.
pub fn symlinkat(text: &CStr, dir: i32, path: &CStr) -> Result<u64> {
    // SAFETY: both strings are NUL-terminated and outlive the call.
    check(unsafe { libc::symlinkat(text.as_ptr(), at(dir), path.as_ptr()) }.into())
}

pub fn linkat(dir: i32, path: &CStr, to_dir: i32, to: &CStr, flags: u32) -> Result<u64> {
    // SAFETY: both paths are NUL-terminated and outlive the call.
    check(unsafe { libc::linkat(at(dir), path.as_ptr(), at(to_dir), to.as_ptr(), flags as i32) }.into())
}

pub fn mknodat(dir: i32, path: &CStr, mode: u32, device: u64) -> Result<u64> {
    let device = libc::dev_t::try_from(device).map_err(|_| Errno(libc::EINVAL))?;
    os::mknodat(dir, path, mode as libc::mode_t, device)
}
