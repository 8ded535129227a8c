//! Modes, owners, times, extended attributes, and the status of file systems.

use std::ffi::{CStr, c_long};

use super::filter::or_else;
use super::fs::{BAD, mode_of, needs_no_directory};
use super::mem::Memory;
use super::{check, itself};
use crate::error::{Errno, Result};

const EINVAL: Errno = Errno(libc::EINVAL);
/// The numbers of new system calls are the same on every processor.
const FCHMODAT2: c_long = 452;
const FACCESSAT2: c_long = 439;
const NOFOLLOW: u32 = libc::AT_SYMLINK_NOFOLLOW as u32;
const EMPTY_PATH: u32 = libc::AT_EMPTY_PATH as u32;

/// Flags need fchmodat2(2), of Linux 6.6. Where it is missing, older calls do the same.
pub fn fchmodat(dir: i32, path: &CStr, mode: u32, flags: u32) -> Result<u64> {
    if flags == 0 {
        let without = || match needs_no_directory(dir, path) {
            // SAFETY: the path is NUL-terminated and outlives the call.
            true => check(unsafe { libc::chmod(path.as_ptr(), mode) }.into()),
            false => fchmodat2(dir, path, mode, 0),
        };
        return or_else(|| plain_fchmodat(dir, path, mode), || plain_fchmodat(BAD, c"x", mode), without);
    }
    let without = || old_fchmodat(dir, path, mode, flags);
    or_else(|| fchmodat2(dir, path, mode, flags), || fchmodat2(BAD, c"x", mode, flags), without)
}

fn plain_fchmodat(dir: i32, path: &CStr, mode: u32) -> Result<u64> {
    // SAFETY: the path is NUL-terminated and outlives the call.
    check(unsafe { libc::syscall(libc::SYS_fchmodat, dir, path.as_ptr(), mode) } as i64)
}

fn fchmodat2(dir: i32, path: &CStr, mode: u32, flags: u32) -> Result<u64> {
    // SAFETY: as above.
    check(unsafe { libc::syscall(FCHMODAT2, dir, path.as_ptr(), mode, flags) } as i64)
}

fn old_fchmodat(dir: i32, path: &CStr, mode: u32, flags: u32) -> Result<u64> {
    if flags & !(NOFOLLOW | EMPTY_PATH) != 0 {
        return Err(EINVAL);
    }
    if itself::is_meant(path, flags) {
        // SAFETY: takes no memory.
        return match check(unsafe { libc::fchmod(dir, mode) }.into()) {
            // It has O_PATH, or is AT_FDCWD.
            Err(Errno(libc::EBADF)) => itself::by_path(dir, |path| found(plain_fchmodat(libc::AT_FDCWD, path, mode))),
            answer => answer,
        };
    }
    if flags & NOFOLLOW == 0 {
        return plain_fchmodat(dir, path, mode);
    }
    // The C library opens the file with O_PATH, and refuses a symbolic link with EOPNOTSUPP.
    // SAFETY: the path is NUL-terminated and outlives the call.
    check(unsafe { libc::fchmodat(dir, path.as_ptr(), mode, libc::AT_SYMLINK_NOFOLLOW) }.into())
}

/// The answer for a path in /proc: there is none for a bad descriptor.
fn found(answer: Result<u64>) -> Result<u64> {
    if answer == Err(Errno(libc::ENOENT)) { Err(Errno(libc::EBADF)) } else { answer }
}

/// `owner` and `group` are left as they are if they are 2^32 - 1.
pub fn fchownat(dir: i32, path: &CStr, owner: u32, group: u64, flags: u32) -> Result<u64> {
    // The whole field as -1 means no change, too.
    let group = if group == u64::MAX { u32::MAX } else { u32::try_from(group).map_err(|_| EINVAL)? };
    let call = |dir, path: &CStr| {
        // SAFETY: the path is NUL-terminated and outlives the call.
        check(unsafe { libc::fchownat(dir, path.as_ptr(), owner, group, flags as i32) }.into())
    };
    let without = || match flags & !EMPTY_PATH {
        _ if itself::is_meant(path, flags) => chown_itself(dir, owner, group),
        // SAFETY: as above.
        0 if needs_no_directory(dir, path) => check(unsafe { libc::chown(path.as_ptr(), owner, group) }.into()),
        // SAFETY: as above.
        NOFOLLOW if needs_no_directory(dir, path) => check(unsafe { libc::lchown(path.as_ptr(), owner, group) }.into()),
        _ => call(dir, path),
    };
    or_else(|| call(dir, path), || call(BAD, c"x"), without)
}

