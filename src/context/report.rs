//! What a context tells in the lines of `CAIO_LOG`; see caio-debugging(7).

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

use super::Source;
use crate::error::Errno;
use crate::log::Log;
use crate::op::Code;
use crate::sys::fd::RawFd;

pub struct Report {
    log: Log,
    /// The descriptor of the context, which names it.
    context: RawFd,
    /// The fall-backs that were told.
    told: AtomicU8,
}

/// What a context cannot use. It tells the first time.
#[derive(Clone, Copy)]
pub enum Fallback {
    Poller = 1,
    Worker = 2,
    Queue = 4,
    Calls = 8,
}

impl Report {
    pub fn new(log: Log, context: RawFd) -> Self {
        Self { log, context, told: AtomicU8::new(0) }
    }

    pub fn made(&self, backend: &str, requests: u32, workers: u32) {
        let context = self.context;
        self.log.info(format_args!(
            "context {context}: backend {backend}, up to {requests} requests and {workers} worker threads"
        ));
    }

    pub fn fell_back(&self, fallback: Fallback, text: fmt::Arguments) {
        // Relaxed: the bit belongs to no other data.
        let bit = fallback as u8;
        if self.log.is_on() && self.told.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            self.log.info(format_args!("context {}: {text}", self.context));
        }
    }

    /// The backend is not used for an opcode again.
    pub fn opcode_refused(&self, code: Code, errno: Errno) {
        let context = self.context;
        self.log.info(format_args!(
            "context {context}: a filter refuses {code} to the kernel's queue ({errno}): worker threads run it from now on"
        ));
    }

    #[cold]
    pub fn submit_refused(&self, source: &impl Source, errno: Errno, most: u32) {
        if !self.log.tells_refusals() {
            return;
        }
        let (context, count) = (self.context, source.count());
        let line = |why: &dyn fmt::Display| {
            self.log.debug(format_args!("context {context}: submit of {count} fails: {errno}: {why}"));
        };
        match (errno.0, source.fault()) {
            (libc::EINVAL, Some(fault)) => line(&fault),
            (libc::EINVAL, None) => line(&"an operation is malformed"),
            (libc::EAGAIN, _) => line(&format_args!("{most} operations are accepted and their events not taken")),
            (libc::E2BIG, _) => line(&format_args!("a chain is longer than max_requests ({most})")),
            _ => line(&"see caio_ctx_submit(3)"),
        }
    }

    #[cold]
    pub fn call_refused(&self, errno: Errno) {
        let why = match errno.0 {
            libc::EPERM => "the context is SINGLE_THREAD, and another thread owns it",
            libc::EOWNERDEAD => "the context belongs to the parent process",
            _ => "min_events is larger than max_events",
        };
        self.log.debug(format_args!("context {}: a call fails: {errno}: {why}", self.context));
    }
}
