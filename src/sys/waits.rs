//! What the poller asks for, and what it gets.

use crate::error::Result;

/// What to report of a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Interest {
    pub read: bool,
    pub write: bool,
}

/// A completion of an `interruptible::CallRing`.
#[allow(dead_code)] // Not every system has such calls.
pub enum Ended {
    /// A call ended, with this token and result.
    Call(u64, Result<u64>),
    /// A cancel did not find this call, which may have been on its way from one of the kernel's queues to another.
    CancelMissed(u64),
}
