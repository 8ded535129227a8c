//! Asynchronous file I/O for the event loop that you already have.
//!
//! A read of a regular file blocks, and no `O_NONBLOCK` helps. With this crate, you submit operations to a [`Context`], watch
//! its one descriptor, and get the results when it is readable. io_uring, Linux kernel AIO or worker threads do the work: the
//! library chooses when the program runs, and each call has the same meaning on all three.
//!
//! ```
//! use caio::{Context, ops};
//! use std::{fs::File, sync::Arc};
//!
//! # fn main() -> std::io::Result<()> {
//! let ctx = Context::new()?;
//! let file = Arc::new(File::open("/etc/os-release")?);
//!
//! // Both reads are in flight at the same time. Each owns its buffer until it completes.
//! let (head, rest) = ctx.submit((
//!     ops::read_at(file.clone(), Vec::with_capacity(16), 0),
//!     ops::read_at(file, Vec::with_capacity(4096), 16),
//! ));
//! let ((head_size, head), (rest_size, rest)) = ctx.block_on(async { (head.await, rest.await) });
//! println!("{} bytes: {}", head_size? + rest_size?, String::from_utf8_lossy(&[head, rest].concat()));
//! # Ok(())
//! # }
//! ```
//!
//! # Operations
//!
//! [`ops`] has the operations as requests. [`Context::submit`] submits one or many, [`Context::submit_chain`] a chain in which
//! each operation waits for the one before it, and methods such as [`Context::read_at`] submit a single one. All return
//! [`Op`] handles at once: submit never waits for the disk.
//!
//! - An operation **owns its buffer** ([`IoBuf`], [`IoBufMut`]) and its descriptor ([`Descriptor`]) until it completes, and gives
//!   the buffer back with the result. Share a file with `Arc`.
//! - **Dropping an `Op` cancels it.** The operation keeps the buffer until it has ended.
//! - **Dropping the `Context`** cancels what can be stopped, and completes every operation.
//! - Errors are [`std::io::Error`] with the errno of the system call, the same on each backend.
//!
//! # Event loops and runtimes
//!
//! Operations complete inside [`Context::poll`]. Call it when the descriptor of the context ([`AsFd`](std::os::fd::AsFd)) is
//! readable. `Op` is a future that needs no particular runtime; without `async`, use [`Op::take`] or [`Op::on_complete`].
//!
//! | Loop | |
//! |---|---|
//! | tokio | `let ctx = AsyncFd::new(Context::new()?)?;` and a task that repeats `ctx.readable().await?.clear_ready()` and `ctx.get_ref().poll()?` until that returns 0 |
//! | smol | `let ctx = Async::new(Context::new()?)?;` and a task that repeats `ctx.readable().await?` and `ctx.get_ref().poll()?` |
//! | poll(2), epoll, mio | watch [`Context::as_raw_fd`](std::os::fd::AsRawFd) for reading; call [`Context::poll`] |
//! | none | [`Context::block_on`], [`Context::wait`] |
//!
//! The folder `bindings/rust-examples` has a program for each.
//!
//! # Bindings
//!
//! [`raw`] is the unsafe layer below: requests that borrow their memory, for bindings of other languages. It works on Windows too.
//!
//! # Features
//!
//! - `bytes`: `Bytes` and `BytesMut` as buffers.
//! - `capi`: the C API, for the library `libcaio` in C, which `make` builds. A program in Rust does not need it.
//!
//! # Plugins
//!
//! A shared library that contains this crate must stay loaded after `dlclose`, because a worker thread may still be returning from
//! a system call. On Linux and FreeBSD, link it with `-z nodelete`, as `make` links `libcaio.so`. On Windows, the crate does this.
//!
//! A panic inside the library is a bug and aborts the process, whatever `panic` setting the program has. A panic of the program's
//! own wakers and callbacks unwinds as usual, and no completion is lost.

// Imports run downward only: {api, raw, capi} -> context -> {route, pool} -> {exec, backend, fd} -> sys -> libc.

#![deny(unsafe_code)]

#[cfg(unix)]
mod api;
#[cfg(feature = "capi")]
#[allow(unsafe_code)]
pub mod capi;
#[allow(unsafe_code)]
pub mod raw;

mod backend;
mod backoff;
mod completion;
mod context;
mod error;
mod exec;
mod fd;
mod fork_list;
mod log;
mod notifier;
mod op;
mod pool;
mod route;
mod slab;
mod spin;
mod sync;

#[allow(unsafe_code)]
mod sys;

#[cfg(unix)]
pub use api::*;
pub use backend::{Backend, Probe};
pub use context::Stats;

/// The program in README.md compiles and runs.
#[cfg(all(doctest, unix))]
#[doc = include_str!("../README.md")]
struct Readme;
