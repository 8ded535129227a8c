//! How recent attempts at cached reads ended.

use crate::backoff::{Backoff, Schedule};

/// How recent attempts at cached reads ended.
#[derive(Default)]
pub struct HitRate {
    /// An attempt that missed is a failure.
    attempts: Backoff,
}

/// Failed attempts in a row after which reads are attempted less often.
const TOLERATED: u32 = 8;

impl HitRate {
    pub fn hit(&self) {
        self.attempts.succeeded();
    }

    pub fn miss(&self) {
        self.attempts.failed();
    }

    /// A read takes another path without an attempt.
    pub fn note_untried(&self) {
        self.attempts.skip();
    }

    /// Whether a hit is likely.
    #[inline(always)]
    pub fn expects_hit(&self) -> bool {
        !self.attempts.backs_off(TOLERATED)
    }

    /// Whether a hit is likely, or an attempt is due: the first after this many reads without one. An attempt that
    /// misses starts its transfer alone, where the kernel's queue would have sent it to the device along with others.
    pub fn is_worth_a_try(&self, after: u32) -> bool {
        self.attempts.is_due(&Schedule { tolerated: TOLERATED, first: after, most: 1024 })
    }
}
