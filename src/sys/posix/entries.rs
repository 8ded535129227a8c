//! The entries of a directory, as records of Linux's `struct linux_dirent64`.
//!
//! No call of POSIX reads entries from the position of a descriptor on. Each call therefore opens the directory again, and
//! skips as many entries as calls before it returned: this number is the descriptor's position.

use std::ffi::CStr;
use std::ptr::NonNull;

use super::fd::AsRawFd;
use super::mem::Memory;
use super::{check, copy, fs, os, own, ranges};
use crate::error::{Errno, Result};
use crate::sync::Mutex;

/// One call returns no more, whatever the caller's room.
const MOST: u64 = 64 * 1024;
/// The bytes of a record before the name.
const HEAD: usize = 19;
const ALIGNMENT: usize = 8;

/// `room` is the caller's, of `len` bytes. The result is the number of bytes, or 0 at the end.
pub fn getdents(fd: i32, room: Memory, len: u64) -> Result<u64> {
    fs::is_open_for_io(fd)?;
    let mut directory = Directory::open(fd)?;
    let _turn = turn_of(fd).lock();
    let before = ranges::position(fd)?;
    let mut records = Records { bytes: Vec::new(), room: len.min(MOST) as usize };
    let mut number = 0;
    while let Some(entry) = directory.next()? {
        if number < before {
            number += 1;
            continue;
        }
        if !records.push(&entry, number + 1)? {
            break;
        }
        number += 1;
    }
    if records.bytes.is_empty() {
        // The next entry does not fit.
        return if directory.ended { Ok(0) } else { Err(Errno(libc::EINVAL)) };
    }
    copy::to_caller(&records.bytes, room)?;
    ranges::set_position(fd, number)?;
    Ok(records.bytes.len() as u64)
}

/// Calls for one descriptor return different entries, even if several threads make them.
fn turn_of(fd: i32) -> &'static Mutex<()> {
    static TURNS: [Mutex<()>; 16] = [const { Mutex::new(()) }; 16];
    &TURNS[fd as usize % TURNS.len()]
}

struct Entry<'a> {
    inode: u64,
    kind: u8,
    name: &'a CStr,
}

struct Records {
    bytes: Vec<u8>,
    room: usize,
}

impl Records {
    /// Appends a record, in which `position` is that of the entry behind it. False if there is no room for it.
    fn push(&mut self, entry: &Entry, position: u64) -> Result<bool> {
        let name = entry.name.to_bytes_with_nul();
        let length = (HEAD + name.len()).next_multiple_of(ALIGNMENT);
        let end = self.bytes.len() + length;
        if end > self.room {
            return Ok(false);
        }
        self.bytes.try_reserve(length).map_err(|_| Errno(libc::ENOMEM))?;
        self.bytes.extend(entry.inode.to_ne_bytes());
        self.bytes.extend(position.to_ne_bytes());
        self.bytes.extend((length as u16).to_ne_bytes());
        self.bytes.push(entry.kind);
        self.bytes.extend(name);
        self.bytes.resize(end, 0);
        Ok(true)
    }
}

/// A stream of a directory's entries from its start on.
struct Directory {
    stream: NonNull<libc::DIR>,
    ended: bool,
}

impl Directory {
    fn open(fd: i32) -> Result<Self> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
        let again = own(fs::openat(fd, c".", flags as u32, 0)?);
        // SAFETY: the stream owns the descriptor if the call succeeds.
        let stream = NonNull::new(unsafe { libc::fdopendir(again.as_raw_fd()) });
        let stream = stream.ok_or_else(std::io::Error::last_os_error)?;
        std::mem::forget(again);
        Ok(Self { stream, ended: false })
    }

    fn next(&mut self) -> Result<Option<Entry<'_>>> {
        // SAFETY: the calling thread's errno. Only an error sets it.
        unsafe { *os::errno_place() = 0 };
        // SAFETY: a live stream of this thread.
        let Some(entry) = NonNull::new(unsafe { libc::readdir(self.stream.as_ptr()) }) else {
            self.ended = true;
            // SAFETY: as above.
            return check(if unsafe { *os::errno_place() } == 0 { 0 } else { -1 }).map(|_| None);
        };
        // SAFETY: the entry is live until the next call, and its name ends with NUL; the whole structure may be shorter.
        Ok(Some(unsafe {
            let entry = entry.as_ptr();
            #[cfg(target_os = "freebsd")]
            let inode = (*entry).d_fileno;
            #[cfg(not(target_os = "freebsd"))]
            let inode = (*entry).d_ino;
            Entry { inode, kind: (*entry).d_type, name: CStr::from_ptr((&raw const (*entry).d_name).cast()) }
        }))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // SAFETY: a live stream, which nothing uses after this.
        unsafe { libc::closedir(self.stream.as_ptr()) };
    }
}
