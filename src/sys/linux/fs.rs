//! System calls on whole files and on paths. Each returns what the plain call does.

use std::ffi::CStr;

pub use libc::AT_FDCWD;

use super::fd::OwnedFd;
use super::filter::or_else;
use super::mem::Memory;
use super::{check, own};
use crate::error::{Errno, Result};

/// No descriptor.
const BAD: i32 = -1;

pub fn fsync(fd: i32) -> Result<u64> {
    // SAFETY: takes no memory.
    check(unsafe { libc::fsync(fd) }.into())
}

/// Where a filter forbids fdatasync(2), calls fsync(2), which does at least as much.
pub fn fdatasync(fd: i32) -> Result<u64> {
    // SAFETY: takes no memory.
    let call = |fd| check(unsafe { libc::fdatasync(fd) }.into());
    or_else(|| call(fd), || call(BAD), || fsync(fd))
}

/// Where a filter forbids sync_file_range(2), calls fdatasync(2), which does at least as much.
pub fn sync_file_range(fd: i32, offset: u64, len: u64, flags: u32) -> Result<u64> {
    const ALL: u32 = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    // SAFETY: takes no memory.
    let call = |fd| check(unsafe { libc::sync_file_range(fd, offset as i64, len as i64, flags) }.into());
    let end = offset.checked_add(len).and_then(|end| i64::try_from(end).ok());
    let is_valid = flags & !ALL == 0 && end.is_some();
    or_else(|| call(fd), || call(BAD), || if is_valid { fdatasync(fd) } else { Err(Errno(libc::EINVAL)) })
}

pub fn fallocate(fd: i32, mode: u32, offset: u64, len: u64) -> Result<u64> {
    // SAFETY: takes no memory.
    check(unsafe { libc::fallocate64(fd, mode as i32, offset as i64, len as i64) }.into())
}

pub fn ftruncate(fd: i32, size: u64) -> Result<u64> {
    // SAFETY: takes no memory.
    check(unsafe { libc::ftruncate64(fd, size as i64) }.into())
}

/// The result is the new descriptor, which the caller owns. The file may be larger than 2 GiB, also on a 32-bit system.
/// Where a filter forbids openat(2), calls openat2(2) or open(2).
pub fn openat(dir: i32, path: &CStr, flags: u32, mode: u32) -> Result<u64> {
    // SAFETY: the path is NUL-terminated and outlives the call.
    let call = |dir, path: &CStr| check(unsafe { libc::openat64(dir, path.as_ptr(), flags as i32, mode) }.into());
    // SAFETY: as above.
    let open = || check(unsafe { libc::open64(path.as_ptr(), flags as i32, mode) }.into());
    let without = || match openat2(dir, path, flags, mode) {
        Err(errno) if errno.is_forbidden() && needs_no_directory(dir, path) => open(),
        answer => answer,
    };
    or_else(|| call(dir, path), || call(BAD, c"x"), without)
}

/// openat2(2) with the meaning of openat(2), which ignores unknown flags and an unused mode.
fn openat2(dir: i32, path: &CStr, flags: u32, mode: u32) -> Result<u64> {
    const PATH: i32 = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    const CREATES: i32 = libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY);
    const ALL: i32 = PATH
        | CREATES
        | libc::O_ACCMODE
        | libc::O_EXCL
        | libc::O_NOCTTY
        | libc::O_TRUNC
        | libc::O_APPEND
        | libc::O_NONBLOCK
        | libc::O_SYNC
        | libc::O_ASYNC
        | libc::O_DIRECT
        | libc::O_NOATIME;
    let flags = flags as i32 & if flags as i32 & libc::O_PATH != 0 { PATH } else { ALL };
    let large = if flags & libc::O_PATH != 0 { 0 } else { libc::O_LARGEFILE };
    let mode = if flags & CREATES != 0 { mode & 0o7777 } else { 0 };
    // struct open_how: flags, mode, resolve.
    let how = [(flags | large) as u64, u64::from(mode), 0];
    // SAFETY: the path is NUL-terminated; both outlive the call.
    check(unsafe { libc::syscall(libc::SYS_openat2, dir, path.as_ptr(), how.as_ptr(), size_of_val(&how)) } as i64)
}

/// Whether a path needs no directory, so that calls without that argument mean the same file.
fn needs_no_directory(dir: i32, path: &CStr) -> bool {
    dir == libc::AT_FDCWD || path.to_bytes().first() == Some(&b'/')
}

