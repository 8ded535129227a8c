//! Windows. A descriptor is a HANDLE or SOCKET; of both, only the lower 32 bits are significant.

pub mod attributes;
pub mod config;
pub mod copy;
mod directory;
pub mod error;
mod event;
pub mod fd;
pub mod file_kind;
pub mod fork;
pub mod fs;
pub mod interruptible;
pub mod links;
pub mod messages;
mod nt;
mod overlapped;
pub mod pollable;
mod position;
pub mod ranges;
pub mod readiness;
mod reparse;
mod running;
pub mod rw;
mod socket;
mod stat;
mod statfs;
mod target;
pub mod thread;
pub mod timer;
mod wide;

pub use super::absent::{aio, cached_open, stderr, uring};

/// The numbers of the opcodes that have no call here.
pub const MISSING: &[u8] = &[22, 23, 26, 29, 30, 31, 32, 33, 34, 35];

use super::{mem, span, status, waits};
