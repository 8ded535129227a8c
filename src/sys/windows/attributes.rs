//! The read-only attribute as a mode, times, and whether a file may be accessed.

use std::ffi::CStr;

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ACCESS_RIGHTS, FILE_ATTRIBUTE_READONLY, FILE_EXECUTE, FILE_READ_ATTRIBUTES, FILE_READ_DATA,
    FILE_WRITE_ATTRIBUTES, FILE_WRITE_DATA,
};
use windows_sys::Win32::System::SystemInformation::GetSystemTimePreciseAsFileTime;

pub use super::super::absent::attributes::{
    TIMES_SIZE, fchownat, fgetxattr, flistxattr, fremovexattr, fsetxattr, syncfs,
};
pub use super::statfs::fstatfs;

use super::fd::RawFd;
use super::stat::{self, SECOND, YEARS_1601_TO_1970};
use super::target::Target;
use crate::error::{Errno, Result};

const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
const AT_EACCESS: u32 = 0x200;
const AT_EMPTY_PATH: u32 = 0x1000;
const EINVAL: Errno = Errno(libc::EINVAL);

fn find(dir: RawFd, path: &CStr, flags: u32, access: FILE_ACCESS_RIGHTS) -> Result<Target> {
    Target::find(dir, path, flags & AT_EMPTY_PATH != 0, flags & AT_SYMLINK_NOFOLLOW == 0, access)
}

/// Sets or clears the read-only attribute, as the owner may write or not. A directory has no such meaning of it.
pub fn fchmodat(dir: RawFd, path: &CStr, mode: u32, flags: u32) -> Result<u64> {
    const OWNER_WRITES: u32 = 0o200;
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(EINVAL);
    }
    let file = find(dir, path, flags, FILE_WRITE_ATTRIBUTES)?;
    if !stat::is_directory(file.handle())? {
        let attributes = stat::attributes(file.handle())? & !FILE_ATTRIBUTE_READONLY;
        let read_only = if mode & OWNER_WRITES == 0 { FILE_ATTRIBUTE_READONLY } else { 0 };
        file.change(|handle| stat::set_attributes(handle, attributes | read_only))?;
    }
    Ok(0)
}

/// `times` is a copy of two struct timespec, or empty for the present time.
pub fn utimensat(dir: RawFd, path: &CStr, times: &[u8], flags: u32) -> Result<u64> {
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(EINVAL);
    }
    let [access, write] = match times.len() {
        TIMES_SIZE => [time(&times[..TIMES_SIZE / 2])?, time(&times[TIMES_SIZE / 2..])?],
        _ => [now(); 2],
    };
    let file = find(dir, path, flags, FILE_WRITE_ATTRIBUTES)?;
    file.change(|handle| stat::set_times(handle, access, write)).map(|()| 0)
}

/// The system's form of a struct timespec. 0, as UTIME_OMIT, leaves a time as it is.
fn time(spec: &[u8]) -> Result<i64> {
    const NOW: i32 = (1 << 30) - 1;
    const OMIT: i32 = (1 << 30) - 2;
    let mut seconds = [0; 8];
    seconds.copy_from_slice(&spec[..8]);
    let seconds = i64::from_ne_bytes(seconds);
    // A long has 4 bytes here. What follows is padding.
    match i32::from_ne_bytes([spec[8], spec[9], spec[10], spec[11]]) {
        NOW => Ok(now()),
        OMIT => Ok(0),
        nanoseconds @ 0..1_000_000_000 => {
            let whole = seconds.checked_add(YEARS_1601_TO_1970).and_then(|seconds| seconds.checked_mul(SECOND));
            // The system takes smaller numbers for orders.
            whole
                .and_then(|whole| whole.checked_add(i64::from(nanoseconds) / 100))
                .filter(|time| *time > 0)
                .ok_or(EINVAL)
        }
        _ => Err(EINVAL),
    }
}

fn now() -> i64 {
    let mut now = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };
    // SAFETY: a live structure.
    unsafe { GetSystemTimePreciseAsFileTime(&raw mut now) };
    i64::from(now.dwHighDateTime) << 32 | i64::from(now.dwLowDateTime)
}

/// The system tells when the file is opened for it. The rights are those of the process in any case.
pub fn faccessat(dir: RawFd, path: &CStr, mode: u32, flags: u32) -> Result<u64> {
    const EXECUTE: u32 = 1;
    const WRITE: u32 = 2;
    const READ: u32 = 4;
    if mode & !(EXECUTE | WRITE | READ) != 0 || flags & !(AT_SYMLINK_NOFOLLOW | AT_EACCESS | AT_EMPTY_PATH) != 0 {
        return Err(EINVAL);
    }
    let right = |bit, right| if mode & bit != 0 { right } else { 0 };
    let access = right(READ, FILE_READ_DATA) | right(WRITE, FILE_WRITE_DATA) | right(EXECUTE, FILE_EXECUTE);
    let denied = |answer: Result<()>| match answer {
        Err(Errno(libc::EPERM)) => Err(Errno(libc::EACCES)),
        // Another program does not share it now.
        Err(Errno(libc::EBUSY)) => Ok(0),
        answer => answer.map(|()| 0),
    };
    // As root on Unix, Wine opens read-only files for writing.
    let read_only = |file: &Target| mode & WRITE != 0 && stat::is_read_only(file.handle());
    match find(dir, path, flags, access | FILE_READ_ATTRIBUTES) {
        Ok(file) if read_only(&file) => Err(Errno(libc::EACCES)),
        Ok(file) => denied(file.may(access)),
        Err(errno) => denied(Err(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(seconds: i64, nanoseconds: i32) -> Result<i64> {
        let mut bytes = [0xff; 16];
        bytes[..8].copy_from_slice(&seconds.to_ne_bytes());
        bytes[8..12].copy_from_slice(&nanoseconds.to_ne_bytes());
        time(&bytes)
    }

    #[test]
    fn times_are_counted_from_1601() {
        assert_eq!(spec(0, 0), Ok(116_444_736_000_000_000));
        assert_eq!(spec(-1, 999_999_999), Ok(116_444_735_999_999_999));
        assert_eq!(spec(1, 1_073_741_822), Ok(0));
        for (seconds, nanoseconds) in [(0, -1), (0, 1_000_000_000), (i64::MAX, 0), (-20_000_000_000, 0)] {
            assert_eq!(spec(seconds, nanoseconds), Err(EINVAL));
        }
    }
}
