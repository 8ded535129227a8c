//! `struct statx` of Linux, filled from fstatat(2).

use std::ffi::CStr;

use super::fs::{AT_FDCWD, at};
use super::mem::Memory;
use super::status::{BASIC, Statx, Timestamp};
use super::{check, os, rw};
use crate::error::{Errno, Result};

/// AT_STATX_SYNC_TYPE of Linux, which allows one of two bits, and AT_NO_AUTOMOUNT. They are hints.
const SYNCS: u32 = 0x6000;
const HINTS: u32 = if cfg!(target_os = "linux") { 0x800 | SYNCS } else { 0 };

/// `to` is the caller's structure.
pub fn statx(dir: i32, path: &CStr, flags: u32, mask: u32, to: Memory) -> Result<u64> {
    const RESERVED: u32 = 1 << 31;
    let both_syncs = cfg!(target_os = "linux") && flags & SYNCS == SYNCS;
    let flags = (flags & !HINTS) as i32;
    if both_syncs || mask & RESERVED != 0 || flags & !(libc::AT_SYMLINK_NOFOLLOW | os::EMPTY_PATH) != 0 {
        return Err(Errno(libc::EINVAL));
    }
    let stat = if flags & os::EMPTY_PATH != 0 && path.is_empty() && dir != AT_FDCWD {
        rw::stat(dir)?
    } else {
        let path = if flags & os::EMPTY_PATH != 0 && path.is_empty() { c"." } else { path };
        stat_at(dir, path, flags & libc::AT_SYMLINK_NOFOLLOW)?
    };
    converted(&stat).put(to)
}

fn stat_at(dir: i32, path: &CStr, flags: i32) -> Result<libc::stat> {
    // SAFETY: stat is plain data, filled by the call.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the path is NUL-terminated; `stat` is live.
    check(unsafe { libc::fstatat(at(dir), path.as_ptr(), &raw mut stat, flags) }.into()).map(|_| stat)
}

// The fields have other types on each system.
#[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
fn converted(stat: &libc::stat) -> Statx {
    let time = |sec, nsec| Timestamp { sec, nsec: nsec as u32, reserved: 0 };
    let [(dev_major, dev_minor), (rdev_major, rdev_minor)] = [device(stat.st_dev), device(stat.st_rdev)];
    let mut filled = Statx {
        mask: BASIC,
        blksize: stat.st_blksize as u32,
        nlink: stat.st_nlink as u32,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mode: stat.st_mode as u16,
        ino: stat.st_ino.into(),
        size: stat.st_size as u64,
        blocks: stat.st_blocks as u64,
        atime: time(stat.st_atime, stat.st_atime_nsec),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        rdev_major,
        rdev_minor,
        dev_major,
        dev_minor,
        ..Statx::default()
    };
    #[cfg(not(target_os = "linux"))]
    {
        filled.btime = time(stat.st_birthtime, stat.st_birthtime_nsec);
        filled.mask |= super::status::BIRTH;
    }
    #[cfg(target_os = "linux")]
    let _ = &mut filled;
    filled
}

#[allow(clippy::unnecessary_cast)]
fn device(number: libc::dev_t) -> (u32, u32) {
    (libc::major(number) as u32, libc::minor(number) as u32)
}
