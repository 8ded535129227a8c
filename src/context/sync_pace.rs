//! Whether syncs should wait for writes that they could serve: where a sync costs the same whatever it serves, that halves
//! their number; where it costs by the page, the disk only idles meanwhile. Both ways are timed, and the cheaper one taken.

use std::time::{Duration, Instant};

use crate::backoff::{Backoff, Schedule};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    AtOnce,
    Together,
}

/// Which way syncs go, and what a request cost on either.
pub struct SyncPace {
    way: Way,
    /// Nanoseconds for each request served, of late; 0: not known.
    costs: [u64; 2],
    /// Syncs until the way is chosen anew.
    left: u32,
    /// The other way is being tried.
    trying: bool,
    /// The trials that did not pay.
    backoff: Backoff,
    /// Waits in vain in a row.
    in_vain: u32,
    /// When the last sync ended.
    ended: Option<Instant>,
}

/// Syncs after a change of way that are not counted, and those that are.
const SETTLING: u32 = 2;
const TRIAL: u32 = 8;
/// Syncs until the other way is tried.
const RETRY: Schedule = Schedule { tolerated: 0, first: 64, most: 64 << 5 };

impl Default for SyncPace {
    fn default() -> Self {
        let left = SETTLING + TRIAL;
        Self {
            way: Way::Together,
            costs: [0, 0],
            left,
            trying: false,
            backoff: Backoff::default(),
            in_vain: 0,
            ended: None,
        }
    }
}

impl SyncPace {
    pub fn together(&self) -> bool {
        self.way == Way::Together
    }

    /// A sync waited in vain. After a few in a row, which no hiccup explains, none waits again soon.
    pub fn waited_in_vain(&mut self) {
        const FEW: u32 = 4;
        self.in_vain += 1;
        if self.in_vain < FEW {
            return;
        }
        (self.way, self.trying, self.left) = (Way::AtOnce, false, self.backoff.interval(&RETRY));
        self.backoff.failed();
        self.in_vain = 0;
    }

    /// A sync waited, and not in vain.
    pub fn waited_well(&mut self) {
        self.in_vain = 0;
    }

    /// A sync that took `took` ended and served `served` requests.
    pub fn ended(&mut self, served: u32, took: Duration, now: Instant) {
        let since = self.ended.replace(now).map(|before| now.duration_since(before));
        // A longer pause is the caller's. Who is alone is served alone either way.
        let Some(since) = since.filter(|since| *since < took * 4) else { return };
        if served < 2 && self.way == Way::Together {
            return;
        }
        self.left = self.left.saturating_sub(1);
        if !self.trying || self.left < TRIAL {
            let cost = &mut self.costs[self.way as usize];
            let new = since.as_nanos() as u64 / u64::from(served);
            *cost = if *cost == 0 { new } else { (*cost * 7 + new) / 8 };
        }
        if self.left == 0 {
            self.choose();
        }
    }

    fn choose(&mut self) {
        let other = if self.way == Way::Together { Way::AtOnce } else { Way::Together };
        let (here, there) = (self.costs[self.way as usize], self.costs[other as usize]);
        if !self.trying {
            // What it cost once may be long ago.
            self.costs[other as usize] = 0;
            (self.way, self.trying, self.left) = (other, true, SETTLING + TRIAL);
            return;
        }
        let paid = here < there;
        if paid {
            self.backoff.succeeded();
        } else {
            self.backoff.failed();
            self.way = other;
        }
        (self.trying, self.left) = (false, self.backoff.interval(&RETRY));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs syncs whose requests cost what `cost` says; returns how many of the last hundred went together.
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
    fn the_cheaper_way_wins() {
        assert!(run(|together| if together { 10 } else { 15 }) > 80);
        assert!(run(|together| if together { 15 } else { 10 }) < 20);
    }

    #[test]
    fn after_waiting_often_in_vain_syncs_start_at_once() {
        let mut pace = SyncPace::default();
        for _ in 0..3 {
            pace.waited_in_vain();
        }
        assert!(pace.together(), "that may have been a hiccup");
        pace.waited_in_vain();
        assert!(!pace.together());
    }
}
