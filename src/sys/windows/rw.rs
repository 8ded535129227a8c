//! Reads and writes, and checks of a descriptor before them.

use std::ffi::c_void;

use windows_sys::Wdk::Storage::FileSystem::{FileAccessInformation, FileModeInformation};
use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_APPEND_DATA, FILE_FLAG_NO_BUFFERING, FILE_FLAG_OVERLAPPED, FILE_FLAG_WRITE_THROUGH, FILE_READ_ATTRIBUTES,
    FILE_READ_DATA, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_WRITE_DATA, FlushFileBuffers,
    ReOpenFile, SYNCHRONIZE,
};

pub use super::super::absent::cached_read::{Split, read_cached};
use super::error::check;
use super::fd::{OwnedFd, RawFd, handle};
use super::file_kind::{self, FileKind};
use super::mem::{self, Memory};
use super::overlapped::{self, END, Slot};
use super::position::Position;
pub use super::span::Transfer;
use super::{copy, nt, running, socket};
use crate::error::{Errno, Result};
use crate::sys::CURRENT;

/// What one read or write moves at most, as on Linux.
pub const MAX_TRANSFER: u64 = 0x7fff_f000;

/// The `sys_flags` of a transfer, with the numbers of Linux.
pub mod flags {
    /// Fails with EAGAIN instead of waiting. Not supported.
    pub const NOWAIT: u32 = 8;
    pub const POLLED: u32 = 1;
    /// A write is on the disk when it ends.
    pub const SYNCED: u32 = 2 | 4;
    pub const APPEND: u32 = 16;
    /// Flags without effect where a transfer may wait for another process.
    pub const HARMLESS: u32 = POLLED | SYNCED | APPEND;
}

/// The most iovecs of one operation.
pub const MOST_PARTS: u64 = 1024;

/// An address and a length, the caller's `struct caio_iovec`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)] // The name of POSIX.
pub struct iovec {
    /// Where the part begins.
    pub iov_base: *mut c_void,
    /// Its length in bytes.
    pub iov_len: usize,
}

pub const REFUSES_LONG_BUFFERS: bool = false;

const EOPNOTSUPP: Errno = Errno(libc::EOPNOTSUPP);
const EBADF: Errno = Errno(libc::EBADF);

/// One transfer, which waits for its end.
pub fn transfer(t: &Transfer) -> Result<u64> {
    transfer_with(t, &Slot::new()?)
}

/// The same, which [`Slot::cancel`] can end.
pub fn transfer_with(t: &Transfer, slot: &Slot) -> Result<u64> {
    if t.flags & !flags::HARMLESS != 0 {
        return Err(EOPNOTSUPP);
    }
    if t.offset != CURRENT && i64::try_from(t.offset).is_err() {
        return Err(Errno(libc::EINVAL));
    }
    let kind = file_kind::look(t.fd).kind;
    let at_offset = t.offset != CURRENT;
    match kind {
        FileKind::Storage => storage(t, slot),
        _ if at_offset => Err(Errno(libc::ESPIPE)),
        FileKind::Socket => socket::transfer(t, slot, &parts(t)?),
        FileKind::Stream => stream(t, slot, &parts(t)?),
    }
}

/// The memory of a transfer, of at most [`MAX_TRANSFER`].
fn parts(t: &Transfer) -> Result<Vec<(Memory, usize)>> {
    if !t.vectored {
        let mut one = mem::room(1)?;
        one.push((t.memory, t.count.min(MAX_TRANSFER) as usize));
        return Ok(one);
    }
    let mut parts = mem::copy_parts(t.memory, t.count)?;
    let mut left = MAX_TRANSFER as usize;
    for (_, length) in &mut parts {
        *length = (*length).min(left);
        left -= *length;
    }
    Ok(parts)
}

