//! `caio_ctx_wake`: one flag and one descriptor, signalled by hand so that it works in a signal handler.

use std::os::fd::{AsRawFd, RawFd};

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Result;
use crate::sys::eventfd::EventFd;

/// What [`Wake`] needs of a descriptor.
pub trait Signal {
    fn signal(&self);
    fn clear(&self);
}

impl Signal for EventFd {
    fn signal(&self) {
        Self::signal(self);
    }
    fn clear(&self) {
        Self::clear(self);
    }
}

/// Wakes that nobody waited for count as one. Invariant at rest: pending exactly if the descriptor is readable.
pub struct Wake<S = EventFd> {
    pending: AtomicBool,
    descriptor: S,
}

impl Wake {
    pub fn new() -> Result<Self> {
        Ok(Self { pending: AtomicBool::new(false), descriptor: EventFd::new()? })
    }
}

impl<S: Signal> Wake<S> {
    /// Async-signal-safe.
    pub fn wake(&self) {
        // AcqRel pairs with itself in `consume`: whoever consumes sees what the waker did before.
        if !self.pending.swap(true, Ordering::AcqRel) {
            self.descriptor.signal();
        }
    }

    /// Uses up a wake if there is one.
    pub fn consume(&self) -> bool {
        let pending = self.pending.swap(false, Ordering::AcqRel);
        if pending {
            self.descriptor.clear();
        }
        pending
    }

    /// The descriptor was readable but nothing pending: a signal came after its wake was consumed. Consume again after
    /// this, before sleeping: what was cleared may have been a newer wake's.
    pub fn settle(&self) {
        self.descriptor.clear();
    }
}

impl AsRawFd for Wake {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}
