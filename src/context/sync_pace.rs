//! Decides whether a sync should wait for writes that it could serve. Where a sync costs the same for any amount of data,
//! waiting halves their number. Where it costs by the page, waiting leaves the disk idle. Both are timed.

use std::time::{Duration, Instant};

use crate::backoff::{Backoff, Schedule};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    AtOnce,
    Together,
}

/// The mode in use, and what an operation cost in either.
pub struct SyncPace {
    mode: Mode,
    /// A moving average of the nanoseconds for each operation served. 0 if unknown.
    costs: [u64; 2],
    /// Syncs until the next choice.
    left: u32,
    /// The other mode is being tried.
    trying: bool,
    /// The trials that did not help.
    backoff: Backoff,
    /// Failed waits in a row.
    failed_waits: u32,
    /// When the last sync ended.
    ended: Option<Instant>,
}

/// After a change of mode: the syncs that do not count, and those that do.
const SETTLING: u32 = 2;
const TRIAL: u32 = 8;
/// Syncs until the other mode is tried.
const RETRY: Schedule = Schedule { tolerated: 0, first: 64, most: 64 << 5 };

impl Default for SyncPace {
    fn default() -> Self {
        let left = SETTLING + TRIAL;
        Self {
            mode: Mode::Together,
            costs: [0, 0],
            left,
            trying: false,
            backoff: Backoff::default(),
            failed_waits: 0,
            ended: None,
        }
    }
}

impl SyncPace {
    pub fn together(&self) -> bool {
        self.mode == Mode::Together
    }

    /// A sync waited and served no more for it. After a few in a row, syncs start at once for a while.
    pub fn wait_failed(&mut self) {
        const FEW: u32 = 4;
        self.failed_waits += 1;
        if self.failed_waits < FEW {
            return;
        }
        (self.mode, self.trying, self.left) = (Mode::AtOnce, false, self.backoff.interval(&RETRY));
        self.backoff.failed();
        self.failed_waits = 0;
    }

    /// A sync waited and served more for it.
    pub fn wait_helped(&mut self) {
        self.failed_waits = 0;
    }

    /// A sync ended after `took` and served `served` operations.
    pub fn ended(&mut self, served: u32, took: Duration, now: Instant) {
        let since = self.ended.replace(now).map(|before| now.duration_since(before));
        // A longer pause is the caller's. A single caller is served alone in either mode.
        let Some(since) = since.filter(|since| *since < took * 4) else { return };
        if served < 2 && self.mode == Mode::Together {
            return;
        }
        self.left = self.left.saturating_sub(1);
        if !self.trying || self.left < TRIAL {
            let cost = &mut self.costs[self.mode as usize];
            let new = since.as_nanos() as u64 / u64::from(served);
            *cost = if *cost == 0 { new } else { (*cost * 7 + new) / 8 };
        }
        if self.left == 0 || self.is_much_worse() {
            self.choose();
        }
    }

    /// A trial that costs this much has shown enough: it delays every operation.
    fn is_much_worse(&self) -> bool {
        const FEW: u32 = 2;
        const MUCH: u64 = 2;
        let other = if self.mode == Mode::Together { Mode::AtOnce } else { Mode::Together };
        let [here, there] = [self.mode, other].map(|mode| self.costs[mode as usize]);
        self.trying && self.left <= TRIAL - FEW && there > 0 && here > there * MUCH
    }

    fn choose(&mut self) {
        let other = if self.mode == Mode::Together { Mode::AtOnce } else { Mode::Together };
        let (here, there) = (self.costs[self.mode as usize], self.costs[other as usize]);
        if !self.trying {
            // The cost may have changed since.
            self.costs[other as usize] = 0;
            (self.mode, self.trying, self.left) = (other, true, SETTLING + TRIAL);
            return;
        }
        let helped = here < there;
        if helped {
            self.backoff.succeeded();
        } else {
            self.backoff.failed();
            self.mode = other;
        }
        (self.trying, self.left) = (false, self.backoff.interval(&RETRY));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs syncs at the given cost. Returns how many of the last hundred waited for others.
    fn run(cost: impl Fn(bool) -> u64) -> usize {
        let mut pace = SyncPace::default();
        let mut now = Instant::now();
        let mut together = Vec::new();
        for _ in 0..3000 {
            let served = 8;
            let took = Duration::from_nanos(cost(pace.together()) * u64::from(served));
            now += took;
            pace.ended(served, took, now);
            together.push(pace.together());
        }
        together[2900..].iter().filter(|together| **together).count()
    }

    #[test]
    fn the_cheaper_mode_wins() {
        assert!(run(|together| if together { 10 } else { 15 }) > 80);
        assert!(run(|together| if together { 15 } else { 10 }) < 20);
    }

    #[test]
    fn a_mode_that_costs_much_more_is_tried_for_a_few_syncs() {
        let tried = |factor: u64| {
            let (mut pace, mut now) = (SyncPace::default(), Instant::now());
            let syncs = (0..30).filter(|_| {
                let took = Duration::from_nanos(if pace.together() { 800 } else { 800 * factor });
                now += took;
                pace.ended(8, took, now);
                !pace.together()
            });
            syncs.count() as u32
        };
        assert_eq!(tried(3), SETTLING + 2);
        assert_eq!(tried(1), SETTLING + TRIAL);
    }

    #[test]
    fn after_several_failed_waits_syncs_start_at_once() {
        let mut pace = SyncPace::default();
        for _ in 0..3 {
            pace.wait_failed();
        }
        assert!(pace.together(), "that may have been a hiccup");
        pace.wait_failed();
        assert!(!pace.together());
    }
}
