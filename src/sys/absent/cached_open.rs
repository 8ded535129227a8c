//! Systems whose opens do not tell whether they would wait.

use super::super::cached::Answer;
use super::super::mem::Memory;

/// No flags: there is no such open.
pub const FLAGS: u64 = 0;

pub fn open(_: i32, _: Memory, _: u64, _: u64, _: bool) -> Answer {
    Answer::Unavailable
}

/// Whether a path is known to be empty.
pub fn is_empty(_: Memory) -> bool {
    false
}