fn storage(t: &Transfer, slot: &Slot) -> Result<u64> {
    let file = handle(t.fd);
    let access = access(file, t.reads)?;
    let done = if t.offset == CURRENT { at_position(t, file, access, slot) } else { at_offset(t, file, access, slot) }?;
    if !t.reads && t.flags & flags::SYNCED != 0 {
        // SAFETY: takes no memory.
        check(unsafe { FlushFileBuffers(file) })?;
    }
    Ok(done)
}

/// The rights of a handle; EBADF if it may not do that.
fn access(file: HANDLE, reads: bool) -> Result<u32> {
    // SAFETY: the class tells the rights.
    let access: u32 = unsafe { nt::query(file, FileAccessInformation) }?;
    let needed = if reads { FILE_READ_DATA } else { FILE_WRITE_DATA | FILE_APPEND_DATA };
    if access & needed == 0 { Err(EBADF) } else { Ok(access) }
}

/// How a handle was opened: `FILE_SYNCHRONOUS_IO_NONALERT` and so on.
fn mode(file: HANDLE) -> Result<u32> {
    // SAFETY: the class tells the mode.
    unsafe { nt::query(file, FileModeInformation) }
}

fn is_synchronous(mode: u32) -> bool {
    const ALERTABLE: u32 = 0x10;
    const NOT_ALERTABLE: u32 = 0x20;
    mode & (ALERTABLE | NOT_ALERTABLE) != 0
}

/// The kernel keeps no position for a handle of overlapped use, but the file has a place for one.
fn at_position(t: &Transfer, file: HANDLE, access: u32, slot: &Slot) -> Result<u64> {
    let position = Position::of(file)?;
    let start = position.get();
    let appends = !t.reads && (t.flags & flags::APPEND != 0 || access & FILE_WRITE_DATA == 0);
    let done = each_part(t, |memory, count, done| {
        let offset = if appends { END } else { start + done };
        slot.transfer(file, t.reads, memory, count, offset)
    })?;
    if appends {
        position.set_to_end()
    } else {
        position.set(start + done)
    }
    Ok(done)
}

fn at_offset(t: &Transfer, file: HANDLE, access: u32, slot: &Slot) -> Result<u64> {
    let appends = !t.reads && t.flags & flags::APPEND != 0;
    let all = |file| {
        each_part(t, |memory, count, done| {
            slot.transfer(file, t.reads, memory, count, if appends { END } else { t.offset + done })
        })
    };
    let mode = mode(file)?;
    if !is_synchronous(mode) {
        return all(file);
    }
    // Through the caller's own handle, the call would wait for others on it, and move its position.
    if let Some(again) = open_again(file, t.reads, access, mode) {
        match all(again.handle()) {
            // A lock that the caller's handle has.
            Err(Errno(libc::EBUSY)) => {}
            answer => return answer,
        }
    }
    let position = Position::of(file)?;
    let done = all(file);
    position.set(position.get());
    done
}

/// Another handle of the file, of overlapped use. None if the file's sharing does not allow one.
fn open_again(file: HANDLE, reads: bool, access: u32, mode: u32) -> Option<OwnedFd> {
    const SHARE: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    const WRITE_THROUGH: u32 = 2;
    const NO_BUFFERING: u32 = 8;
    let needed = if reads { FILE_READ_DATA } else { access & (FILE_WRITE_DATA | FILE_APPEND_DATA) };
    let kept = |here, there| if mode & here != 0 { there } else { 0 };
    let flags = kept(WRITE_THROUGH, FILE_FLAG_WRITE_THROUGH) | kept(NO_BUFFERING, FILE_FLAG_NO_BUFFERING);
    let access = needed | FILE_READ_ATTRIBUTES | SYNCHRONIZE;
    // SAFETY: takes no memory.
    let again = unsafe { ReOpenFile(file, access, SHARE, flags | FILE_FLAG_OVERLAPPED) };
    (again != INVALID_HANDLE_VALUE && !again.is_null()).then(|| OwnedFd::of(again))
}

