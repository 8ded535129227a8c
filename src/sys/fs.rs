//! System calls on whole files and on paths. Each returns what the plain call does.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use super::mem::Memory;
use super::{check, own};
use crate::error::Result;

pub fn fsync(fd: i32) -> Result<u64> {
    // SAFETY: takes no memory.
    check(unsafe { libc::fsync(fd) }.into())
}

pub fn fdatasync(fd: i32) -> Result<u64> {
    // SAFETY: takes no memory.
    check(unsafe { libc::fdatasync(fd) }.into())
}

pub fn sync_file_range(fd: i32, offset: u64, len: u64, flags: u32) -> Result<u64> {
    // SAFETY: takes no memory.
    check(unsafe { libc::sync_file_range(fd, offset as i64, len as i64, flags) }.into())
}

pub fn fallocate(fd: i32, mode: u32, offset: u64, len: u64) -> Result<u64> {
    // SAFETY: takes no memory.
    check(unsafe { libc::fallocate64(fd, mode as i32, offset as i64, len as i64) }.into())
}

pub fn ftruncate(fd: i32, size: u64) -> Result<u64> {
    // SAFETY: takes no memory.
    check(unsafe { libc::ftruncate64(fd, size as i64) }.into())
}

/// The result is the new descriptor, which the caller owns.
pub fn openat(dir: i32, path: &CStr, flags: u32, mode: u32) -> Result<u64> {
    // SAFETY: the path is NUL-terminated and outlives the call.
    check(unsafe { libc::openat(dir, path.as_ptr(), flags as i32, mode) }.into())
}

pub fn close(fd: i32) -> Result<u64> {
    // SAFETY: takes no memory; the number is the operation's to close.
    check(unsafe { libc::close(fd) }.into())
}

/// `to` is the caller's struct statx.
pub fn statx(dir: i32, path: &CStr, flags: u32, mask: u32, to: Memory) -> Result<u64> {
    // SAFETY: the path is NUL-terminated; the kernel checks `to`, which is lent to this operation (Memory).
    check(unsafe { libc::syscall(libc::SYS_statx, dir, path.as_ptr(), flags, mask, to.address()) } as i64)
}

pub fn renameat2(dir: i32, from: &CStr, to: &CStr, flags: u32) -> Result<u64> {
    // SAFETY: both paths are NUL-terminated and outlive the call.
    check(unsafe { libc::syscall(libc::SYS_renameat2, dir, from.as_ptr(), dir, to.as_ptr(), flags) } as i64)
}

pub fn unlinkat(dir: i32, path: &CStr, flags: u32) -> Result<u64> {
    // SAFETY: the path is NUL-terminated and outlives the call.
    check(unsafe { libc::unlinkat(dir, path.as_ptr(), flags as i32) }.into())
}

pub fn mkdirat(dir: i32, path: &CStr, mode: u32) -> Result<u64> {
    // SAFETY: the path is NUL-terminated and outlives the call.
    check(unsafe { libc::mkdirat(dir, path.as_ptr(), mode) }.into())
}

/// Whether opening the path may wait for something other than a disk: a FIFO, or a terminal without carrier.
pub fn open_may_block(dir: i32, path: &CStr, flags: u32) -> bool {
    if flags as i32 & (libc::O_NONBLOCK | libc::O_PATH) != 0 {
        return false;
    }
    let follow = if flags as i32 & libc::O_NOFOLLOW != 0 { libc::AT_SYMLINK_NOFOLLOW } else { 0 };
    // SAFETY: stat is plain data, filled by the call.
    let mut stat: libc::stat64 = unsafe { std::mem::zeroed() };
    // SAFETY: the path is NUL-terminated; `stat` is live and large enough.
    let answer = unsafe { libc::fstatat64(dir, path.as_ptr(), &raw mut stat, follow) };
    answer == 0 && matches!(stat.st_mode & libc::S_IFMT, libc::S_IFIFO | libc::S_IFCHR)
}

/// Another descriptor of a directory, with O_PATH (open(2)): closing such a one releases no POSIX lock of the process.
pub fn open_for_paths(dir: i32) -> Result<OwnedFd> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    openat(dir, c".", flags as u32, 0).map(own)
}
