//! What a context remembers of its descriptors and of attempts.

use std::sync::atomic::{AtomicU64, Ordering};

use super::HINTS;
use crate::backoff::{Backoff, Schedule};

/// Descriptors with transfers in the kernel's queue. While there is one, the number cannot be another file's (the caller
/// keeps it untouched until the event), so that what was found out about it before stays true.
pub struct Held([AtomicU64; HINTS]);

const READS: u64 = 1;
const WRITES: u64 = 2;
const ONE: u64 = 4;

impl Default for Held {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; HINTS])
    }
}

impl Held {
    // Relaxed in all of these: changed under the context's lock, and whoever looks passes a descriptor that is valid.

    fn place(&self, fd: i32) -> &AtomicU64 {
        &self.0[fd as usize % HINTS]
    }

    pub(super) fn knows(&self, fd: i32, reads: bool) -> bool {
        let value = self.place(fd).load(Ordering::Relaxed);
        value >> 32 == u64::from(fd as u32) && value & if reads { READS } else { WRITES } != 0
    }

    /// So many transfers that were found fit for the queue go there. True if the end of each must be told.
    pub fn come(&self, fd: i32, reads: bool, count: u64) -> bool {
        let place = self.place(fd);
        let value = place.load(Ordering::Relaxed);
        let free = value as u32 == 0;
        if !free && value >> 32 != u64::from(fd as u32) {
            return false;
        }
        let before = if free { u64::from(fd as u32) << 32 } else { value };
        place.store((before | if reads { READS } else { WRITES }) + count * ONE, Ordering::Relaxed);
        true
    }

    pub fn go(&self, fd: i32, count: u64) {
        let place = self.place(fd);
        let value = place.load(Ordering::Relaxed) - count * ONE;
        // The last one takes what is known along.
        place.store(if value as u32 >= ONE as u32 { value } else { 0 }, Ordering::Relaxed);
    }
}

/// How reads of what may be in the page cache went of late.
#[derive(Default)]
pub struct HitRate {
    /// An attempt that missed is a failure.
    attempts: Backoff,
}

impl HitRate {
    pub(super) fn hit(&self) {
        self.attempts.succeeded();
    }

    pub fn miss(&self) {
        self.attempts.failed();
    }

    /// A read goes elsewhere without an attempt.
    pub(super) fn leaves_out(&self) {
        self.attempts.skip();
    }

    /// Whether a hit is likely, or one attempt is due after reads that were not tried: first after so many. An attempt that
    /// misses starts its transfer alone, where the kernel's queue would have sent it to the device along with others.
    pub(super) fn is_worth_a_try(&self, after: u32) -> bool {
        self.attempts.is_due(&Schedule { tolerated: 8, first: after, most: 1024 })
    }
}
