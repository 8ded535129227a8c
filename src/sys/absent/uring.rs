//! io_uring(7) where it does not exist.

pub use super::super::requests::{NO_OPERATION, RingSetup, Submission};

use super::Descriptors;
use super::fd::{AsRawFd, RawFd};
use super::rw::Transfer;
use crate::error::{Errno, Result};

/// A ring, of which there is none.
pub enum IoUring {}

impl IoUring {
    pub fn new(_: RingSetup) -> Result<Self> {
        Err(Errno(libc::ENOSYS))
    }

    pub fn check_transfers(&mut self, _: RawFd) -> Result<()> {
        match *self {}
    }

    pub fn register_eventfd(&self, _: RawFd) -> Result<()> {
        match *self {}
    }

    pub fn is_deferred(&self) -> bool {
        match *self {}
    }

    pub fn enable(&self) -> Result<()> {
        match *self {}
    }

    pub fn has_deferred(&mut self) -> bool {
        match *self {}
    }

    pub fn signals(&mut self, _: bool) {
        match *self {}
    }

    pub fn entries(&self) -> u32 {
        match *self {}
    }

    pub fn completion_entries(&self) -> u32 {
        match *self {}
    }

    pub fn push(&mut self, _: Submission, _: u64) -> bool {
        match *self {}
    }

    pub fn push_blocking(&mut self, _: &Transfer, _: u64) -> bool {
        match *self {}
    }

    pub fn room(&mut self) -> u32 {
        match *self {}
    }

    pub fn unsubmitted(&mut self) -> u32 {
        match *self {}
    }

    pub fn enter_flags(&mut self) -> Option<u32> {
        match *self {}
    }

    pub fn has_completions(&mut self) -> bool {
        match *self {}
    }

    pub fn pop(&mut self) -> Option<(u64, i32)> {
        match *self {}
    }

    pub fn overflowed(&mut self) -> bool {
        match *self {}
    }
}

impl AsRawFd for IoUring {
    fn as_raw_fd(&self) -> RawFd {
        match *self {}
    }
}

impl Descriptors for IoUring {
    fn descriptors(&self) -> [Option<RawFd>; 2] {
        [Some(self.as_raw_fd()), None]
    }
}

pub fn enter(_: RawFd, _: u32, _: u32) -> Result<u32> {
    Err(Errno(libc::ENOSYS))
}

pub fn get_events(_: RawFd) -> Result<u32> {
    Err(Errno(libc::ENOSYS))
}

pub fn rereads_without_end() -> bool {
    false
}