/// Where a filter forbids close(2), calls close_range(2), which reports no error of writing back.
pub fn close(fd: i32) -> Result<u64> {
    // SAFETY: takes no memory; the number is the operation's to close.
    let call = |fd| check(unsafe { libc::close(fd) }.into());
    // SAFETY: takes no memory.
    let is_open = || check(unsafe { libc::fcntl(fd, libc::F_GETFD) }.into());
    // SAFETY: as for close(2).
    let range = || check(unsafe { libc::syscall(libc::SYS_close_range, fd, fd, 0) } as i64);
    or_else(|| call(fd), || call(BAD), || is_open().and_then(|_| range()))
}

/// `to` is the caller's struct statx.
pub fn statx(dir: i32, path: &CStr, flags: u32, mask: u32, to: Memory) -> Result<u64> {
    // SAFETY: the path is NUL-terminated; the kernel checks `to`, which is lent to this operation (Memory).
    check(unsafe { libc::syscall(libc::SYS_statx, dir, path.as_ptr(), flags, mask, to.address()) } as i64)
}

/// Where a filter forbids renameat2(2), calls renameat(2) if there are no flags.
pub fn renameat2(dir: i32, from: &CStr, to: &CStr, flags: u32) -> Result<u64> {
    let call = |dir: i32, from: &CStr, to: &CStr| {
        // SAFETY: both paths are NUL-terminated and outlive the call.
        check(unsafe { libc::syscall(libc::SYS_renameat2, dir, from.as_ptr(), dir, to.as_ptr(), flags) } as i64)
    };
    let without = || match flags {
        // SAFETY: as above.
        0 => check(unsafe { libc::renameat(dir, from.as_ptr(), dir, to.as_ptr()) }.into()),
        _ => call(dir, from, to),
    };
    or_else(|| call(dir, from, to), || call(BAD, c"x", c"x"), without)
}

/// Where a filter forbids unlinkat(2), calls unlink(2) or rmdir(2) for a path that needs no directory.
pub fn unlinkat(dir: i32, path: &CStr, flags: u32) -> Result<u64> {
    // SAFETY: the path is NUL-terminated and outlives the call.
    let call = |dir, path: &CStr| check(unsafe { libc::unlinkat(dir, path.as_ptr(), flags as i32) }.into());
    let without = || match flags as i32 {
        // SAFETY: as above.
        0 if needs_no_directory(dir, path) => check(unsafe { libc::unlink(path.as_ptr()) }.into()),
        // SAFETY: as above.
        libc::AT_REMOVEDIR if needs_no_directory(dir, path) => check(unsafe { libc::rmdir(path.as_ptr()) }.into()),
        _ => call(dir, path),
    };
    or_else(|| call(dir, path), || call(BAD, c"x"), without)
}

/// Where a filter forbids mkdirat(2), calls mkdir(2) for a path that needs no directory.
pub fn mkdirat(dir: i32, path: &CStr, mode: u32) -> Result<u64> {
    // SAFETY: the path is NUL-terminated and outlives the call.
    let call = |dir, path: &CStr| check(unsafe { libc::mkdirat(dir, path.as_ptr(), mode) }.into());
    let without = || match needs_no_directory(dir, path) {
        // SAFETY: as above.
        true => check(unsafe { libc::mkdir(path.as_ptr(), mode) }.into()),
        false => call(dir, path),
    };
    or_else(|| call(dir, path), || call(BAD, c"x"), without)
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
    let mode = if answer == 0 { stat.st_mode } else { mode_by_statx(dir, path, follow) };
    matches!(mode & libc::S_IFMT, libc::S_IFIFO | libc::S_IFCHR)
}

/// A file's type and mode, for where fstatat(2) is forbidden; 0 if there is no such file.
fn mode_by_statx(dir: i32, path: &CStr, follow: i32) -> libc::mode_t {
    // SAFETY: statx is plain data, filled by the call.
    let mut stat: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the path is NUL-terminated; `stat` is live and large enough.
    unsafe { libc::syscall(libc::SYS_statx, dir, path.as_ptr(), follow, libc::STATX_TYPE, &raw mut stat) };
    libc::mode_t::from(stat.stx_mode)
}

/// Another descriptor of a directory, with O_PATH (open(2)): closing such a one releases no POSIX lock of the process.
pub fn open_for_paths(dir: i32) -> Result<OwnedFd> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    openat(dir, c".", flags as u32, 0).map(own)
}
