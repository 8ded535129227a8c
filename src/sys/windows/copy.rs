//! Copies between the library's and the caller's memory. A bad address of the caller fails with EFAULT instead of a
//! crash: the system reads and writes this process as it would another one.

use windows_sys::Win32::System::Diagnostics::Debug::{ReadProcessMemory, WriteProcessMemory};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

use super::mem::Memory;
use crate::error::{Errno, Result};

/// Copies from the caller's memory.
pub fn from_caller(from: Memory, to: &mut [u8]) -> Result<()> {
    let mut done = 0;
    // SAFETY: `to` is live and that long; the system checks `from`, which is lent to the operation (Memory).
    let copied = unsafe {
        let this = GetCurrentProcess();
        ReadProcessMemory(this, from.address(), to.as_mut_ptr().cast(), to.len(), &raw mut done)
    };
    all(copied, done, to.len())
}

/// How much of the caller's memory can be written to, which the system itself checks before it reads.
pub fn writable(_: Memory, count: usize) -> usize {
    count
}

/// Copies to the caller's memory.
pub fn to_caller(from: &[u8], to: Memory) -> Result<()> {
    let mut done = 0;
    // SAFETY: `from` is live and that long; the system checks `to`, which is lent to the operation (Memory).
    let copied = unsafe {
        let this = GetCurrentProcess();
        WriteProcessMemory(this, to.address(), from.as_ptr().cast(), from.len(), &raw mut done)
    };
    all(copied, done, from.len())
}

fn all(copied: i32, done: usize, count: usize) -> Result<()> {
    if copied != 0 && done == count || count == 0 { Ok(()) } else { Err(Errno(libc::EFAULT)) }
}
