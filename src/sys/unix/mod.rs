//! What Linux shares with other POSIX systems.

pub mod clock;
pub mod config;
pub mod fd;
pub mod file_kind;
pub mod fork;
pub mod messages;
mod signal;
pub mod stderr;
pub mod thread;

use super::mem;
use crate::error::{Errno, Result};

/// The calling thread's errno.
fn last() -> Errno {
    std::io::Error::last_os_error().into()
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

/// The result of a C library function that sets errno.
pub fn check(answer: i64) -> Result<u64> {
    if answer < 0 { Err(last()) } else { Ok(answer as u64) }
}

/// Takes ownership of a descriptor that a system call has just made.
pub fn own(fd: u64) -> fd::OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: the system call made it, so nothing else owns it.
    unsafe { fd::OwnedFd::from_raw_fd(fd as i32) }
}
