//! Copies between the library's and the caller's memory. A bad address of the caller fails with EFAULT instead of a
//! crash.

use super::super::unix::pipe_copy::{Direction, through_pipe};
use super::mem::Memory;
use super::rw::iovec;
use super::{quiet, thread};
use crate::error::{Errno, Result};

/// Copies from the caller's memory.
pub fn from_caller(from: Memory, to: &mut [u8]) -> Result<()> {
    let local = iovec { iov_base: to.as_mut_ptr().cast(), iov_len: to.len() };
    let remote = iovec { iov_base: from.address(), iov_len: to.len() };
    thread::keeping_errno(|| through_pipe(Direction::FromCaller, local, remote))
}

/// Copies to the caller's memory.
pub fn to_caller(from: &[u8], to: Memory) -> Result<()> {
    let local = iovec { iov_base: from.as_ptr().cast_mut().cast(), iov_len: from.len() };
    let remote = iovec { iov_base: to.address(), iov_len: from.len() };
    thread::keeping_errno(|| through_pipe(Direction::ToCaller, local, remote))
}

/// Fails with EFAULT if a path is not readable up to its end, or up to PATH_MAX.
///
/// symlinkat(2) copies the text of a link before it looks at anything else, and fails without a directory. So this needs
/// no descriptor and looks up no file.
pub fn check_path(path: Memory) -> Result<()> {
    const NO_DIRECTORY: i32 = -1;
    // SAFETY: the kernel checks the address, which is lent to this operation (Memory).
    match quiet(|| unsafe { libc::symlinkat(path.address().cast(), NO_DIRECTORY, c"x".as_ptr()) }.into()) {
        Err(Errno(libc::EFAULT)) => Err(Errno(libc::EFAULT)),
        _ => Ok(()),
    }
}

/// Copies a part of a path from the caller's memory, which does not span pages, after [`check_path`].
pub fn path_part(from: Memory, to: &mut [u8]) -> Result<()> {
    // SAFETY: the kernel has read this page of the path, which is lent to this operation (Memory).
    unsafe { std::ptr::copy_nonoverlapping(from.address().cast::<u8>(), to.as_mut_ptr(), to.len()) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_both_ways_and_refuses_wild_addresses() {
        let from: Vec<u8> = (0..20_000).map(|at| at as u8).collect();
        let mut to = vec![0u8; from.len()];
        // SAFETY: only system calls look behind them.
        let (callers, wild) =
            unsafe { (Memory::new(to.as_mut_ptr().cast()), Memory::new(std::ptr::without_provenance_mut(8))) };
        to_caller(&from, callers).unwrap();
        let mut back = vec![0u8; from.len()];
        from_caller(callers, &mut back).unwrap();
        assert_eq!(back, from);
        assert_eq!(to_caller(&from, wild), Err(Errno(libc::EFAULT)));
        assert_eq!(from_caller(wild, &mut back), Err(Errno(libc::EFAULT)));
        assert_eq!(check_path(wild), Err(Errno(libc::EFAULT)));
    }
}
