//! Systems whose calls do not tell whether they would wait.

use super::super::cached::Answer;
use super::super::mem::Memory;
use crate::error::{Errno, Result};

/// No flags: there is no such open.
pub const FLAGS: u64 = 0;

pub fn open(_: i32, _: Memory, _: u64, _: u64, _: bool) -> Answer {
    Answer::Unavailable
}

/// Whether statx(2) of a descriptor is known not to wait.
pub fn tells_at_once(_: i32) -> bool {
    false
}

/// Whether close(2) of a descriptor is known not to wait.
pub fn closes_at_once(_: i32) -> bool {
    false
}

/// Whether both of a descriptor that was opened with these flags are known not to wait.
pub fn is_brief(_: i32, _: u32) -> bool {
    false
}

/// Whether a path is known to be empty.
pub fn is_empty(_: Memory) -> bool {
    false
}

pub fn statx(_: i32, _: Memory, _: u32, _: u32, _: Memory) -> Result<u64> {
    Err(Errno(libc::ENOSYS))
}
