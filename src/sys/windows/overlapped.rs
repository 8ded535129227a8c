//! Calls of ReadFile and WriteFile that wait for their own end, and that another thread can cancel.

use std::cell::UnsafeCell;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{
    ERROR_BROKEN_PIPE, ERROR_HANDLE_EOF, ERROR_IO_PENDING, ERROR_MORE_DATA, ERROR_PIPE_NOT_CONNECTED, GetLastError,
    HANDLE,
};
use windows_sys::Win32::Storage::FileSystem::{ReadFile, WriteFile};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED, OVERLAPPED_0, OVERLAPPED_0_0};

use super::error::of_code;
use super::event::Event;
use super::mem::Memory;
use crate::error::{Errno, Result};

/// What one call needs. One thread at a time makes calls with it; any thread may cancel them.
pub struct Slot {
    event: Event,
    overlapped: UnsafeCell<OVERLAPPED>,
}

// SAFETY: only the calling thread and the kernel access the structure; `cancel` uses its address alone.
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

/// The offset at which a write appends.
pub const END: u64 = u64::MAX;

impl Slot {
    pub fn new() -> Result<Self> {
        Ok(Self { event: Event::new()?, overlapped: UnsafeCell::new(at(0, null_mut())) })
    }

    /// Reads or writes at an offset, which pipes ignore.
    pub fn transfer(&self, file: HANDLE, reads: bool, memory: Memory, count: u32, offset: u64) -> Result<u64> {
        let overlapped = self.prepare(offset);
        let (address, no_count) = (memory.address().cast::<u8>(), null_mut());
        // SAFETY: the system checks the address, and what lies there is lent to this operation (Memory). The structure
        // stays until `finish` has seen the end of the call.
        let done = unsafe {
            match reads {
                true => ReadFile(file, address, count, no_count, overlapped),
                false => WriteFile(file, address.cast_const(), count, no_count, overlapped),
            }
        };
        self.finish(file, done, reads)
    }

    /// The structure for a call at `offset`. A completion port that the caller's handle is attached to gets no
    /// completion of it, since the lowest bit of the event is set.
    pub fn prepare(&self, offset: u64) -> *mut OVERLAPPED {
        let overlapped = self.overlapped.get();
        let event = self.event.handle().map_addr(|address| address | 1);
        // SAFETY: no call uses the structure now: the thread makes one at a time.
        unsafe { overlapped.write(at(offset, event)) };
        overlapped
    }

    fn finish(&self, file: HANDLE, done: i32, reads: bool) -> Result<u64> {
        let mut count = 0;
        if done == 0 {
            // SAFETY: takes no memory.
            let code = unsafe { GetLastError() };
            if code != ERROR_IO_PENDING && code != ERROR_MORE_DATA {
                return failed(code, reads, 0);
            }
        }
        // SAFETY: the structure of the call, and a live number.
        match unsafe { GetOverlappedResult(file, self.overlapped.get(), &raw mut count, 1) } {
            // SAFETY: takes no memory.
            0 => failed(unsafe { GetLastError() }, reads, count),
            _ => Ok(count.into()),
        }
    }

    /// Cancels the call, if one is under way.
    pub fn cancel(&self, file: HANDLE) {
        // SAFETY: the structure is only compared with those of calls under way.
        unsafe { CancelIoEx(file, self.overlapped.get()) };
    }
}

/// Reads or writes at the handle's position, or on a pipe or console. For handles of synchronous use.
pub fn synchronously(file: HANDLE, reads: bool, memory: Memory, count: u32) -> Result<u64> {
    let mut done = 0;
    let address = memory.address().cast::<u8>();
    // SAFETY: the system checks the address, and what lies there is lent to this operation (Memory).
    let success = unsafe {
        match reads {
            true => ReadFile(file, address, count, &raw mut done, null_mut()),
            false => WriteFile(file, address.cast_const(), count, &raw mut done, null_mut()),
        }
    };
    if success == 0 {
        // SAFETY: takes no memory.
        return failed(unsafe { GetLastError() }, reads, done);
    }
    Ok(done.into())
}

/// The result of a call that failed, as read(2) and write(2) have it.
fn failed(code: u32, reads: bool, count: u32) -> Result<u64> {
    match code {
        ERROR_HANDLE_EOF | ERROR_BROKEN_PIPE | ERROR_PIPE_NOT_CONNECTED if reads => Ok(0),
        // The rest of a message stays for the next read.
        ERROR_MORE_DATA => Ok(count.into()),
        _ => match of_code(code) {
            // Not open for that.
            Errno(libc::EPERM) => Err(Errno(libc::EBADF)),
            errno => Err(errno),
        },
    }
}

fn at(offset: u64, event: HANDLE) -> OVERLAPPED {
    let halves = OVERLAPPED_0_0 { Offset: offset as u32, OffsetHigh: (offset >> 32) as u32 };
    OVERLAPPED { Internal: 0, InternalHigh: 0, Anonymous: OVERLAPPED_0 { Anonymous: halves }, hEvent: event }
}
