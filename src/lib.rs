//! Asynchronous file I/O for every event loop.
//!
//! A program makes a context, submits reads, writes and syncs in batches, and watches one descriptor
//! in the event loop that it already has. io_uring, the kernel's AIO ring or worker threads do the
//! work; the meaning of every call is the same on all three.
//!
//! This crate is the C library `libcaio`; its interface is [`capi`], from which `include/caio.h` is
//! generated. Imports run downward only:
//! capi → context → {route, pool} → {exec, backend, fd} → sys → libc.

#![deny(unsafe_code)]

#[allow(unsafe_code)]
pub mod capi;

mod backend;
mod backoff;
mod completion;
mod context;
mod error;
mod exec;
mod fd;
mod fork_list;
mod notifier;
mod op;
mod pool;
mod route;
mod slab;
mod spin;
mod sync;

#[allow(unsafe_code)]
mod sys;
