//! System calls on whole files and on paths. Each returns what the plain call does.

use std::ffi::CStr;

pub use libc::AT_FDCWD;

use super::fd::OwnedFd;
use super::filter::or_else;
use super::mem::Memory;
use super::{check, copy, in_place, input, own};
use crate::error::{Errno, Result};

/// No descriptor.
pub(super) const BAD: i32 = -1;

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

/// The flags of openat(2) and openat2(2).
const OPEN_PATH: i32 = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
const OPEN_CREATES: i32 = libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY);
const OPEN_ALL: i32 = OPEN_PATH & !libc::O_PATH
    | OPEN_CREATES
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

/// openat2(2) with the meaning of openat(2), which ignores unknown flags and an unused mode.
fn openat2(dir: i32, path: &CStr, flags: u32, mode: u32) -> Result<u64> {
    let flags = flags as i32 & if flags as i32 & libc::O_PATH != 0 { OPEN_PATH } else { OPEN_ALL };
    let large = if flags & libc::O_PATH != 0 { 0 } else { libc::O_LARGEFILE };
    let mode = if flags & OPEN_CREATES != 0 { mode & 0o7777 } else { 0 };
    let how = [(flags | large) as u64, u64::from(mode), 0];
    call_openat2(dir, path, how.as_ptr().cast(), size_of_val(&how))
}

fn call_openat2(dir: i32, path: &CStr, how: *const u8, size: usize) -> Result<u64> {
    // SAFETY: the path is NUL-terminated; `how` has `size` bytes, or the kernel refuses the size. Both outlive the call.
    check(unsafe { libc::syscall(libc::SYS_openat2, dir, path.as_ptr(), how, size) } as i64)
}

/// openat2(2) with a copy of the caller's struct open_how, which is empty if the kernel refuses its size `len`. Where
/// openat2(2) is missing or forbidden, calls openat(2) if that has the same meaning.
pub fn open_how(dir: i32, path: &CStr, how: &[u8], len: u64) -> Result<u64> {
    let pointer = if how.is_empty() { std::ptr::null() } else { how.as_ptr() };
    let size = usize::try_from(len).unwrap_or(usize::MAX);
    let without = || as_openat(how).and_then(|(flags, mode)| openat(dir, path, flags, mode));
    or_else(|| call_openat2(dir, path, pointer, size), || call_openat2(BAD, c"x", pointer, size), without)
}

/// The flags of a struct open_how, as openat(2) takes them; 0 if it has none.
pub fn open_flags(how: &[u8]) -> u32 {
    word(how, 0) as u32
}

/// Whether statx(2) with these flags and an empty path asks for the descriptor itself.
pub fn may_mean_descriptor(flags: u32) -> bool {
    flags & libc::AT_EMPTY_PATH as u32 != 0
}

/// The flags and the restrictions of the path in a struct open_how that has no mode.
pub fn flags_and_resolve(how: &[u8]) -> Option<(u64, u64)> {
    (how.len() == input::HOW_SIZE && word(how, 1) == 0).then(|| (word(how, 0), word(how, 2)))
}

fn word(how: &[u8], at: usize) -> u64 {
    how.get(8 * at..8 * at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_ne_bytes)
}

/// The flags and mode for openat(2), with the checks of openat2(2).
fn as_openat(how: &[u8]) -> Result<(u32, u32)> {
    const EINVAL: Errno = Errno(libc::EINVAL);
    let Some((known, tail)) = how.split_at_checked(input::HOW_SIZE) else { return Err(EINVAL) };
    let (flags, mode, resolve) = (word(known, 0), word(known, 1), word(known, 2));
    if tail.iter().any(|byte| *byte != 0) {
        return Err(Errno(libc::E2BIG));
    }
    let allowed = if flags & libc::O_PATH as u64 != 0 { OPEN_PATH } else { OPEN_ALL | libc::O_LARGEFILE };
    let creates = flags & OPEN_CREATES as u64 != 0;
    let mode_suits = mode == 0 || creates && mode & !0o7777 == 0;
    match flags & !(allowed as u64) == 0 && mode_suits {
        true if resolve == 0 => Ok((flags as u32, mode as u32)),
        // The paths that these flags restrict cannot be told by openat(2).
        true => Err(Errno(libc::EOPNOTSUPP)),
        false => Err(EINVAL),
    }
}

/// Whether a path needs no directory, so that calls without that argument mean the same file.
pub(super) fn needs_no_directory(dir: i32, path: &CStr) -> bool {
    dir == libc::AT_FDCWD || path.to_bytes().first() == Some(&b'/')
}

/// Where a filter forbids close(2), calls close_range(2), which reports no error of writing back.
pub fn close(fd: i32) -> Result<u64> {
    // SAFETY: takes no memory; the number is the operation's to close.
    let call = |fd: i32| unsafe { in_place!(libc::SYS_close, fd) };
    // SAFETY: takes no memory.
    let is_open = || check(unsafe { libc::fcntl(fd, libc::F_GETFD) }.into());
    // SAFETY: as for close(2).
    let range = || check(unsafe { libc::syscall(libc::SYS_close_range, fd, fd, 0) } as i64);
    or_else(|| call(fd), || call(BAD), || is_open().and_then(|_| range()))
}

