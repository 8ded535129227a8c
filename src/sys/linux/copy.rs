//! Copies between the library's and the caller's memory. A bad address of the caller fails with EFAULT instead of a
//! crash.
//!
//! process_vm_readv(2) and process_vm_writev(2) on this process make the copies. Where a filter forbids them, write(2)
//! and read(2) on a pipe do: they check addresses too.

use std::ffi::c_void;

use libc::c_long;

use super::fd::AsRawFd;
use super::mem::{Memory, PAGE};
use super::thread::keeping_errno;
use super::{check, in_place, os};
use crate::error::{Errno, Result};

const EFAULT: Errno = Errno(libc::EFAULT);

/// Copies from the caller's memory.
pub fn from_caller(from: Memory, to: &mut [u8]) -> Result<()> {
    // SAFETY: `to` is live and that long.
    unsafe { copy(libc::SYS_process_vm_readv, Direction::FromCaller, to.as_mut_ptr(), from, to.len()) }
}

/// Copies to the caller's memory.
pub fn to_caller(from: &[u8], to: Memory) -> Result<()> {
    // SAFETY: `from` is live and that long, and only read.
    unsafe { copy(libc::SYS_process_vm_writev, Direction::ToCaller, from.as_ptr().cast_mut(), to, from.len()) }
}

/// How much of the caller's memory can be written to. Linux does not check it before a read, which reports EFAULT itself.
pub fn writable(_: Memory, count: usize) -> usize {
    count
}

#[derive(Clone, Copy)]
enum Direction {
    FromCaller,
    ToCaller,
}

/// # Safety
/// `count` bytes at `ours` are live, and writable if they come from the caller.
unsafe fn copy(call: c_long, direction: Direction, ours: *mut u8, callers: Memory, count: usize) -> Result<()> {
    let mut done = 0;
    while done < count {
        let local = libc::iovec { iov_base: ours.wrapping_add(done).cast(), iov_len: count - done };
        let remote = libc::iovec { iov_base: callers.advanced(done as u64).address(), iov_len: count - done };
        // SAFETY: takes no memory.
        let this = unsafe { libc::getpid() };
        // SAFETY: `local` is live, as promised; the kernel checks `remote`, which is lent to the operation (Memory).
        match unsafe { in_place!(call, this, &raw const local, 1, &raw const remote, 1, 0) } {
            Ok(0) | Err(EFAULT) => return Err(EFAULT),
            Ok(more) => done += more as usize,
            // Forbidden (seccomp, a kernel without it).
            Err(_) => return keeping_errno(|| through_pipe(direction, local, remote)),
        }
    }
    Ok(())
}

/// Copies between two buffers of the same length, of which `local` is live, and writable if the bytes come from the caller.
fn through_pipe(direction: Direction, local: libc::iovec, remote: libc::iovec) -> Result<()> {
    let ends = os::pipe()?;
    let [reader, writer] = [&ends[0], &ends[1]].map(AsRawFd::as_raw_fd);
    let (from, to) = match direction {
        Direction::FromCaller => (remote.iov_base, local.iov_base),
        Direction::ToCaller => (local.iov_base, remote.iov_base),
    };
    let at = |start: *mut c_void, done| start.wrapping_byte_add(done);
    let mut done = 0;
    while done < local.iov_len {
        // A step ends with a page of the caller's memory, so that all of it is accessible, or nothing.
        let step = (PAGE - at(remote.iov_base, done).addr() % PAGE).min(local.iov_len - done);
        // SAFETY: one side is live, and the kernel checks the other's address; an empty pipe takes a page at once.
        let put = check(unsafe { libc::write(writer, at(from, done), step) } as i64)?;
        // SAFETY: the same.
        let got = check(unsafe { libc::read(reader, at(to, done), step) } as i64)?;
        if put as usize != step || got != put {
            return Err(EFAULT);
        }
        done += step;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No system has a call of this number. ARM answers a larger one with SIGILL.
    const FORBIDDEN: c_long = 0x7fff;

    fn both_ways(read: c_long, write: c_long) {
        let mut from: Vec<u8> = (0..3 * PAGE + 5).map(|at| at as u8).collect();
        let (mut to, count) = (vec![0u8; from.len()], from.len());
        // SAFETY: only system calls look behind them.
        let (callers, wild) = unsafe {
            let wild = std::ptr::without_provenance_mut(8);
            (Memory::new(to.as_mut_ptr().cast()), Memory::new(wild))
        };
        // SAFETY: live vectors of `count` bytes.
        unsafe {
            copy(write, Direction::ToCaller, from.as_mut_ptr(), callers, count).unwrap();
            let mut back = vec![0u8; count];
            copy(read, Direction::FromCaller, back.as_mut_ptr(), callers, count).unwrap();
            assert_eq!(back, from);
            assert_eq!(copy(write, Direction::ToCaller, from.as_mut_ptr(), wild, count), Err(EFAULT));
            assert_eq!(copy(read, Direction::FromCaller, from.as_mut_ptr(), wild, count), Err(EFAULT));
        }
        assert_eq!(to, (0..count).map(|at| at as u8).collect::<Vec<_>>());
    }

    #[test]
    fn copies_both_ways_and_refuses_wild_addresses() {
        both_ways(libc::SYS_process_vm_readv, libc::SYS_process_vm_writev);
    }

    #[test]
    fn a_pipe_does_the_same() {
        both_ways(FORBIDDEN, FORBIDDEN);
    }
}
