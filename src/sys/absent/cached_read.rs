//! Systems that do not tell whether the page cache has what a read wants.

use super::super::mem::Memory;
use super::fd::RawFd;
use crate::error::{Errno, Result};

pub fn read_cached(_: RawFd, _: Memory, _: u64, _: u64) -> Result<u64> {
    Err(Errno(libc::EOPNOTSUPP))
}

/// The same for a descriptor that may bypass the page cache.
pub enum Split {}

impl Split {
    pub fn of(_: Memory, _: u64) -> Option<Self> {
        None
    }

    pub fn read(&self, _: RawFd, _: u64) -> Result<u64> {
        match *self {}
    }
}
