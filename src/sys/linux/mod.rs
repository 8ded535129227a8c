//! Linux.

pub mod aio;
mod aio_abi;
pub mod copy;
pub mod file_kind;
mod filter;
pub mod fs;
mod in_place;
pub mod interruptible;
pub mod os;
pub mod pollable;
pub mod readiness;
pub mod rw;
pub mod thread;
pub mod timer;
pub mod uring;

pub use super::unix::{config, fd, fork, messages};

use super::unix::own;
use super::{check, mem};
use in_place::in_place;
