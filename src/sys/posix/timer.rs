//! The poller's deadline, and the clock of deadlines.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use super::super::unix::clock::now;
use super::fd::RawFd;
use super::pollable::Pollable;
use super::{Descriptors, Signal};
use crate::error::Result;

/// A time at which the poller's wait ends.
pub struct Timer {
    at: Arc<AtomicU64>,
    /// Wakes the poller when the time changes.
    changed: Arc<Pollable>,
}

const NEVER: u64 = u64::MAX;

impl Timer {
    pub fn new() -> Result<Self> {
        Ok(Self { at: Arc::new(AtomicU64::new(NEVER)), changed: Arc::new(Pollable::new()?) })
    }

    /// Sets the timer to `at`, in nanoseconds of [`now`]; None disarms it. Replaces an earlier setting.
    pub fn arm(&self, at: Option<u64>) {
        let at = at.unwrap_or(NEVER);
        // Relaxed: the pipe orders it before the poller's next look. No signal without a change: the poller itself arms the
        // timer in each round, and would not sleep.
        if self.at.swap(at, Ordering::Relaxed) != at {
            self.changed.signal();
        }
    }

    pub(super) fn shared(&self) -> (Arc<AtomicU64>, Arc<Pollable>) {
        (self.at.clone(), self.changed.clone())
    }
}

/// The time that is left; None if there is no limit.
pub(super) fn left_until(at: &AtomicU64) -> Option<Duration> {
    // Relaxed: as in `arm`.
    let at = at.load(Ordering::Relaxed);
    (at != NEVER).then(|| Duration::from_nanos(at.saturating_sub(now())))
}

impl Descriptors for Timer {
    fn descriptors(&self) -> [Option<RawFd>; 2] {
        self.changed.descriptors()
    }
}
