//! The operating system, one file per facility; beside `capi` the only room with `unsafe`.
//! Everything here is a thin, safe face of a system call or of memory shared with the kernel.

pub mod aio;
pub mod aio_abi;
pub mod epoll;
pub mod eventfd;
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

/// Takes over a descriptor that a system call has just made.
fn own(fd: u64) -> std::os::fd::OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: the call that made it gave it to nobody else.
    unsafe { std::os::fd::OwnedFd::from_raw_fd(fd as i32) }
}
