//! The operating system. Only this module and `capi` contain `unsafe`. Each item is a thin, safe wrapper of a system
//! call, or of memory shared with the kernel.
//!
//! One choice below selects the system: `linux`, `posix` (macOS, FreeBSD; `--cfg caio_posix` forces it on Linux) or
//! `windows`. `unix` has what Linux and POSIX systems share, and `absent` the kernel queues of a system without them.
//! The rest of the library uses the modules that [`system`] supplies:
//!
//! - `aio`, `uring`: the kernel's queues. Elsewhere, re-export those of `absent`, which nothing can construct.
//! - `attributes`: modes, owners, times, extended attributes, status and sync of file systems; `TIMES_SIZE`.
//! - `cached_open`: `open` of what the kernel has in its caches, without waiting; in `absent`, nothing is.
//! - `config`: `PATH_MAX`, `DISK_ERRORS`, and `read` of the file that sets the default backend.
//! - `copy`: `from_caller` and `to_caller`, which report an invalid address as EFAULT; `writable`, how much
//!   of the caller's memory can be written to.
//! - `fd`: `RawFd` (32 bits), `AsRawFd`, `OwnedFd`. What holds descriptors implements [`Descriptors`].
//! - `file_kind`: `FileKind`, `File`, and what decides whether a transfer may wait for another process.
//! - `fork`: `process`, a number that each child of fork(2) changes; `keep_out`, a section for which fork(3) waits.
//! - `fs`: the operations on files and paths, each with the arguments and the errno of Linux's call; `AT_FDCWD`.
//! - `interruptible`: `CallRing`, which makes calls that may wait for ever and can end them; in [`absent`], nothing can.
//! - `links`: links, special files, and the entries of a directory.
//! - `messages`: `errno_message`, and `trusted_env`, which ignores the environment of a set-uid program.
//! - `pollable`: `Pollable`, a descriptor that the program can wait for, with [`Signal`]; `Edges`, which becomes readable
//!   with each further signal; and `sleep_until_readable`, which a signal handler interrupts with EINTR.
//! - `ranges`: `Copy` from one descriptor to another, advice, and seeking.
//! - `readiness`: `Readiness`, `Interest` and `Ready`, with which the poller waits for descriptors.
//! - `rw`: `Transfer`, `transfer`, and checks before one; `flags` with the numbers of Linux; `iovec`, `MOST_PARTS`.
//! - `stderr`: `Stderr`, to which lines are written without waiting; in `absent`, there is none.
//! - `thread`: `spawn`, `Handle`, `keeping_errno`, `id`, `system_id`, `is_asleep`, `IoPriority`.
//! - `timer`: `Timer`, which wakes the poller, and `now`.
//!
//! `MISSING` has the numbers of the opcodes without a call, which fail with EOPNOTSUPP.
//!
//! The functions that the library calls are those of `linux`, with the same signatures.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix::check;

#[cfg(all(target_os = "linux", not(caio_posix)))]
#[path = "linux/mod.rs"]
mod system;

#[cfg(all(unix, any(not(target_os = "linux"), caio_posix)))]
#[path = "posix/mod.rs"]
mod system;

#[cfg(windows)]
#[path = "windows/mod.rs"]
mod system;

#[cfg(any(not(target_os = "linux"), caio_posix))]
mod absent;
pub mod cached;
mod counter;
mod file;
pub mod input;
pub mod mem;
pub mod path;
pub mod probes;
mod requests;
mod span;
pub mod status;
pub mod text;
mod waits;

pub use counter::Signal;
#[cfg(all(test, loom))]
pub use counter::model;
pub use system::{
    MISSING, aio, attributes, cached_open, config, copy, fd, file_kind, fork, fs, interruptible, links, pollable,
    ranges, readiness, rw, stderr, thread, timer, uring,
};

use std::ffi::c_void;

use crate::error::{Errno, Result};

/// The offset of a transfer that means the file's current position.
pub const CURRENT: u64 = u64::MAX;

/// A value with descriptors, which a child of fork(2) closes: none, one or two.
pub trait Descriptors {
    fn descriptors(&self) -> [Option<fd::RawFd>; 2];

    /// The one that event loops watch.
    fn for_loops(&self) -> Result<fd::RawFd> {
        self.descriptors()[0].ok_or(Errno(libc::EBADF))
    }

    /// The HANDLE that a Windows program waits for; ENOSYS elsewhere.
    fn event_handle(&self) -> Result<*mut c_void> {
        Err(Errno(libc::ENOSYS))
    }
}

impl Descriptors for fd::OwnedFd {
    fn descriptors(&self) -> [Option<fd::RawFd>; 2] {
        [Some(fd::AsRawFd::as_raw_fd(self)), None]
    }
}
