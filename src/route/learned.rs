//! What a context remembers of its descriptors and of attempts.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::HINTS;

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
    /// Misses in a row.
    misses: AtomicU32,
    /// Reads that were not tried since the last that was.
    untried: AtomicU32,
}

impl HitRate {
    // Relaxed in all of these: a statistic.

    pub(super) fn hit(&self) {
        if self.misses.load(Ordering::Relaxed) != 0 {
            self.misses.store(0, Ordering::Relaxed);
        }
    }

    pub fn miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn leaves_out(&self) {
        self.untried.fetch_add(1, Ordering::Relaxed);
    }

    /// Hits are to be expected, or enough reads were not tried that it is time to see whether they are again: `after` so
    /// many, doubled with each further miss. An attempt in vain starts its transfer alone, where the kernel's queue would
    /// have sent it to the device along with others.
    pub(super) fn is_worth_a_try(&self, after: u32) -> bool {
        const TRUST: u32 = 8;
        const RAREST: u32 = 1024;
        let misses = self.misses.load(Ordering::Relaxed);
        if misses < TRUST {
            return true;
        }
        let due = self.untried.load(Ordering::Relaxed) >= (after << (misses - TRUST).min(6)).min(RAREST);
        if due {
            self.untried.store(0, Ordering::Relaxed);
        } else {
            self.leaves_out();
        }
        due
    }
}
