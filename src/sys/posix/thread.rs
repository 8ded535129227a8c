//! The library's threads.

pub use super::super::unix::thread::{Handle, id, keeping_errno, spawn};

/// The I/O priority of an operation, which is a hint. There is none for a thread here.
pub struct IoPriority;

impl IoPriority {
    pub fn set(_: u16) -> Self {
        Self
    }
}

/// The calling thread's number for [`is_asleep`].
pub fn system_id() -> i32 {
    0
}

/// Whether a thread sleeps in the kernel: the system does not tell.
pub fn is_asleep(_: i32) -> Option<bool> {
    None
}
