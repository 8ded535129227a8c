//! Modes, owners, times and extended attributes of a system where the library has no call for them.

use std::ffi::CStr;

use super::mem::Memory;
use crate::error::{Errno, Result};

const MISSING: Result<u64> = Err(Errno(libc::EOPNOTSUPP));

pub const TIMES_SIZE: usize = 32;

pub fn fchmodat(_: i32, _: &CStr, _: u32, _: u32) -> Result<u64> {
    MISSING
}

pub fn fchownat(_: i32, _: &CStr, _: u32, _: u64, _: u32) -> Result<u64> {
    MISSING
}

pub fn utimensat(_: i32, _: &CStr, _: &[u8], _: u32) -> Result<u64> {
    MISSING
}

pub fn faccessat(_: i32, _: &CStr, _: u32, _: u32) -> Result<u64> {
    MISSING
}

pub fn fgetxattr(_: i32, _: &CStr, _: Memory, _: u64) -> Result<u64> {
    MISSING
}

pub fn fsetxattr(_: i32, _: &CStr, _: Memory, _: u64, _: u32) -> Result<u64> {
    MISSING
}

pub fn flistxattr(_: i32, _: Memory, _: u64) -> Result<u64> {
    MISSING
}

pub fn fremovexattr(_: i32, _: &CStr) -> Result<u64> {
    MISSING
}

pub fn syncfs(_: i32) -> Result<u64> {
    MISSING
}

pub fn fstatfs(_: i32, _: Memory) -> Result<u64> {
    MISSING
}
