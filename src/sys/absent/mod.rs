//! What a system does not have. Its kernel queues cannot be made, so that nothing else of them is ever called; the other calls
//! fail with EOPNOTSUPP.

#![allow(dead_code)] // A system may have some of these calls.

pub mod aio;
pub mod attributes;
pub mod cached_open;
pub mod cached_read;
pub mod fs;
pub mod interruptible;
pub mod links;
pub mod ranges;
pub mod stderr;
pub mod uring;

use super::{Descriptors, fd, mem, rw, span, waits};
