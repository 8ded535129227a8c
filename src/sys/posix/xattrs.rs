//! Extended attributes of files. macOS has the calls of Linux, with further arguments.

use std::ffi::CStr;

use super::check;
use super::mem::Memory;
use crate::error::Result;

#[cfg(target_os = "linux")]
use libc::{fgetxattr as get, flistxattr as list, fremovexattr as remove, fsetxattr as set};

#[cfg(target_vendor = "apple")]
use apple::{get, list, remove, set};

/// The calls without a position in the value and without options.
#[cfg(target_vendor = "apple")]
mod apple {
    use std::ffi::{c_char, c_void};

    /// # Safety
    /// As fgetxattr(2).
    pub unsafe fn get(fd: i32, name: *const c_char, room: *mut c_void, len: usize) -> isize {
        // SAFETY: as promised.
        unsafe { libc::fgetxattr(fd, name, room, len, 0, 0) }
    }

    /// # Safety
    /// As fsetxattr(2).
    pub unsafe fn set(fd: i32, name: *const c_char, value: *const c_void, len: usize, options: i32) -> i32 {
        // SAFETY: as promised.
        unsafe { libc::fsetxattr(fd, name, value, len, 0, options) }
    }

    /// # Safety
    /// As flistxattr(2).
    pub unsafe fn list(fd: i32, room: *mut c_char, len: usize) -> isize {
        // SAFETY: as promised.
        unsafe { libc::flistxattr(fd, room, len, 0) }
    }

    /// # Safety
    /// As fremovexattr(2).
    pub unsafe fn remove(fd: i32, name: *const c_char) -> i32 {
        // SAFETY: as promised.
        unsafe { libc::fremovexattr(fd, name, 0) }
    }
}

/// `room` is the caller's, of `len` bytes. The result is the length of the value.
pub fn fgetxattr(fd: i32, name: &CStr, room: Memory, len: u64) -> Result<u64> {
    // SAFETY: the name is NUL-terminated; the kernel checks `room`, which is lent to this operation (Memory).
    check(unsafe { get(fd, name.as_ptr(), room.address(), size(len)) } as i64)
}

/// `value` is the caller's, of `len` bytes.
pub fn fsetxattr(fd: i32, name: &CStr, value: Memory, len: u64, flags: u32) -> Result<u64> {
    // SAFETY: as above; the kernel reads `value`.
    check(unsafe { set(fd, name.as_ptr(), value.address(), size(len), flags as i32) }.into())
}

/// `room` is the caller's, of `len` bytes.
pub fn flistxattr(fd: i32, room: Memory, len: u64) -> Result<u64> {
    // SAFETY: the kernel checks `room`, which is lent to this operation (Memory).
    check(unsafe { list(fd, room.address().cast(), size(len)) } as i64)
}

pub fn fremovexattr(fd: i32, name: &CStr) -> Result<u64> {
    // SAFETY: the name is NUL-terminated and outlives the call.
    check(unsafe { remove(fd, name.as_ptr()) }.into())
}

fn size(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