/// Makes the calls of a transfer, up to the first that is short. An error after some bytes ends it there.
fn each_part(t: &Transfer, mut call: impl FnMut(Memory, u32, u64) -> Result<u64>) -> Result<u64> {
    let mut total = 0;
    for (memory, length) in parts(t)? {
        match call(memory, length as u32, total) {
            Ok(done) => {
                total += done;
                if done < length as u64 {
                    break;
                }
            }
            Err(errno) if total == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(total)
}

/// A pipe, a console or a device: one call for all parts, since a second one could wait.
fn stream(t: &Transfer, slot: &Slot, parts: &[(Memory, usize)]) -> Result<u64> {
    let file = handle(t.fd);
    let total: usize = parts.iter().map(|(_, length)| length).sum();
    if total == 0 {
        return current_check(t.fd, t.reads).map(|()| 0);
    }
    // Before it counts as running, since that hides whether it is a console.
    let synchronous = file_kind::is_characters(t.fd) || is_synchronous(mode(file).unwrap_or(0));
    let _running = running::Running::new(t.fd, FileKind::Stream);
    let call = |memory, count: usize| match synchronous {
        true => overlapped::synchronously(file, t.reads, memory, count as u32),
        false => slot.transfer(file, t.reads, memory, count as u32, 0),
    };
    if let [(memory, length)] = parts {
        return call(*memory, *length);
    }
    let mut bytes = mem::zeroed(total.min(if t.reads { 1 << 20 } else { usize::MAX }))?;
    if !t.reads {
        scatter(parts, &mut bytes, |part, memory| copy::from_caller(memory, part))?;
    }
    let (memory, count) = (mem::of_bytes(&mut bytes), bytes.len());
    let done = call(memory, count)?;
    if t.reads {
        scatter(parts, &mut bytes[..done as usize], |part, memory| copy::to_caller(part, memory))?;
    }
    Ok(done)
}

/// Calls `work` with each part of `bytes`, and its memory.
fn scatter(
    parts: &[(Memory, usize)],
    bytes: &mut [u8],
    mut work: impl FnMut(&mut [u8], Memory) -> Result<()>,
) -> Result<()> {
    let mut rest = bytes;
    for (memory, length) in parts {
        let (part, after) = rest.split_at_mut((*length).min(rest.len()));
        rest = after;
        work(part, *memory)?;
    }
    Ok(())
}

/// Whether the system accepts a transfer at an offset; if not, EBADF or ESPIPE.
pub fn positional_check(fd: RawFd, reads: bool) -> Result<()> {
    match file_kind::look(fd).kind {
        FileKind::Storage => access(handle(fd), reads).map(drop),
        _ => Err(Errno(libc::ESPIPE)),
    }
}

/// Whether the system may accept a transfer at the current position: EBADF if it never does.
pub fn current_check(fd: RawFd, reads: bool) -> Result<()> {
    // The question would wait for a call under way.
    if running::kind_of(fd).is_some() || file_kind::is_characters(fd) {
        return Ok(());
    }
    access(handle(fd), reads).map(drop)
}

/// No transfer goes to a queue of the kernel's.
pub fn reads_without_waiting(_: RawFd) -> bool {
    false
}

/// There are no status flags.
pub fn status_flags(fd: RawFd) -> Result<i32> {
    file_kind::check(fd).map(|()| 0)
}

pub fn is_direct(_: i32) -> bool {
    false
}

pub fn is_nonblocking(_: i32) -> bool {
    false
}

/// The system has no attempt that does not wait.
pub fn socket_attempt(_: &Transfer) -> Result<u64> {
    Err(EOPNOTSUPP)
}

/// Nor does it tell whether one would.
pub fn is_ready(_: RawFd, _: bool) -> bool {
    false
}

pub fn becomes_ready(_: RawFd, _: bool, milliseconds: i32) -> bool {
    std::thread::sleep(std::time::Duration::from_millis(milliseconds.max(0) as u64));
    false
}
