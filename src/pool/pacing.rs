//! How many worker threads run operations of the fast class. Operations that the page cache completes in a few microseconds
//! are short-running: waking a thread takes longer than the operation. Of those, writes run on one thread, as file systems
//! lock the file, and reads on as many processors as the caller leaves free.

use std::time::Duration;

use crate::backoff::{Backoff, Schedule};
use crate::spin::cores;

pub struct Pacing {
    /// A moving average of durations, as a part of the longest short-running one's, which is [`LONGEST`].
    average: u64,
    /// The threads for short-running operations of the kind that ended last.
    width: u32,
    /// The processors that the caller leaves free. Found out when the context is made, as [`cores`] may read files.
    free_cores: u32,
    backoff: Backoff,
}

const LONGEST: u64 = 1024;

/// A write that takes longer is worth waking another thread for.
const SHORT_WRITE: Duration = Duration::from_micros(100);

/// A read that takes longer, by so much for each KiB, does not come from the page cache. The fastest disks take three times as
/// long.
const SHORT_READ: Duration = Duration::from_micros(20);
const COPY_KIB: Duration = Duration::from_nanos(200);

/// Operations until few threads are tried again.
const RETRY: Schedule = Schedule { tolerated: 0, first: 64, most: 64 << 6 };

impl Pacing {
    pub fn new() -> Self {
        Self { average: 0, width: 1, free_cores: cores().saturating_sub(1).max(1), backoff: Backoff::default() }
    }

    pub fn is_short_running(&self) -> bool {
        self.average < LONGEST
    }

    /// How many operations may run at once.
    pub fn limit(&self) -> u32 {
        if self.is_short_running() { self.width } else { u32::MAX }
    }

    /// Takes in how long an operation took. Many at once wait for each other, so only those that ran on few threads count;
    /// few threads are tried again now and then.
    pub fn took(&mut self, reads: bool, len: u64, time: Duration) {
        if !self.is_short_running() {
            if self.backoff.is_due(&RETRY) {
                self.backoff.failed();
                self.average = LONGEST / 2;
            }
            return;
        }
        let longest = if reads { SHORT_READ + COPY_KIB * (len >> 10).min(1 << 10) as u32 } else { SHORT_WRITE };
        self.width = if reads { self.free_cores } else { 1 };
        // Bounded, as a single one may have been interrupted for long.
        let part = (time.as_nanos() as u64 * LONGEST / longest.as_nanos() as u64).min(LONGEST * 4);
        self.average = (self.average * 7 + part) / 8;
        if self.average < LONGEST / 4 {
            self.backoff.succeeded();
        }
    }

    /// An operation that was thought to be short-running does not end.
    pub fn is_stuck(&mut self) {
        self.average = LONGEST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_micros(2);
    const LONG: Duration = Duration::from_millis(2);

    /// The writes that take so long until few threads are tried again.
    fn writes_until_a_retry(pacing: &mut Pacing) -> usize {
        (1..)
            .find(|_| {
                pacing.took(false, 4096, LONG);
                pacing.is_short_running()
            })
            .unwrap()
    }

    fn slow_down(pacing: &mut Pacing) {
        while pacing.is_short_running() {
            pacing.took(false, 4096, LONG);
        }
    }

    #[test]
    fn short_writes_run_on_one_thread_and_short_reads_on_the_other_processors() {
        let mut pacing = Pacing::new();
        pacing.took(false, 4096, SHORT);
        assert_eq!(pacing.limit(), 1);
        pacing.took(true, 4096, SHORT);
        assert_eq!(pacing.limit(), cores().saturating_sub(1).max(1));
    }

    #[test]
    fn long_operations_run_on_all_threads() {
        let mut pacing = Pacing::new();
        slow_down(&mut pacing);
        assert_eq!(pacing.limit(), u32::MAX);
    }

    #[test]
    fn one_interruption_changes_nothing() {
        let mut pacing = Pacing::new();
        (0..10).for_each(|_| pacing.took(false, 4096, SHORT));
        pacing.took(false, 4096, Duration::from_secs(1));
        assert!(pacing.is_short_running());
    }

    #[test]
    fn few_threads_are_tried_more_and_more_rarely() {
        let mut pacing = Pacing::new();
        slow_down(&mut pacing);
        let first = writes_until_a_retry(&mut pacing);
        slow_down(&mut pacing);
        assert_eq!((first, writes_until_a_retry(&mut pacing)), (64, 128));
    }

    #[test]
    fn a_stuck_operation_lets_the_others_run_on_more_threads() {
        let mut pacing = Pacing::new();
        pacing.is_stuck();
        assert_eq!(pacing.limit(), u32::MAX);
    }

    #[test]
    fn a_long_copy_from_the_page_cache_is_short_running() {
        let mut pacing = Pacing::new();
        (0..50).for_each(|_| pacing.took(true, 1 << 20, Duration::from_micros(150)));
        assert!(pacing.is_short_running());
        (0..50).for_each(|_| pacing.took(true, 4096, Duration::from_micros(150)));
        assert!(!pacing.is_short_running());
    }
}
