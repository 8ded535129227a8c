//! Systems with POSIX calls alone: macOS and FreeBSD. There are no kernel queues, and no transfer tells whether it would
//! wait, so that worker threads make all transfers of files.

pub mod attributes;
pub mod copy;
mod entries;
pub mod file_kind;
pub mod fs;
pub mod links;
pub mod os;
pub mod pollable;
pub mod ranges;
pub mod readiness;
pub mod rw;
mod statx;
pub mod thread;
pub mod timer;
#[cfg(not(target_os = "freebsd"))]
mod xattrs;

pub use super::absent::{aio, cached_open, interruptible, uring};
pub use super::unix::{config, fd, fork, messages, stderr};

pub use os::MISSING;

use super::unix::own;
use super::{Descriptors, Signal, check, mem, span, status, waits};
use crate::error::Result;

/// The result of a C library function, without a change of the thread's errno.
fn quiet(call: impl FnOnce() -> i64) -> Result<u64> {
    thread::keeping_errno(|| check(call()))
}
