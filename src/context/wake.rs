//! `caio_ctx_wake`: a flag and a descriptor, without a lock so that it works in a signal handler.

use crate::error::Result;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sys::fd::{AsRawFd, RawFd};
use crate::sys::pollable::Pollable;
use crate::sys::{Descriptors, Signal};

/// Wakes without a waiter count as one. While a wake is pending the descriptor is readable, or a thread that cleared it is
/// about to use the wake up. A descriptor that is readable without a pending wake is left from one that was used up.
pub struct Wake<S = Pollable> {
    pending: AtomicBool,
    descriptor: S,
}

impl Wake {
    pub fn new() -> Result<Self> {
        Ok(Self { pending: AtomicBool::new(false), descriptor: Pollable::new()? })
    }

    pub fn descriptors(&self) -> [Option<RawFd>; 2] {
        self.descriptor.descriptors()
    }
}

impl<S: Signal> Wake<S> {
    /// Async-signal-safe.
    pub fn wake(&self) {
        // AcqRel pairs with the swap in `consume`: the woken thread sees what the waker did before.
        if !self.pending.swap(true, Ordering::AcqRel) {
            self.descriptor.signal();
        }
    }

    /// Uses up a wake if there is one.
    pub fn consume(&self) -> bool {
        // Relaxed: the swap decides; this saves the system call.
        if !self.pending.load(Ordering::Relaxed) {
            return false;
        }
        // Cleared first: after the swap, the signal of a newer wake may be there, for another sleeper.
        self.descriptor.clear();
        // AcqRel pairs with the swap in `wake`.
        self.pending.swap(false, Ordering::AcqRel)
    }

    /// The descriptor was readable but no wake pending: its signal came after the wake was used up. Call
    /// [`Self::consume`] again before sleeping: the signal may have been that of a newer wake.
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
    use crate::sys::model::Counter;
    use loom::sync::Arc;
    use loom::thread;

    fn wake() -> Arc<Wake<Counter>> {
        Arc::new(Wake { pending: AtomicBool::new(false), descriptor: Counter::new() })
    }

    /// A sleeper's steps between two sleeps; false if it would sleep again.
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
    fn a_pending_wake_shows_to_the_other_sleepers() {
        loom::model(|| {
            let wake = wake();
            wake.wake();
            let other = wake.clone();
            let sleeper = thread::spawn(move || other.consume());
            wake.wake();
            sleeper.join().unwrap();
            let pending = wake.pending.load(Ordering::SeqCst);
            assert!(!pending || wake.descriptor.is_readable(), "a sleeper would sleep on though a wake is pending");
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
