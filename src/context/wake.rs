//! `caio_ctx_wake`: one flag and one descriptor, signalled by hand so that it works in a signal handler.

use std::os::fd::{AsRawFd, RawFd};

use crate::error::Result;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sys::eventfd::{EventFd, Signal};

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
            self.descriptor.add(1);
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

#[cfg(all(test, loom))]
mod tests {
    use super::*;
    use crate::sys::eventfd::model::Counter;
    use loom::sync::Arc;
    use loom::thread;

    fn wake() -> Arc<Wake<Counter>> {
        Arc::new(Wake { pending: AtomicBool::new(false), descriptor: Counter::new() })
    }

    /// What a sleeper does between two sleeps; false if it would go on sleeping.
    fn look(wake: &Wake<Counter>) -> bool {
        if wake.consume() {
            return true;
        }
        if !wake.descriptor.is_readable() {
            return false;
        }
        wake.settle();
        wake.consume()
    }

    #[test]
    fn no_wake_is_lost() {
        loom::model(|| {
            let wake = wake();
            let other = wake.clone();
            let waker = thread::spawn(move || other.wake());
            let early = look(&wake);
            waker.join().unwrap();
            assert!(early || look(&wake), "a sleeper would sleep on though it was woken");
        });
    }

    #[test]
    fn a_wake_after_another_was_used_up_is_not_lost() {
        loom::model(|| {
            let wake = wake();
            wake.wake();
            let other = wake.clone();
            let waker = thread::spawn(move || other.wake());
            let mut used = u32::from(look(&wake)) + u32::from(look(&wake));
            waker.join().unwrap();
            used += u32::from(look(&wake));
            assert!((1..=2).contains(&used));
            assert!(!look(&wake) && !wake.descriptor.is_readable(), "a used-up wake shows on");
        });
    }
}
