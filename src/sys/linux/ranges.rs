//! Ranges of files: copies inside the kernel, advice, and seeking.

pub use super::span::Copy;

use super::check;
use super::rw::MAX_TRANSFER;
use crate::error::{Errno, Result};
use crate::sys::CURRENT;

/// The length for a system call. The kernel moves MAX_TRANSFER at most, and refuses a negative length.
fn size(copy: &Copy) -> usize {
    if cfg!(target_pointer_width = "64") { copy.len as usize } else { copy.len.min(MAX_TRANSFER) as usize }
}

/// A pointer to an offset, or NULL for the current position.
fn pointer(offset: &mut Option<i64>) -> *mut i64 {
    offset.as_mut().map_or(std::ptr::null_mut(), std::ptr::from_mut)
}

fn explicit(offset: u64) -> Option<i64> {
    (offset != CURRENT).then_some(offset as i64)
}

/// The flag of [`splice`] for EAGAIN instead of waiting for a pipe.
pub const NONBLOCK: u32 = libc::SPLICE_F_NONBLOCK;

/// copy_file_range(2).
pub fn copy_file_range(copy: &Copy) -> Result<u64> {
    let (mut from, mut to) = (explicit(copy.offset), copy.to_offset.map(|offset| offset as i64));
    let (from, to) = (pointer(&mut from), pointer(&mut to));
    // SAFETY: the offsets are live or NULL.
    check(unsafe { libc::syscall(libc::SYS_copy_file_range, copy.from, from, copy.to, to, size(copy), 0) } as i64)
}

/// Whether there is sendfile(2), which copies to any descriptor.
pub const HAS_SENDFILE: bool = true;

/// sendfile(2).
pub fn sendfile(copy: &Copy) -> Result<u64> {
    let mut from = explicit(copy.offset);
    // SAFETY: the offset is live or NULL.
    check(unsafe { libc::sendfile64(copy.to, copy.from, pointer(&mut from), size(copy)) } as i64)
}

/// splice(2).
pub fn splice(copy: &Copy, flags: u32) -> Result<u64> {
    let (mut from, mut to) = (explicit(copy.offset), copy.to_offset.map(|offset| offset as i64));
    let (from, to) = (pointer(&mut from), pointer(&mut to));
    // SAFETY: the offsets are live or NULL.
    check(unsafe { libc::splice(copy.from, from, copy.to, to, size(copy), flags) } as i64)
}

/// Whether two descriptors are of the same file, and the ranges of the copy overlap: copy_file_range(2) refuses that.
pub fn overlaps(copy: &Copy) -> bool {
    let (Ok(from), Ok(to)) = (super::rw::stat(copy.from), super::rw::stat(copy.to)) else { return false };
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
    check(unsafe { libc::lseek64(fd, offset as i64, whence as i32) })
}

/// posix_fadvise(2).
pub fn advise(fd: i32, offset: u64, len: u64, advice: u32) -> Result<u64> {
    // SAFETY: takes no memory.
    match unsafe { libc::posix_fadvise64(fd, offset as i64, len as i64, advice as i32) } {
        0 => Ok(0),
        errno => Err(Errno(errno)),
    }
}
