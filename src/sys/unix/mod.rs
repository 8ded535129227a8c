//! What Linux shares with other POSIX systems.

pub mod clock;
pub mod config;
pub mod fd;
pub mod fork;
pub mod messages;
mod signal;
pub mod thread;

use super::mem;

/// Takes ownership of a descriptor that a system call has just made.
pub fn own(fd: u64) -> fd::OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: the system call made it, so nothing else owns it.
    unsafe { fd::OwnedFd::from_raw_fd(fd as i32) }
}
