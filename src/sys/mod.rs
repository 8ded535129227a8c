//! The operating system, one file per facility; beside `capi` the only room with `unsafe`.
//! Everything here is a thin, safe face of a system call or of memory shared with the kernel.

pub mod aio;
pub mod aio_abi;
pub mod copy;
pub mod epoll;
pub mod eventfd;
pub mod file_kind;
pub mod fork;
pub mod fs;
pub mod mem;
pub mod path;
pub mod rw;
pub mod signal;
pub mod text;
pub mod thread;
pub mod timerfd;
pub mod uring;

use crate::error::{Errno, Result};

/// A system call's answer.
fn check(answer: i64) -> Result<u64> {
    if answer < 0 { Err(Errno::last()) } else { Ok(answer as u64) }
}

/// A system call made in place, without the C library's function around it: processors that lose their return addresses
/// in the kernel (mitigations of speculative returns) mispredict every return on the way back from one. For what is
/// called once per operation.
macro_rules! in_place {
    ($($argument:expr),+) => { $crate::sys::answer(syscalls::raw_syscall!($($argument),+)) };
}
use in_place;

/// The answer of a system call that was made [`in_place`]: its errno, if any, is in it.
#[inline(always)]
fn answer(value: usize) -> Result<u64> {
    const ERRORS: usize = 4095;
    if value > usize::MAX - ERRORS { Err(Errno(value.wrapping_neg() as i32)) } else { Ok(value as u64) }
}

/// Takes over a descriptor that a system call has just made.
fn own(fd: u64) -> std::os::fd::OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: the call that made it gave it to nobody else.
    unsafe { std::os::fd::OwnedFd::from_raw_fd(fd as i32) }
}
