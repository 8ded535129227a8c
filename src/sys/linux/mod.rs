//! Linux.

pub mod aio;
mod aio_abi;
pub mod attributes;
pub mod cached_open;
pub mod copy;
pub mod file_kind;
mod filter;
pub mod fs;
mod in_place;
pub mod interruptible;
mod itself;
pub mod links;
pub mod os;
pub mod pollable;
pub mod ranges;
pub mod readiness;
pub mod rw;
pub mod thread;
pub mod timer;
pub mod uring;

pub use super::unix::{config, fd, fork, messages, stderr};

/// The numbers of the opcodes that have no call here.
pub const MISSING: &[u8] = &[];

use super::unix::own;
use super::{check, input, mem, span, waits};
use in_place::in_place;
