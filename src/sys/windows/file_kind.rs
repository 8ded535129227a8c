//! The kind of file behind a descriptor, which decides whether a transfer may wait for something other than a disk.

pub use super::super::file::{File, FileKind};

use windows_sys::Win32::Devices::Communication::{DCB, GetCommState};
use windows_sys::Win32::Foundation::{GetLastError, NO_ERROR, SetLastError};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_TYPE_CHAR, FILE_TYPE_DISK, FILE_TYPE_PIPE, FILE_TYPE_UNKNOWN, GetFileSizeEx, GetFileType,
};
use windows_sys::Win32::System::Console::GetConsoleMode;

use super::error::of_code;
use super::fd::{RawFd, handle};
use super::{running, socket};
use crate::error::Result;

/// Looks at a descriptor. Never waits.
pub fn look(fd: RawFd) -> File {
    let none = File { kind: FileKind::Storage, on_disk: false, device: 0, size: None };
    if let Some(kind) = running::kind_of(fd) {
        return File { kind, ..none };
    }
    let kind = match file_type(fd) {
        Ok(FILE_TYPE_DISK) => return File { size: size(fd), ..none },
        Err(_) => FileKind::Storage,
        Ok(FILE_TYPE_CHAR) if !is_terminal(fd) && !is_serial(fd) => FileKind::Storage,
        Ok(FILE_TYPE_PIPE) if socket::is_socket(fd) => FileKind::Socket,
        Ok(_) => FileKind::Stream,
    };
    File { kind, ..none }
}

pub fn look_unless_on_disk(fd: RawFd) -> Option<File> {
    Some(look(fd))
}

fn file_type(fd: RawFd) -> Result<u32> {
    // SAFETY: these take no memory.
    unsafe {
        SetLastError(NO_ERROR);
        match (GetFileType(handle(fd)), GetLastError()) {
            (FILE_TYPE_UNKNOWN, code) if code != NO_ERROR => Err(of_code(code)),
            (file_type, _) => Ok(file_type),
        }
    }
}

/// EBADF if there is no such handle.
pub fn check(fd: RawFd) -> Result<()> {
    if running::kind_of(fd).is_some() { Ok(()) } else { file_type(fd).map(drop) }
}

fn size(fd: RawFd) -> Option<u64> {
    let mut size = 0;
    // SAFETY: a live number.
    let told = unsafe { GetFileSizeEx(handle(fd), &raw mut size) };
    (told != 0).then_some(size as u64)
}

/// Whether a descriptor is a file or directory on a disk.
pub fn is_disk(fd: RawFd) -> bool {
    running::kind_of(fd).is_none() && file_type(fd) == Ok(FILE_TYPE_DISK)
}

/// Whether a descriptor is a regular file.
pub fn is_regular(fd: RawFd) -> bool {
    size(fd).is_some() && is_disk(fd)
}

/// The kind of a descriptor for transfers at an offset.
pub fn of(fd: RawFd) -> FileKind {
    look(fd).kind
}

/// The kind of a descriptor for transfers at the current position.
pub fn of_current(fd: RawFd, _: bool) -> FileKind {
    of(fd)
}

/// Whether a descriptor is a pipe.
pub fn is_pipe(fd: RawFd) -> bool {
    of(fd) == FileKind::Stream && !is_characters(fd)
}

/// Whether a descriptor is a console or a serial line.
pub fn is_characters(fd: RawFd) -> bool {
    running::kind_of(fd).is_none() && file_type(fd) == Ok(FILE_TYPE_CHAR)
}

/// Whether a descriptor is a console.
pub fn is_terminal(fd: RawFd) -> bool {
    let mut mode = 0;
    // SAFETY: a live number.
    unsafe { GetConsoleMode(handle(fd), &raw mut mode) != 0 }
}

fn is_serial(fd: RawFd) -> bool {
    // SAFETY: DCB is plain data; all zero is a valid one.
    let mut state: DCB = unsafe { std::mem::zeroed() };
    state.DCBlength = size_of::<DCB>() as u32;
    // SAFETY: a live structure.
    unsafe { GetCommState(handle(fd), &raw mut state) != 0 }
}

/// Every write that may wait is made by a call.
pub fn waits_to_write(_: RawFd) -> bool {
    true
}

/// A read of 0 bytes never waits.
pub fn waits_for_empty_read(_: RawFd) -> bool {
    false
}

/// Flags without effect are ignored.
pub fn supports_flags(_: RawFd) -> bool {
    true
}

pub fn reads_without_input(_: RawFd) -> bool {
    false
}

/// A write to a pipe waits for all of it.
pub fn room_when_ready(_: RawFd) -> Option<usize> {
    None
}
