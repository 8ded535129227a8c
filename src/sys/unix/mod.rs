//! What Linux shares with other POSIX systems.

pub mod clock;
pub mod config;
pub mod fd;
pub mod file_kind;
pub mod fork;
pub mod messages;
pub mod pipe_copy;
mod signal;
pub mod thread;

use super::{check, mem};

/// Takes ownership of a descriptor that a system call has just made.
pub fn own(fd: u64) -> fd::OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: the system call made it, so nothing else owns it.
    unsafe { fd::OwnedFd::from_raw_fd(fd as i32) }
}
