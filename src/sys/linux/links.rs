//! Links, special files, and the entries of a directory.

use std::ffi::CStr;

use super::filter::or_else;
use super::fs::{BAD, needs_no_directory};
use super::mem::Memory;
use super::{check, itself};
use crate::error::{Errno, Result};

/// The room of a caller as an int: the kernel takes no more.
fn int(len: u64) -> i32 {
    len.min(i32::MAX as u64) as i32
}

/// `room` is the caller's, of `len` bytes. The result is the length of the link's text.
pub fn readlinkat(dir: i32, path: &CStr, room: Memory, len: u64) -> Result<u64> {
    let call = |dir: i32, path: &CStr| {
        // SAFETY: the path is NUL-terminated; the kernel checks `room`, which is lent to this operation (Memory).
        check(unsafe { libc::syscall(libc::SYS_readlinkat, dir, path.as_ptr(), room.address(), int(len)) } as i64)
    };
    #[cfg(target_arch = "x86_64")]
    let without = || match needs_no_directory(dir, path) {
        // SAFETY: as above.
        true => check(unsafe { libc::syscall(libc::SYS_readlink, path.as_ptr(), room.address(), int(len)) } as i64),
        false => call(dir, path),
    };
    #[cfg(not(target_arch = "x86_64"))]
    let without = || call(dir, path);
    or_else(|| call(dir, path), || call(BAD, c"x"), without)
}

/// Creates a symbolic link that says `text`. Where a filter forbids symlinkat(2), calls symlink(2) for a path that needs no
/// directory.
pub fn symlinkat(text: &CStr, dir: i32, path: &CStr) -> Result<u64> {
    // SAFETY: both strings are NUL-terminated and outlive the call.
    let call = |dir, path: &CStr| check(unsafe { libc::symlinkat(text.as_ptr(), dir, path.as_ptr()) }.into());
    let without = || match needs_no_directory(dir, path) {
        // SAFETY: as above.
        true => check(unsafe { libc::symlink(text.as_ptr(), path.as_ptr()) }.into()),
        false => call(dir, path),
    };
    or_else(|| call(dir, path), || call(BAD, c"x"), without)
}

/// With AT_EMPTY_PATH, the kernel demands a capability and fails with ENOENT. The path in /proc needs none (open(2), O_TMPFILE).
pub fn linkat(dir: i32, path: &CStr, to_dir: i32, to: &CStr, flags: u32) -> Result<u64> {
    let call = |dir, path: &CStr, to_dir, to: &CStr, flags: i32| {
        // SAFETY: both paths are NUL-terminated and outlive the call.
        check(unsafe { libc::linkat(dir, path.as_ptr(), to_dir, to.as_ptr(), flags) }.into())
    };
    let plain = || call(dir, path, to_dir, to, flags as i32);
    let without = || match flags {
        0 if needs_no_directory(dir, path) && needs_no_directory(to_dir, to) => {
            // SAFETY: as above.
            check(unsafe { libc::link(path.as_ptr(), to.as_ptr()) }.into())
        }
        _ => plain(),
    };
    match or_else(plain, || call(BAD, c"x", BAD, c"x", flags as i32), without) {
        Err(Errno(libc::ENOENT)) if itself::is_meant(path, flags) && dir != libc::AT_FDCWD => {
            itself::by_path(dir, |path| call(libc::AT_FDCWD, path, to_dir, to, libc::AT_SYMLINK_FOLLOW))
        }
        answer => answer,
    }
}

/// Where a filter forbids mknodat(2), calls mknod(2) for a path that needs no directory.
pub fn mknodat(dir: i32, path: &CStr, mode: u32, device: u64) -> Result<u64> {
    // SAFETY: the path is NUL-terminated and outlives the call.
    let call = |dir, path: &CStr| check(unsafe { libc::mknodat(dir, path.as_ptr(), mode, device as _) }.into());
    // mknod(3) of the C library is mknodat(2).
    #[cfg(target_arch = "x86_64")]
    let without = || match needs_no_directory(dir, path) {
        // SAFETY: as above.
        true => check(unsafe { libc::syscall(libc::SYS_mknod, path.as_ptr(), mode, device) } as i64),
        false => call(dir, path),
    };
    #[cfg(not(target_arch = "x86_64"))]
    let without = || call(dir, path);
    or_else(|| call(dir, path), || call(BAD, c"x"), without)
}

/// `room` is the caller's, of `len` bytes.
pub fn getdents(fd: i32, room: Memory, len: u64) -> Result<u64> {
    // SAFETY: the kernel checks `room`, which is lent to this operation (Memory).
    check(unsafe { libc::syscall(libc::SYS_getdents64, fd, room.address(), int(len)) } as i64)
}
