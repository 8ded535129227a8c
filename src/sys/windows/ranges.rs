//! Ranges of files: seeking, and copies, for which the library reads and writes.

use windows_sys::Win32::Foundation::STATUS_BUFFER_OVERFLOW;
use windows_sys::Win32::System::Ioctl::FSCTL_QUERY_ALLOCATED_RANGES;

pub use super::super::absent::ranges::{HAS_SENDFILE, NONBLOCK, advise, splice};
pub use super::span::Copy;

use super::fd::{RawFd, handle};
use super::file_kind::{self, FileKind};
use super::position::Position;
use super::{nt, rw, stat};
use crate::error::{Errno, Result};

const EINVAL: Errno = Errno(libc::EINVAL);

/// No call makes the copy. Fails as copy_file_range(2) for descriptors that cannot be read or written to.
pub fn copy_file_range(copy: &Copy) -> Result<u64> {
    sendfile(copy).map_err(|errno| if errno.0 == libc::EOPNOTSUPP && overlaps(copy) { EINVAL } else { errno })
}

/// Nor is there a call for SENDFILE.
pub fn sendfile(copy: &Copy) -> Result<u64> {
    check_source(copy.from)?;
    rw::current_check(copy.to, false)?;
    check_is_no_directory(copy.to)?;
    Err(Errno(libc::EOPNOTSUPP))
}

fn check_source(fd: RawFd) -> Result<()> {
    file_kind::check(fd)?;
    rw::current_check(fd, true)?;
    check_is_no_directory(fd)
}

fn check_is_no_directory(fd: RawFd) -> Result<()> {
    match file_kind::of(fd) {
        FileKind::Storage if stat::is_directory(handle(fd)) == Ok(true) => Err(Errno(libc::EISDIR)),
        FileKind::Storage => Ok(()),
        _ => Err(EINVAL),
    }
}

/// Whether two descriptors are of the same file, and the ranges of the copy overlap.
pub fn overlaps(copy: &Copy) -> bool {
    let (Ok(from), Ok(to)) = (stat::identity(handle(copy.from)), stat::identity(handle(copy.to))) else { return true };
    from == to && copy.ranges_overlap(position)
}

/// The current position of a file.
pub fn position(fd: RawFd) -> Result<u64> {
    check_seekable(fd).and_then(|()| Position::of(handle(fd))).map(|position| position.get())
}

pub fn set_position(fd: RawFd, position: u64) -> Result<u64> {
    let at = i64::try_from(position).map_err(|_| EINVAL)?;
    check_seekable(fd)?;
    Position::of(handle(fd))?.set(at as u64);
    Ok(position)
}

fn check_seekable(fd: RawFd) -> Result<()> {
    file_kind::check(fd)?;
    match file_kind::of(fd) {
        FileKind::Storage if stat::is_directory(handle(fd)) == Ok(true) => Err(EINVAL),
        FileKind::Storage => Ok(()),
        _ => Err(Errno(libc::ESPIPE)),
    }
}

/// lseek(2), with the numbers of Linux for `whence`. The result is the new position.
pub fn seek(fd: RawFd, offset: u64, whence: u32) -> Result<u64> {
    const SET: u32 = 0;
    const CUR: u32 = 1;
    const END: u32 = 2;
    const DATA: u32 = 3;
    const HOLE: u32 = 4;
    check_seekable(fd)?;
    let position = Position::of(handle(fd))?;
    let from = match whence {
        SET => 0,
        CUR => position.get(),
        END => stat::size(handle(fd)).unwrap_or(0),
        DATA | HOLE => {
            let found = data_or_hole(fd, offset, whence == DATA)?;
            position.set(found);
            return Ok(found);
        }
        _ => return Err(EINVAL),
    };
    let to = i64::try_from(from).ok().and_then(|from| from.checked_add(offset as i64)).filter(|to| *to >= 0);
    let to = to.ok_or(EINVAL)? as u64;
    position.set(to);
    Ok(to)
}

/// Where the next data or hole begins. The end of the file counts as a hole.
fn data_or_hole(fd: RawFd, offset: u64, data: bool) -> Result<u64> {
    const ENXIO: Errno = Errno(libc::ENXIO);
    let size = stat::size(handle(fd))?;
    let mut at = offset;
    if at >= size {
        return Err(ENXIO);
    }
    loop {
        match data_from(fd, at, size) {
            Some((start, _)) if data => return Ok(start.max(at)),
            None if data => return Err(ENXIO),
            Some((start, end)) if start <= at && at < size => at = end,
            _ => return Ok(at.min(size)),
        }
    }
}

/// The first range of data that ends behind an offset. A file system that does not tell counts as data from end to end.
fn data_from(fd: RawFd, at: u64, size: u64) -> Option<(u64, u64)> {
    let asked = [at.to_ne_bytes(), size.saturating_sub(at).to_ne_bytes()].concat();
    match nt::control(handle(fd), FSCTL_QUERY_ALLOCATED_RANGES, &asked, 16) {
        // After STATUS_BUFFER_OVERFLOW, more ranges follow the first.
        Ok((status, told)) if status >= 0 || status == STATUS_BUFFER_OVERFLOW => {
            let number = |at: usize| told.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes);
            number(0).zip(number(8)).map(|(start, length)| (start, start.saturating_add(length)))
        }
        _ => (at < size).then_some((at, size)),
    }
}
