//! The kernel queues of a system that has none: they cannot be made, so that nothing else of them is ever called.

pub mod aio;
pub mod interruptible;
pub mod uring;

use super::{Descriptors, fd, mem, rw};