fn chown_itself(fd: i32, owner: u32, group: u32) -> Result<u64> {
    // SAFETY: takes no memory.
    match check(unsafe { libc::fchown(fd, owner, group) }.into()) {
        // It has O_PATH, or is AT_FDCWD.
        Err(Errno(libc::EBADF)) => itself::by_path(fd, |path| {
            // SAFETY: the path is NUL-terminated and outlives the call.
            found(check(unsafe { libc::chown(path.as_ptr(), owner, group) }.into()))
        }),
        answer => answer,
    }
}

/// The size of the two struct timespec of utimensat(2).
pub const TIMES_SIZE: usize = 2 * size_of::<libc::timespec>();

/// The two times of utimensat(2); None for the present time.
fn read_times(bytes: &[u8]) -> Option<[libc::timespec; 2]> {
    // SAFETY: as many bytes as two timespec have, which are plain data.
    (bytes.len() == TIMES_SIZE).then(|| unsafe { bytes.as_ptr().cast::<[libc::timespec; 2]>().read_unaligned() })
}

/// `times` is a copy of two struct timespec, or empty for the present time.
pub fn utimensat(dir: i32, path: &CStr, times: &[u8], flags: u32) -> Result<u64> {
    let times = read_times(times);
    let times = times.as_ref().map_or(std::ptr::null(), |times| times.as_ptr());
    let call = |dir, path: &CStr, flags: u32| {
        // SAFETY: the path is NUL-terminated; the times are NULL or a live array of two. Both outlive the call.
        check(unsafe { libc::utimensat(dir, path.as_ptr(), times, flags as i32) }.into())
    };
    match call(dir, path, flags) {
        // Before Linux 5.8, the call does not know AT_EMPTY_PATH.
        Err(EINVAL) if flags & EMPTY_PATH != 0 && flags & !(EMPTY_PATH | NOFOLLOW) == 0 => {}
        answer => return answer,
    }
    if !itself::is_meant(path, flags) {
        return call(dir, path, flags & !EMPTY_PATH);
    }
    // SAFETY: as above.
    match check(unsafe { libc::futimens(dir, times) }.into()) {
        Err(Errno(libc::EBADF)) => itself::by_path(dir, |path| found(call(libc::AT_FDCWD, path, 0))),
        answer => answer,
    }
}

/// Flags need faccessat2(2), of Linux 5.8. Where it is missing, older calls do the same.
pub fn faccessat(dir: i32, path: &CStr, mode: u32, flags: u32) -> Result<u64> {
    if flags == 0 {
        let without = || match needs_no_directory(dir, path) {
            // SAFETY: the path is NUL-terminated and outlives the call.
            true => check(unsafe { libc::access(path.as_ptr(), mode as i32) }.into()),
            false => faccessat2(dir, path, mode, 0),
        };
        return or_else(|| plain_faccessat(dir, path, mode), || plain_faccessat(BAD, c"x", mode), without);
    }
    let without = || old_faccessat(dir, path, mode, flags);
    or_else(|| faccessat2(dir, path, mode, flags), || faccessat2(BAD, c"x", mode, flags), without)
}

fn plain_faccessat(dir: i32, path: &CStr, mode: u32) -> Result<u64> {
    // SAFETY: the path is NUL-terminated and outlives the call.
    check(unsafe { libc::syscall(libc::SYS_faccessat, dir, path.as_ptr(), mode) } as i64)
}

fn faccessat2(dir: i32, path: &CStr, mode: u32, flags: u32) -> Result<u64> {
    // SAFETY: as above.
    check(unsafe { libc::syscall(FACCESSAT2, dir, path.as_ptr(), mode, flags) } as i64)
}

