//! Copies between the library's and the caller's memory. A bad address of the caller fails with EFAULT instead of a
//! crash.
//!
//! process_vm_readv(2) and process_vm_writev(2) on this process make the copies. Where a filter forbids them, write(2)
//! and read(2) on a pipe do: they check addresses too.

use libc::c_long;

use super::super::unix::pipe_copy::{Direction, through_pipe};
use super::in_place;
use super::mem::Memory;
use super::thread::keeping_errno;
use crate::error::{Errno, Result};

const EFAULT: Errno = Errno(libc::EFAULT);

/// Copies from the caller's memory.
pub fn from_caller(from: Memory, to: &mut [u8]) -> Result<()> {
    // SAFETY: `to` is live and that long.
    unsafe { copy(libc::SYS_process_vm_readv, Direction::FromCaller, to.as_mut_ptr(), from, to.len()) }
}

/// Copies a part of a path from the caller's memory, which does not span pages.
pub fn path_part(from: Memory, to: &mut [u8]) -> Result<()> {
    from_caller(from, to)
}

/// Fails with EFAULT if a path is not readable; here [`path_part`] does.
pub fn check_path(_: Memory) -> Result<()> {
    Ok(())
}

/// Copies to the caller's memory.
pub fn to_caller(from: &[u8], to: Memory) -> Result<()> {
    // SAFETY: `from` is live and that long, and only read.
    unsafe { copy(libc::SYS_process_vm_writev, Direction::ToCaller, from.as_ptr().cast_mut(), to, from.len()) }
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

#[cfg(test)]
mod tests {
    use super::super::mem::PAGE;
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
