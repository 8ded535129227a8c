//! Links, special files and directories of a system where the library has no call for them.

use std::ffi::CStr;

use super::mem::Memory;
use crate::error::{Errno, Result};

const MISSING: Result<u64> = Err(Errno(libc::EOPNOTSUPP));

pub fn readlinkat(_: i32, _: &CStr, _: Memory, _: u64) -> Result<u64> {
    MISSING
}

pub fn symlinkat(_: &CStr, _: i32, _: &CStr) -> Result<u64> {
    MISSING
}

pub fn linkat(_: i32, _: &CStr, _: i32, _: &CStr, _: u32) -> Result<u64> {
    MISSING
}

pub fn mknodat(_: i32, _: &CStr, _: u32, _: u64) -> Result<u64> {
    MISSING
}

pub fn getdents(_: i32, _: Memory, _: u64) -> Result<u64> {
    MISSING
}
