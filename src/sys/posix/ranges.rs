//! Ranges of files: advice and seeking. The library reads and writes for copies.

pub use super::super::absent::ranges::{HAS_SENDFILE, NONBLOCK, splice};
pub use super::span::Copy;

use super::file_kind::{self, FileKind};
use super::{check, os, rw};
use crate::error::{Errno, Result};
use crate::sys::CURRENT;

/// No kernel makes the copy. Fails as copy_file_range(2) for descriptors that cannot be read or written to.
pub fn copy_file_range(copy: &Copy) -> Result<u64> {
    let is_file = |fd| match rw::stat(fd)?.st_mode & libc::S_IFMT {
        libc::S_IFREG => Ok(()),
        libc::S_IFDIR => Err(Errno(libc::EISDIR)),
        _ => Err(Errno(libc::EINVAL)),
    };
    rw::current_check(copy.from, true)?;
    rw::current_check(copy.to, false)?;
    is_file(copy.from)?;
    is_file(copy.to)?;
    let wraps = |offset: u64| offset.checked_add(copy.len).is_none();
    if copy.offset != CURRENT && wraps(copy.offset) || copy.to_offset.is_some_and(wraps) {
        return Err(Errno(libc::EOVERFLOW));
    }
    Err(Errno(if overlaps(copy) { libc::EINVAL } else { libc::EOPNOTSUPP }))
}

/// There is no call that sends to any descriptor. Fails as sendfile(2) of Linux before it moves anything.
pub fn sendfile(copy: &Copy) -> Result<u64> {
    match position(copy.from) {
        Err(Errno(libc::ESPIPE)) if copy.offset == CURRENT => return Err(Errno(libc::EINVAL)),
        answer => answer?,
    };
    match rw::positional_check(copy.from, true) {
        Err(Errno(libc::EISDIR)) if copy.len == 0 => return Ok(0),
        Err(Errno(libc::EISDIR)) => return Err(Errno(libc::EINVAL)),
        answer => answer?,
    }
    if file_kind::of(copy.to) != FileKind::Socket {
        rw::current_check(copy.to, false)?;
    }
    Err(Errno(if i64::try_from(copy.len).is_err() { libc::EINVAL } else { libc::EOPNOTSUPP }))
}

/// Whether two descriptors are of the same file, and the ranges of the copy overlap.
pub fn overlaps(copy: &Copy) -> bool {
    let (Ok(from), Ok(to)) = (rw::stat(copy.from), rw::stat(copy.to)) else { return true };
    (from.st_dev, from.st_ino) == (to.st_dev, to.st_ino) && copy.ranges_overlap(position)
}

/// The current position of a file.
pub fn position(fd: i32) -> Result<u64> {
    seek(fd, 0, libc::SEEK_CUR as u32)
}

pub fn set_position(fd: i32, position: u64) -> Result<u64> {
    seek(fd, position, libc::SEEK_SET as u32)
}

/// lseek(2). The result is the new position.
pub fn seek(fd: i32, offset: u64, whence: u32) -> Result<u64> {
    // SAFETY: takes no memory.
    check(unsafe { libc::lseek(fd, offset as libc::off_t, whence as i32) })
}

/// posix_fadvise(2), which macOS does not have.
pub fn advise(fd: i32, offset: u64, len: u64, advice: u32) -> Result<u64> {
    os::advise(fd, offset as libc::off_t, len as libc::off_t, advice as i32)
}
