//! System calls on whole files and on paths, with the arguments of Linux's calls. What a system lacks fails with
//! EOPNOTSUPP.

use std::ffi::CStr;

/// The current directory, with Linux's number on each system: that of macOS, -2, means the descriptor that a chain opened.
pub const AT_FDCWD: i32 = -100;

/// A directory as the system's calls take it.
pub(super) fn at(dir: i32) -> i32 {
    if dir == AT_FDCWD { libc::AT_FDCWD } else { dir }
}

pub use super::super::absent::fs::{flags_and_resolve, may_mean_descriptor, open_flags, open_how};
pub use super::os::{fdatasync, fsync};
pub use super::statx::statx;

use super::fd::OwnedFd;
use super::{check, os, own, rw};
use crate::error::{Errno, Result};

/// Calls fdatasync(2), which does more than sync_file_range(2) of Linux.
pub fn sync_file_range(fd: i32, offset: u64, len: u64, flags: u32) -> Result<u64> {
    const ALL: u32 = 7;
    is_open_for_io(fd)?;
    let end = offset.checked_add(len).and_then(|end| i64::try_from(end).ok());
    if flags & !ALL != 0 || end.is_none() {
        return Err(Errno(libc::EINVAL));
    }
    match rw::stat(fd)?.st_mode & libc::S_IFMT {
        libc::S_IFREG | libc::S_IFDIR | libc::S_IFBLK | libc::S_IFLNK => match fdatasync(fd) {
            // A file that has nothing to write back.
            Err(Errno(libc::EINVAL)) => Ok(0),
            answer => answer,
        },
        _ => Err(Errno(libc::ESPIPE)),
    }
}

/// EBADF for a descriptor that is closed, or for paths only.
pub(super) fn is_open_for_io(fd: i32) -> Result<()> {
    if os::is_for_paths(rw::status_flags(fd)?) { Err(Errno(libc::EBADF)) } else { Ok(()) }
}

/// Of the modes of Linux's fallocate(2), 0 and FALLOC_FL_KEEP_SIZE have counterparts, the latter on macOS only.
pub fn fallocate(fd: i32, mode: u32, offset: u64, len: u64) -> Result<u64> {
    const KEEP_SIZE: u32 = 1;
    is_open_for_io(fd)?;
    let in_range = |value| i64::try_from(value).map_err(|_| Errno(libc::EINVAL));
    let (offset, len) = (in_range(offset)?, in_range(len)?);
    if len == 0 {
        return Err(Errno(libc::EINVAL));
    }
    match mode {
        0 | KEEP_SIZE => os::allocate(fd, offset, len, mode == 0),
        _ => Err(Errno(libc::EOPNOTSUPP)),
    }
}

pub fn ftruncate(fd: i32, size: u64) -> Result<u64> {
    // SAFETY: takes no memory.
    check(unsafe { libc::ftruncate(fd, size as libc::off_t) }.into())
}

/// The result is the new descriptor, which the caller owns.
pub fn openat(dir: i32, path: &CStr, flags: u32, mode: u32) -> Result<u64> {
    // SAFETY: the path is NUL-terminated and outlives the call.
    check(unsafe { libc::openat(at(dir), path.as_ptr(), flags as i32, mode) }.into())
}

pub fn close(fd: i32) -> Result<u64> {
    // SAFETY: takes no memory; the number is the operation's to close.
    check(unsafe { libc::close(fd) }.into())
}

/// Renames without flags.
pub fn renameat2(dir: i32, from: &CStr, to_dir: i32, to: &CStr, flags: u32) -> Result<u64> {
    if flags != 0 {
        return Err(Errno(libc::EOPNOTSUPP));
    }
    // SAFETY: both paths are NUL-terminated and outlive the call.
    check(unsafe { libc::renameat(at(dir), from.as_ptr(), at(to_dir), to.as_ptr()) }.into())
}

pub fn unlinkat(dir: i32, path: &CStr, flags: u32) -> Result<u64> {
    // SAFETY: the path is NUL-terminated and outlives the call.
    check(unsafe { libc::unlinkat(at(dir), path.as_ptr(), flags as i32) }.into())
}

pub fn mkdirat(dir: i32, path: &CStr, mode: u32) -> Result<u64> {
    // SAFETY: the path is NUL-terminated and outlives the call.
    check(unsafe { libc::mkdirat(at(dir), path.as_ptr(), mode as libc::mode_t) }.into())
}

/// Whether opening the path may wait for something other than a disk: a FIFO, or a terminal without carrier.
pub fn open_may_block(dir: i32, path: &CStr, flags: u32) -> bool {
    const CREATES: i32 = libc::O_CREAT | libc::O_EXCL;
    let flags = flags as i32;
    // What it creates is a regular file.
    if flags & libc::O_NONBLOCK != 0 || flags & CREATES == CREATES || os::is_for_paths(flags) {
        return false;
    }
    let follow = if flags & libc::O_NOFOLLOW != 0 { libc::AT_SYMLINK_NOFOLLOW } else { 0 };
    // SAFETY: stat is plain data, filled by the call.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the path is NUL-terminated; `stat` is live.
    let answer = unsafe { libc::fstatat(at(dir), path.as_ptr(), &raw mut stat, follow) };
    answer == 0 && matches!(stat.st_mode & libc::S_IFMT, libc::S_IFIFO | libc::S_IFCHR)
}

/// Another descriptor of a directory.
pub fn open_for_paths(dir: i32) -> Result<OwnedFd> {
    // SAFETY: takes no memory.
    check(unsafe { libc::fcntl(dir, libc::F_DUPFD_CLOEXEC, 0) }.into()).map(own)
}
