//! Exponential back-off, counted in occasions instead of time: after each failed attempt, more of them are skipped before
//! the next attempt.

use std::sync::atomic::{AtomicU32, Ordering};

/// How many occasions lie between two attempts.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Up to this number of failures in a row, each occasion is an attempt.
    pub tolerated: u32,
    /// The interval after those, which doubles after each further failure.
    pub first: u32,
    /// The longest interval.
    pub most: u32,
}

/// The failures in a row and the occasions skipped since the last attempt. Threads may share one without a lock: a lost
/// update makes an attempt a little earlier or later.
#[derive(Default)]
pub struct Backoff {
    failures: AtomicU32,
    skipped: AtomicU32,
}

/// The limit of the count. No schedule doubles its interval more often.
const MOST_FAILURES: u32 = 20;

impl Schedule {
    pub const fn interval(&self, failures: u32) -> u32 {
        if failures < self.tolerated {
            return 1;
        }
        let doublings = failures - self.tolerated;
        if doublings >= MOST_FAILURES || self.first > self.most >> doublings {
            self.most
        } else {
            self.first << doublings
        }
    }
}

impl Backoff {
    // Relaxed in all of these: nothing else depends on the counts.

    /// Counts an occasion. True if an attempt is due.
    #[inline(always)]
    pub fn is_due(&self, schedule: &Schedule) -> bool {
        let failures = self.failures.load(Ordering::Relaxed);
        failures < schedule.tolerated || self.interval_is_over(schedule.interval(failures))
    }

    /// Whether that many attempts in a row have failed.
    #[inline(always)]
    pub fn backs_off(&self, tolerated: u32) -> bool {
        self.failures.load(Ordering::Relaxed) >= tolerated
    }

    fn interval_is_over(&self, interval: u32) -> bool {
        let occasions = self.skipped.load(Ordering::Relaxed).wrapping_add(1);
        let due = occasions >= interval;
        self.skipped.store(if due { 0 } else { occasions }, Ordering::Relaxed);
        due
    }

    /// Counts an occasion on which no attempt was possible.
    #[inline(always)]
    pub fn skip(&self) {
        self.skipped.store(self.skipped.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// The occasions until the next attempt, for a caller that counts them itself.
    pub fn interval(&self, schedule: &Schedule) -> u32 {
        schedule.interval(self.failures.load(Ordering::Relaxed))
    }

    pub fn failed(&self) {
        let failures = self.failures.load(Ordering::Relaxed) + 1;
        self.failures.store(failures.min(MOST_FAILURES), Ordering::Relaxed);
    }

    /// The next failure is the first.
    #[inline(always)]
    pub fn succeeded(&self) {
        // A store would take the cache line from other threads each time.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Forgets half of the failures: for attempts that succeed only now and then.
    pub fn eased(&self) {
        self.failures.store(self.failures.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: Schedule = Schedule { tolerated: 2, first: 3, most: 10 };

    /// The occasions until the next attempt.
    fn wait(backoff: &Backoff) -> usize {
        (1..).find(|_| backoff.is_due(&SCHEDULE)).unwrap()
    }

    #[test]
    fn the_interval_doubles_after_each_failure_up_to_its_limit() {
        let backoff = Backoff::default();
        let waits = [(); 6].map(|()| {
            let wait = wait(&backoff);
            backoff.failed();
            wait
        });
        assert_eq!(waits, [1, 1, 3, 6, 10, 10]);
    }

    #[test]
    fn a_success_ends_the_back_off() {
        let backoff = Backoff::default();
        (0..5).for_each(|_| backoff.failed());
        backoff.succeeded();
        assert_eq!((wait(&backoff), wait(&backoff)), (1, 1));
    }

    #[test]
    fn a_partial_success_shortens_it() {
        let backoff = Backoff::default();
        (0..6).for_each(|_| backoff.failed());
        backoff.eased();
        assert_eq!(wait(&backoff), 6);
    }

    #[test]
    fn skipped_occasions_count() {
        let backoff = Backoff::default();
        (0..2).for_each(|_| backoff.failed());
        backoff.skip();
        assert_eq!(wait(&backoff), 2);
    }

    #[test]
    fn endless_failures_overflow_nothing() {
        let backoff = Backoff::default();
        (0..100).for_each(|_| backoff.failed());
        assert_eq!(backoff.interval(&Schedule { tolerated: 0, first: 1, most: u32::MAX }), u32::MAX);
        assert_eq!(backoff.interval(&SCHEDULE), 10);
    }
}
