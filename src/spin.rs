//! Spinning for a short time instead of sleeping, where it helps. It becomes rare by itself where it does not.

use std::hint;
use std::sync::atomic;
use std::thread;
use std::time::{Duration, Instant};

use crate::backoff::{Backoff, Schedule};
use crate::sync::atomic::{AtomicU32, Ordering};

/// Whether spinning for one purpose helped so far.
#[derive(Default)]
pub struct Spin(Backoff);

impl Spin {
    pub fn is_worth_a_try(&self) -> bool {
        const RETRY: Schedule = Schedule { tolerated: 0, first: 1, most: 1024 };
        has_cores() && self.0.is_due(&RETRY)
    }

    pub fn ended(&self, helped: bool) {
        if helped { self.0.eased() } else { self.0.failed() }
    }
}

/// A counter that one thread advances under the context's lock, and that another watches without it.
#[derive(Default)]
pub struct EventCount(AtomicU32);

impl EventCount {
    pub fn current(&self) -> u32 {
        // Acquire pairs with `advance`.
        self.0.load(Ordering::Acquire)
    }

    pub fn advance(&self) {
        // Release pairs with `current`; the lock guards the data that it announces.
        self.0.fetch_add(1, Ordering::Release);
    }

    /// Spins until the count is `advances` beyond `seen`, or for `time` at most.
    pub fn spin_until(&self, seen: u32, advances: u32, time: Duration) {
        const LOOKS: u32 = 32;
        let start = Instant::now();
        loop {
            for _ in 0..LOOKS {
                if self.current().wrapping_sub(seen) >= advances {
                    return;
                }
                hint::spin_loop();
            }
            if start.elapsed() >= time {
                return;
            }
        }
    }
}

/// With one processor, a spinning thread keeps the other from running.
fn has_cores() -> bool {
    cores() > 1
}

/// The processors that this process may use. The first call may read files.
pub fn cores() -> u32 {
    // Not a OnceLock: fork(2) may leave it locked for ever in a child.
    static CORES: atomic::AtomicU32 = atomic::AtomicU32::new(0);
    // Relaxed: another thread finds the same number.
    match CORES.load(atomic::Ordering::Relaxed) {
        0 => {
            let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
            CORES.store(cores, atomic::Ordering::Relaxed);
            cores
        }
        known => known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spinning_that_does_not_help_becomes_rare() {
        if !has_cores() {
            return;
        }
        let spin = Spin::default();
        let tries = (0..1000).filter(|_| spin.is_worth_a_try().then(|| spin.ended(false)).is_some()).count();
        assert!((5..15).contains(&tries), "{tries}");
        (0..5).for_each(|_| spin.ended(true));
        (0..2).filter(|_| spin.is_worth_a_try()).for_each(drop);
        assert!(spin.is_worth_a_try());
    }
}
