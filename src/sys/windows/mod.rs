//! Windows. A descriptor is a HANDLE or SOCKET; of both, only the lower 32 bits are significant.

pub mod config;
pub mod copy;
pub mod error;
mod event;
pub mod fd;
pub mod file_kind;
pub mod fork;
pub mod fs;
pub mod interruptible;

pub mod messages;
mod nt;
mod overlapped;
pub mod pollable;
mod position;
pub mod readiness;
mod running;
pub mod rw;
mod socket;
mod stat;
pub mod thread;
pub mod timer;
mod wide;

pub use super::absent::{aio, attributes, cached_open, links, ranges, uring};

/// The numbers of the opcodes that have no call here.
pub const MISSING: &[u8] = &[16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36];

use super::mem;
