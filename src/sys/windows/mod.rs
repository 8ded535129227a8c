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

pub use super::absent::{aio, attributes, links, ranges, uring};
use super::mem;
