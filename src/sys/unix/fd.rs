//! Descriptors.

pub use std::os::fd::{AsRawFd, OwnedFd, RawFd};
