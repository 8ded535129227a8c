//! Copies, advice and seeking on a system where the library has no call for them.

pub use super::span::Copy;

use crate::error::{Errno, Result};

const MISSING: Result<u64> = Err(Errno(libc::EOPNOTSUPP));

pub const NONBLOCK: u32 = 2;
pub const HAS_SENDFILE: bool = false;

pub fn copy_file_range(_: &Copy) -> Result<u64> {
    MISSING
}

pub fn sendfile(_: &Copy) -> Result<u64> {
    MISSING
}

pub fn splice(_: &Copy, _: u32) -> Result<u64> {
    MISSING
}

pub fn position(_: i32) -> Result<u64> {
    MISSING
}

pub fn set_position(_: i32, _: u64) -> Result<u64> {
    MISSING
}

pub fn seek(_: i32, _: u64, _: u32) -> Result<u64> {
    MISSING
}

pub fn advise(_: i32, _: u64, _: u64, _: u32) -> Result<u64> {
    MISSING
}

pub fn overlaps(_: &Copy) -> bool {
    true
}