/// `to` is the caller's struct statx. Where a filter forbids statx(2), or the kernel is older than 4.11, calls fstatat(2).
pub fn statx(dir: i32, path: &CStr, flags: u32, mask: u32, to: Memory) -> Result<u64> {
    let call = |dir: i32, path: &CStr| {
        // SAFETY: the path is NUL-terminated; the kernel checks `to`, which is lent to this operation (Memory).
        unsafe { in_place!(libc::SYS_statx, dir, path.as_ptr(), flags, mask, to.address()) }
    };
    or_else(|| call(dir, path), || call(BAD, c"x"), || old_statx(dir, path, flags, mask, to))
}

fn old_statx(dir: i32, path: &CStr, flags: u32, mask: u32, to: Memory) -> Result<u64> {
    const SYNC: i32 = libc::AT_STATX_FORCE_SYNC | libc::AT_STATX_DONT_SYNC;
    const KNOWN: i32 = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH | libc::AT_NO_AUTOMOUNT;
    const RESERVED: u32 = 1 << 31;
    let flags = flags as i32;
    if flags & !(KNOWN | SYNC) != 0 || flags & SYNC == SYNC || mask & RESERVED != 0 {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: stat is plain data, filled by the call.
    let mut stat: libc::stat64 = unsafe { std::mem::zeroed() };
    // SAFETY: the path is NUL-terminated; `stat` is live and large enough.
    check(unsafe { libc::fstatat64(dir, path.as_ptr(), &raw mut stat, flags & KNOWN) }.into())?;
    let new = as_statx(&stat);
    // SAFETY: plain data, initialised in full by `zeroed`.
    let bytes = unsafe { std::slice::from_raw_parts((&raw const new).cast::<u8>(), size_of_val(&new)) };
    copy::to_caller(bytes, to).map(|()| 0)
}

#[allow(clippy::unnecessary_cast)] // the types of the fields differ between C libraries
fn as_statx(stat: &libc::stat64) -> libc::statx {
    // SAFETY: statx is plain data.
    let mut to: libc::statx = unsafe { std::mem::zeroed() };
    let time = |to: &mut libc::statx_timestamp, seconds, nanoseconds| {
        (to.tv_sec, to.tv_nsec) = (seconds, nanoseconds);
    };
    to.stx_mask = libc::STATX_BASIC_STATS;
    (to.stx_blksize, to.stx_nlink) = (stat.st_blksize as u32, stat.st_nlink as u32);
    (to.stx_uid, to.stx_gid, to.stx_mode) = (stat.st_uid, stat.st_gid, stat.st_mode as u16);
    (to.stx_ino, to.stx_size, to.stx_blocks) = (stat.st_ino as u64, stat.st_size as u64, stat.st_blocks as u64);
    time(&mut to.stx_atime, stat.st_atime as i64, stat.st_atime_nsec as u32);
    time(&mut to.stx_mtime, stat.st_mtime as i64, stat.st_mtime_nsec as u32);
    time(&mut to.stx_ctime, stat.st_ctime as i64, stat.st_ctime_nsec as u32);
    (to.stx_rdev_major, to.stx_rdev_minor) = (libc::major(stat.st_rdev), libc::minor(stat.st_rdev));
    (to.stx_dev_major, to.stx_dev_minor) = (libc::major(stat.st_dev), libc::minor(stat.st_dev));
    to
}

/// Where a filter forbids renameat2(2), calls renameat(2) if there are no flags.
pub fn renameat2(dir: i32, from: &CStr, to_dir: i32, to: &CStr, flags: u32) -> Result<u64> {
    let call = |dir: i32, from: &CStr, to_dir: i32, to: &CStr| {
        // SAFETY: both paths are NUL-terminated and outlive the call.
        check(unsafe { libc::syscall(libc::SYS_renameat2, dir, from.as_ptr(), to_dir, to.as_ptr(), flags) } as i64)
    };
    let without = || match flags {
        // SAFETY: as above.
        0 => check(unsafe { libc::renameat(dir, from.as_ptr(), to_dir, to.as_ptr()) }.into()),
        _ => call(dir, from, to_dir, to),
    };
    or_else(|| call(dir, from, to_dir, to), || call(BAD, c"x", BAD, c"x"), without)
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
    const CREATES: i32 = libc::O_CREAT | libc::O_EXCL;
    let flags = flags as i32;
    // What it creates is a regular file. O_DIRECTORY, a part of O_TMPFILE, opens nothing else: ENOTDIR.
    if flags & (libc::O_NONBLOCK | libc::O_PATH | libc::O_DIRECTORY) != 0 || flags & CREATES == CREATES {
        return false;
    }
    let follow = if flags & libc::O_NOFOLLOW != 0 { libc::AT_SYMLINK_NOFOLLOW } else { 0 };
    let mode = mode_of(dir, path, follow);
    matches!(mode & libc::S_IFMT, libc::S_IFIFO | libc::S_IFCHR)
}

/// A file's type and mode; 0 if there is no such file.
pub(super) fn mode_of(dir: i32, path: &CStr, follow: i32) -> libc::mode_t {
    // SAFETY: stat is plain data, filled by the call.
    let mut stat: libc::stat64 = unsafe { std::mem::zeroed() };
    // SAFETY: the path is NUL-terminated; `stat` is live and large enough.
    let answer = unsafe { libc::fstatat64(dir, path.as_ptr(), &raw mut stat, follow) };
    if answer == 0 { stat.st_mode } else { mode_by_statx(dir, path, follow) }
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
