//! Interruptible calls where the system has none.

#![allow(dead_code)] // A system may have its own.

use super::Descriptors;
use super::fd::{AsRawFd, RawFd};
use super::rw::Transfer;
use super::span::Copy;
pub use super::waits::Ended;
use crate::error::{Errno, Result};

pub const TELLS_WHAT_MOVED: bool = true;
pub const COPIES: bool = false;

/// The calls of one poller, of which there are none.
pub enum CallRing {}

impl CallRing {
    pub fn open() -> Result<Self> {
        Err(Errno(libc::ENOSYS))
    }

    pub fn begin(&mut self, _: u64, _: &Transfer) -> Result<()> {
        match *self {}
    }

    pub fn begin_copy(&mut self, _: u64, _: &Copy) -> Result<()> {
        match *self {}
    }

    pub fn cancel(&mut self, _: u64) {
        match *self {}
    }

    pub fn pop(&mut self) -> Option<Ended> {
        match *self {}
    }
}

impl AsRawFd for CallRing {
    fn as_raw_fd(&self) -> RawFd {
        match *self {}
    }
}

impl Descriptors for CallRing {
    fn descriptors(&self) -> [Option<RawFd>; 2] {
        [Some(self.as_raw_fd()), None]
    }
}
