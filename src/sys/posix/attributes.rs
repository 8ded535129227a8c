//! Modes, owners and times of files, and the status of file systems.

use std::ffi::CStr;

pub use super::super::absent::attributes::syncfs;
#[cfg(target_os = "freebsd")]
pub use super::super::absent::attributes::{fgetxattr, flistxattr, fremovexattr, fsetxattr};
#[cfg(not(target_os = "freebsd"))]
pub use super::xattrs::{fgetxattr, flistxattr, fremovexattr, fsetxattr};

use super::fs::{AT_FDCWD, at};
use super::mem::Memory;
use super::{check, copy, os};
use crate::error::{Errno, Result};

const EINVAL: Errno = Errno(libc::EINVAL);
const NOFOLLOW: i32 = libc::AT_SYMLINK_NOFOLLOW;

/// The path and the flags for a system that may not know an empty path; None if the descriptor itself is meant.
fn path_for(dir: i32, path: &CStr, flags: u32) -> Option<(&CStr, i32)> {
    let rest = flags as i32 & !os::EMPTY_PATH;
    match flags as i32 & os::EMPTY_PATH != 0 && path.is_empty() {
        true if dir == AT_FDCWD => Some((c".", rest)),
        true => None,
        false => Some((path, rest)),
    }
}

pub fn fchmodat(dir: i32, path: &CStr, mode: u32, flags: u32) -> Result<u64> {
    let mode = mode as libc::mode_t;
    match path_for(dir, path, flags) {
        Some((_, flags)) if flags & !NOFOLLOW != 0 => Err(EINVAL),
        // SAFETY: the path is NUL-terminated and outlives the call.
        Some((path, flags)) => check(unsafe { libc::fchmodat(at(dir), path.as_ptr(), mode, flags) }.into()),
        // SAFETY: takes no memory.
        None => check(unsafe { libc::fchmod(dir, mode) }.into()),
    }
}

/// `owner` and `group` are left as they are if they are 2^32 - 1.
pub fn fchownat(dir: i32, path: &CStr, owner: u32, group: u64, flags: u32) -> Result<u64> {
    // The whole field as -1 means no change, too.
    let group = if group == u64::MAX { u32::MAX } else { u32::try_from(group).map_err(|_| EINVAL)? };
    match path_for(dir, path, flags) {
        // SAFETY: the path is NUL-terminated and outlives the call.
        Some((path, flags)) => check(unsafe { libc::fchownat(at(dir), path.as_ptr(), owner, group, flags) }.into()),
        // SAFETY: takes no memory.
        None => check(unsafe { libc::fchown(dir, owner, group) }.into()),
    }
}

/// The size of the two struct timespec of utimensat(2).
pub const TIMES_SIZE: usize = 2 * size_of::<libc::timespec>();

/// `times` is a copy of two struct timespec, or empty for the present time.
pub fn utimensat(dir: i32, path: &CStr, times: &[u8], flags: u32) -> Result<u64> {
    let times = (times.len() == TIMES_SIZE)
        // SAFETY: as many bytes as two timespec have, which are plain data.
        .then(|| unsafe { times.as_ptr().cast::<[libc::timespec; 2]>().read_unaligned() });
    let times = times.as_ref().map_or(std::ptr::null(), |times| times.as_ptr());
    match path_for(dir, path, flags) {
        // SAFETY: the path is NUL-terminated; the times are NULL or a live array of two.
        Some((path, flags)) => check(unsafe { libc::utimensat(at(dir), path.as_ptr(), times, flags) }.into()),
        // SAFETY: as above.
        None => check(unsafe { libc::futimens(dir, times) }.into()),
    }
}

/// There is no call for the descriptor itself.
pub fn faccessat(dir: i32, path: &CStr, mode: u32, flags: u32) -> Result<u64> {
    match path_for(dir, path, flags) {
        Some((path, flags)) => {
            // SAFETY: the path is NUL-terminated and outlives the call.
            check(unsafe { libc::faccessat(at(dir), path.as_ptr(), mode as i32, flags) }.into())
        }
        None => Err(Errno(libc::EOPNOTSUPP)),
    }
}

/// `to` is the caller's struct statfs.
pub fn fstatfs(fd: i32, to: Memory) -> Result<u64> {
    // SAFETY: statfs is plain data, filled by the call.
    let mut status: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `status` is live.
    check(unsafe { libc::fstatfs(fd, &raw mut status) }.into())?;
    // SAFETY: zeroed before it was filled, so that every byte is initialised.
    let bytes = unsafe { std::slice::from_raw_parts((&raw const status).cast::<u8>(), size_of_val(&status)) };
    copy::to_caller(bytes, to).map(|()| 0)
}
