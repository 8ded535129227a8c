//! The entries of a directory, as getdents64(2) lays them out.

use std::ptr::{null, null_mut};

use windows_sys::Wdk::Storage::FileSystem::{FileIdFullDirectoryInformation, NtQueryDirectoryFile};
use windows_sys::Win32::Foundation::{STATUS_NO_MORE_FILES, STATUS_NO_SUCH_FILE, STATUS_NOT_IMPLEMENTED};
use windows_sys::Win32::Storage::FileSystem::{FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT};

use super::error::of_status;
use super::fd::{RawFd, handle};
use super::file_kind::{self, FileKind};
use super::mem::{Memory, room};
use super::{copy, nt, reparse, stat, wide};
use crate::error::{Errno, Result};

/// The room that one entry with a name of 255 UTF-16 units may take. The system cannot give an entry back.
const LEAST: u64 = 1024;
/// More than this in one call takes no less time.
const MOST: u64 = 256 * 1024;

/// Puts entries into the caller's `to`, which has room for `len` bytes. The result is the size of the records; 0 at the end.
pub fn getdents(fd: RawFd, to: Memory, len: u64) -> Result<u64> {
    file_kind::check(fd)?;
    if file_kind::look(fd).kind != FileKind::Storage || !stat::is_directory(handle(fd)).unwrap_or(false) {
        return Err(Errno(libc::ENOTDIR));
    }
    if len < LEAST {
        return Err(Errno(libc::EINVAL));
    }
    // A UTF-16 unit takes up to 3 bytes in UTF-8, but the fixed part of a record is smaller than the system's.
    let room = len.min(MOST) as usize;
    let told = query(fd, room / 8 * 5)?;
    let records = records(&told, room)?;
    copy::to_caller(&records, to).map(|()| records.len() as u64)
}

/// The system's next records, which fit in `size` bytes; none at the end.
fn query(fd: RawFd, size: usize) -> Result<Vec<u8>> {
    // Of u64, for the alignment of the records.
    let mut told: Vec<u64> = room(size / 8)?;
    told.resize(size / 8, 0);
    let (address, length) = (told.as_mut_ptr().cast(), size_of_val(told.as_slice()) as u32);
    let call = |event, status| {
        let (directory, class) = (handle(fd), FileIdFullDirectoryInformation);
        // SAFETY: live memory of that length, and a live event and structure, until `waited` has seen the end of the call.
        unsafe {
            NtQueryDirectoryFile(directory, event, None, null(), status, address, length, class, false, null(), false)
        }
    };
    let (status, count) = match nt::waited(call)? {
        // Wine takes no event; it never leaves the call pending.
        (STATUS_NOT_IMPLEMENTED, _) => nt::waited(|_, status| call(null_mut(), status))?,
        answer => answer,
    };
    match status {
        STATUS_NO_MORE_FILES | STATUS_NO_SUCH_FILE => Ok(Vec::new()),
        status if status < 0 => Err(match of_status(status) {
            // Not open for reading.
            Errno(libc::EPERM) => Errno(libc::EBADF),
            errno => errno,
        }),
        _ => {
            let mut bytes: Vec<u8> = room(count)?;
            bytes.extend(told.iter().flat_map(|word| word.to_ne_bytes()).take(count));
            Ok(bytes)
        }
    }
}

/// Offsets in FILE_ID_FULL_DIR_INFORMATION.
mod theirs {
    pub const NEXT: usize = 0;
    pub const ATTRIBUTES: usize = 56;
    pub const NAME_SIZE: usize = 60;
    /// Of a reparse point: its tag.
    pub const TAG: usize = 64;
    pub const NUMBER: usize = 72;
    pub const NAME: usize = 80;
}

/// The records of struct linux_dirent64 for what the system told, which take no more than `most` bytes.
fn records(told: &[u8], most: usize) -> Result<Vec<u8>> {
    let mut records = room(most)?;
    let mut rest = told;
    while let Some(entry) = Entry::parse(rest) {
        entry.append(&mut records);
        let next = number(rest, theirs::NEXT) as usize;
        if next == 0 {
            break;
        }
        rest = rest.get(next..).unwrap_or_default();
    }
    Ok(records)
}

struct Entry<'a> {
    number: u64,
    file_type: u8,
    /// UTF-16, in bytes.
    name: &'a [u8],
}

impl<'a> Entry<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let name = bytes.get(theirs::NAME..)?;
        let (low, high) = (number(bytes, theirs::NUMBER), number(bytes, theirs::NUMBER + 4));
        Some(Self {
            number: u64::from(high) << 32 | u64::from(low),
            file_type: file_type(number(bytes, theirs::ATTRIBUTES), number(bytes, theirs::TAG)),
            name: name.get(..number(bytes, theirs::NAME_SIZE) as usize)?,
        })
    }

    /// Appends a struct linux_dirent64.
    fn append(&self, to: &mut Vec<u8>) {
        const HEAD: usize = 19;
        const ALIGNED: usize = 8;
        let start = to.len();
        to.extend(self.number.to_ne_bytes());
        // There is no seeking to an entry.
        to.extend(0u64.to_ne_bytes());
        to.extend([0, 0, self.file_type]);
        wide::append_utf8(self.name.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])), to);
        to.push(0);
        to.resize(start + (to.len() - start).next_multiple_of(ALIGNED), 0);
        let size = (to.len() - start) as u16;
        to[start + HEAD - 3..][..2].copy_from_slice(&size.to_ne_bytes());
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

/// DT_DIR, DT_REG or DT_LNK.
fn file_type(attributes: u32, tag: u32) -> u8 {
    const DIRECTORY: u8 = 4;
    const REGULAR: u8 = 8;
    const LINK: u8 = 10;
    match attributes {
        given if given & FILE_ATTRIBUTE_REPARSE_POINT != 0 && reparse::is_link(tag) => LINK,
        given if given & FILE_ATTRIBUTE_DIRECTORY != 0 => DIRECTORY,
        _ => REGULAR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn theirs_of(name: &str, next: u32) -> Vec<u8> {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut bytes = vec![0; theirs::NAME];
        bytes[..4].copy_from_slice(&next.to_le_bytes());
        bytes[theirs::NAME_SIZE..][..4].copy_from_slice(&(name.len() as u32).to_le_bytes());
        bytes[theirs::NUMBER] = 7;
        bytes.extend(name);
        bytes.resize(bytes.len().max(next as usize), 0);
        bytes
    }

    #[test]
    fn records_have_the_layout_of_linux() {
        let mut told = theirs_of("one", 96);
        told.extend(theirs_of("\u{fc}", 0));
        let records = records(&told, 1024).unwrap();
        assert_eq!(records.len(), 24 + 24);
        assert_eq!((records[0], records[16], records[18], &records[19..23]), (7, 24, 8, b"one\0".as_slice()));
        assert_eq!(&records[24 + 19..24 + 22], "\u{fc}\0".as_bytes());
    }

    #[test]
    fn what_the_system_tells_always_fits() {
        for units in 1..=255 {
            let told = theirs_of(&"\u{20ac}".repeat(units), 0);
            let records = records(&told, 1024).unwrap();
            assert!(records.len() <= told.len() * 8 / 5, "{units}");
        }
    }
}
