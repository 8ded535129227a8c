//! Atomics of what is signalled by hand: the model checker's under `--cfg loom`, where `make check-loom` runs every
//! interleaving of the tests beside them.

#[cfg(loom)]
pub use loom::sync::atomic;
#[cfg(not(loom))]
pub use std::sync::atomic;
