//! What a system without openat2(2), and without opens that do not wait, answers.

use std::ffi::CStr;

use super::fd::RawFd;
use crate::error::{Errno, Result};

pub fn open_how(_: RawFd, _: &CStr, _: &[u8], _: u64) -> Result<u64> {
    Err(Errno(libc::EOPNOTSUPP))
}

pub fn open_flags(_: &[u8]) -> u32 {
    0
}

pub fn flags_and_resolve(_: &[u8]) -> Option<(u64, u64)> {
    None
}

pub fn may_mean_descriptor(_: u32) -> bool {
    false
}
