//! Locks, and the atomics of what is signalled by hand.
//!
//! The locks are the standard library's, each a futex of its own. A library that parks threads in a table of the whole
//! process (parking_lot) is not for us: in a child of fork(2) that table still lists the parent's threads, whose memory is
//! reused, and a child may make its own contexts.

use std::sync::PoisonError;
use std::time::Duration;

pub use std::sync::MutexGuard;

use crate::sys::thread::keeping_errno;

/// Under `--cfg loom` the model checker's: `make check-loom` runs every interleaving of the tests beside them.
#[cfg(loom)]
pub use loom::sync::atomic;
#[cfg(not(loom))]
pub use std::sync::atomic;

/// A lock that knows no poison: a panic is a bug and aborts.
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    #[inline(always)]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.try_lock().unwrap_or_else(|| self.wait_and_lock())
    }

    /// futex(2) may have an answer for errno, which is the caller's.
    #[cold]
    fn wait_and_lock(&self) -> MutexGuard<'_, T> {
        keeping_errno(|| self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }
}

/// Where threads sleep that wait for a change of what a [`Mutex`] guards.
pub struct Condvar(std::sync::Condvar);

impl Condvar {
    pub const fn new() -> Self {
        Self(std::sync::Condvar::new())
    }

    /// Sleeps until notified, for a while, or for no reason; says whether the while is over.
    pub fn wait_for<'a, T>(&self, guard: MutexGuard<'a, T>, time: Duration) -> (MutexGuard<'a, T>, bool) {
        let (guard, timeout) = self.0.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner);
        (guard, timeout.timed_out())
    }

    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}
