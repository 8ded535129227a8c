//! What the backends tell the kernel's queues. A system without them never reads it.

#![cfg_attr(any(not(target_os = "linux"), caio_posix), allow(dead_code))]

use super::fd::RawFd;
use super::mem::Memory;

/// A submission queue entry.
#[derive(Clone, Copy)]
pub enum Submission {
    Nop,
    /// Cancels the entry with that user data. Its own completion carries [`NO_OPERATION`].
    Cancel(u64),
    Transfer {
        fd: RawFd,
        reads: bool,
        vectored: bool,
        memory: Memory,
        count: u32,
        offset: u64,
        rw_flags: u32,
        ioprio: u16,
    },
}

/// The user data of completions that belong to no operation.
pub const NO_OPERATION: u64 = u64::MAX;

/// The parameters of a new ring.
#[derive(Clone, Copy)]
pub struct RingSetup {
    pub entries: u32,
    pub completions: u32,
    /// Completions run only when the one thread that called `IoUring::enable` enters the ring
    /// (IORING_SETUP_DEFER_TASKRUN). A hint: see `IoUring::is_deferred`.
    pub deferred: bool,
    pub sqpoll: bool,
    /// The largest number of io-wq threads: for regular files, and for everything else.
    pub iowq_workers: [u32; 2],
}

/// A transfer at an explicit offset.
#[derive(Clone, Copy)]
pub struct AioRequest {
    pub user_data: u64,
    pub fd: RawFd,
    pub reads: bool,
    pub vectored: bool,
    pub memory: Memory,
    pub count: u64,
    pub offset: u64,
    /// `RWF_*`.
    pub rw_flags: u32,
    pub ioprio: u16,
    /// The eventfd that the completion signals.
    pub eventfd: RawFd,
}