fn old_faccessat(dir: i32, path: &CStr, mode: u32, flags: u32) -> Result<u64> {
    const EFFECTIVE: u32 = libc::AT_EACCESS as u32;
    const ALL_MODES: u32 = (libc::R_OK | libc::W_OK | libc::X_OK) as u32;
    if flags & !(NOFOLLOW | EMPTY_PATH | EFFECTIVE) != 0 || mode & !ALL_MODES != 0 {
        return Err(EINVAL);
    }
    if itself::is_meant(path, flags) {
        return itself::by_path(dir, |path| found(old_access(libc::AT_FDCWD, path, mode, flags & EFFECTIVE)));
    }
    old_access(dir, path, mode, flags & !EMPTY_PATH)
}

fn old_access(dir: i32, path: &CStr, mode: u32, flags: u32) -> Result<u64> {
    // SAFETY: take no memory.
    let same_ids = unsafe { libc::getuid() == libc::geteuid() && libc::getgid() == libc::getegid() };
    if same_ids {
        let is_link =
            flags & NOFOLLOW != 0 && mode_of(dir, path, libc::AT_SYMLINK_NOFOLLOW) & libc::S_IFMT == libc::S_IFLNK;
        // A symbolic link has all permissions.
        return if is_link { Ok(0) } else { plain_faccessat(dir, path, mode) };
    }
    // The C library checks the permission bits.
    // SAFETY: the path is NUL-terminated and outlives the call.
    check(unsafe { libc::faccessat(dir, path.as_ptr(), mode as i32, flags as i32) }.into())
}

/// `room` is the caller's, of `len` bytes. The result is the length of the value.
pub fn fgetxattr(fd: i32, name: &CStr, room: Memory, len: u64) -> Result<u64> {
    // SAFETY: the name is NUL-terminated; the kernel checks `room`, which is lent to this operation (Memory).
    check(unsafe { libc::fgetxattr(fd, name.as_ptr(), room.address(), size(len)) } as i64)
}

/// `value` is the caller's, of `len` bytes.
pub fn fsetxattr(fd: i32, name: &CStr, value: Memory, len: u64, flags: u32) -> Result<u64> {
    // SAFETY: as above; the kernel reads `value`.
    check(unsafe { libc::fsetxattr(fd, name.as_ptr(), value.address(), size(len), flags as i32) }.into())
}

/// `room` is the caller's, of `len` bytes.
pub fn flistxattr(fd: i32, room: Memory, len: u64) -> Result<u64> {
    // SAFETY: the kernel checks `room`, which is lent to this operation (Memory).
    check(unsafe { libc::flistxattr(fd, room.address().cast(), size(len)) } as i64)
}

pub fn fremovexattr(fd: i32, name: &CStr) -> Result<u64> {
    // SAFETY: the name is NUL-terminated and outlives the call.
    check(unsafe { libc::fremovexattr(fd, name.as_ptr()) }.into())
}

fn size(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// Where a filter forbids syncfs(2), calls sync(2), which does at least as much.
pub fn syncfs(fd: i32) -> Result<u64> {
    // SAFETY: takes no memory.
    let call = |fd| check(unsafe { libc::syncfs(fd) }.into());
    // SAFETY: takes no memory.
    let without = || check(unsafe { libc::fcntl(fd, libc::F_GETFD) }.into()).map(|_| sync());
    or_else(|| call(fd), || call(BAD), without)
}

fn sync() -> u64 {
    // SAFETY: takes no memory.
    unsafe { libc::sync() };
    0
}

/// `to` is the caller's struct statfs.
#[cfg(target_pointer_width = "64")]
pub fn fstatfs(fd: i32, to: Memory) -> Result<u64> {
    // SAFETY: the kernel checks `to`, which is lent to this operation (Memory), and is laid out as the C library's.
    check(unsafe { libc::syscall(libc::SYS_fstatfs, fd, to.address()) } as i64)
}

/// On 32-bit systems, the kernel's structure differs from some C library's.
#[cfg(not(target_pointer_width = "64"))]
pub fn fstatfs(fd: i32, to: Memory) -> Result<u64> {
    // SAFETY: statfs is plain data, filled by the call.
    let mut status: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `status` is live.
    check(unsafe { libc::fstatfs(fd, &raw mut status) }.into())?;
    // SAFETY: plain data without padding.
    let bytes = unsafe { std::slice::from_raw_parts((&raw const status).cast::<u8>(), size_of_val(&status)) };
    super::copy::to_caller(bytes, to).map(|()| 0)
}
