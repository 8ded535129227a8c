//! Notice of events, on its way to a context's descriptor. It is decided under the context's lock and made without it:
//! the thread that it wakes wants that lock next, and would only fall asleep on it.

use std::os::fd::{AsRawFd, RawFd};
#[cfg(not(loom))]
use std::thread;

#[cfg(loom)]
use loom::thread;

use crate::error::Result;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sys::eventfd::{EventFd, Signal};

/// Set while a signal is decided and nobody has begun to make it: who does so first makes it for all.
const WANTED: u64 = 1;
/// One signal begun; the number of them is above the flag.
const BEGUN: u64 = 2;

/// What one signal adds to the descriptor's counter, where the kernel adds ones of its own for what it finishes.
const OURS: u64 = 1 << 32;

pub struct Notice<D = EventFd> {
    stage: AtomicU64,
    /// Signals that are on the descriptor, or were.
    made: AtomicU64,
    /// Signals that were seen on the descriptor and cleared; changed under the lock.
    seen: AtomicU64,
    descriptor: D,
}

impl Notice {
    pub fn new() -> Result<Self> {
        Ok(Self::of(EventFd::new()?))
    }
}

impl<D: Signal> Notice<D> {
    fn of(descriptor: D) -> Self {
        Self { stage: AtomicU64::new(0), made: AtomicU64::new(0), seen: AtomicU64::new(0), descriptor }
    }

    /// Under the lock: the descriptor is to become readable. True if the caller must [`Self::make`] it so.
    pub fn want(&self) -> bool {
        // Release pairs with the Acquire in `make`; what is to be seen is under the lock anyway.
        self.stage.fetch_or(WANTED, Ordering::Release) & WANTED == 0
    }

    /// Under the lock: somebody is to make it, and has not begun. Anybody else may.
    pub fn is_wanted(&self) -> bool {
        // Relaxed: `make` looks again.
        self.stage.load(Ordering::Relaxed) & WANTED != 0
    }

    /// Under the lock: begins a signal of the caller's own, if one is wanted or another thread is at it: that one may be held
    /// up. True if [`Self::complete`] must follow, without the lock: then it is readable.
    pub fn begin(&self) -> bool {
        // Acquire of both pairs with `complete`.
        let stage = self.stage.load(Ordering::Acquire);
        let late = stage & WANTED != 0 || stage / BEGUN != self.made.load(Ordering::Acquire);
        if late {
            // AcqRel pairs with `make`, which then has nothing to do.
            let begin = |stage: u64| Some((stage & !WANTED) + BEGUN);
            self.stage.fetch_update(Ordering::AcqRel, Ordering::Acquire, begin).ok();
        }
        late
    }

    /// Without the lock, after [`Self::want`] said so.
    pub fn make(&self) {
        let begin = |stage: u64| (stage & WANTED != 0).then(|| (stage & !WANTED) + BEGUN);
        // AcqRel pairs with `want` and `clear`: that one knows of every signal that was begun.
        if self.stage.fetch_update(Ordering::AcqRel, Ordering::Acquire, begin).is_ok() {
            self.complete();
        }
    }

    /// Makes the signal that was begun.
    pub fn complete(&self) {
        // Release of both pairs with `begin`.
        if self.descriptor.add(OURS) {
            self.made.fetch_add(1, Ordering::Release);
        } else {
            // The counter is full, so readable already. Release pairs with `clear` too, which waits for this one no longer.
            self.stage.fetch_sub(BEGUN, Ordering::Release);
        }
    }

    /// Under the lock: takes back what is not begun, and makes the descriptor not readable. A signal that was begun arrives
    /// in a moment, so that is waited for; its thread wants nothing before.
    pub fn clear(&self) {
        // AcqRel pairs with `make`.
        self.stage.fetch_and(!WANTED, Ordering::AcqRel);
        let mut seen = self.seen.load(Ordering::Relaxed);
        loop {
            let cleared = self.descriptor.clear();
            // Acquire pairs with `make`.
            let begun = self.stage.load(Ordering::Acquire) / BEGUN;
            // Where it cannot be read, waiting for it is in vain.
            seen = cleared.map_or(begun, |cleared| seen + cleared / OURS);
            if seen >= begun {
                return self.seen.store(begun, Ordering::Relaxed);
            }
            thread::yield_now();
        }
    }
}

impl AsRawFd for Notice {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

#[cfg(all(test, loom))]
mod tests {
    use super::*;
    use crate::sys::eventfd::model::Counter;
    use loom::sync::{Arc, Mutex};

    /// What a context's lock guards.
    #[derive(Default)]
    struct Events {
        waiting: u32,
        signalled: bool,
    }

    fn finish(events: &Mutex<Events>, notice: &Notice<Counter>) {
        let mut state = events.lock().unwrap();
        state.waiting += 1;
        let make = !std::mem::replace(&mut state.signalled, true) && notice.want();
        drop(state);
        if make {
            notice.make();
        }
    }

    fn take(events: &Mutex<Events>, notice: &Notice<Counter>) {
        let mut state = events.lock().unwrap();
        if std::mem::take(&mut state.signalled) {
            notice.clear();
        }
        state.waiting = 0;
        assert!(!notice.descriptor.is_readable(), "the descriptor shows what is not there");
    }

    #[test]
    fn what_waits_is_shown_and_what_is_taken_is_not() {
        loom::model(|| {
            let events = Arc::new(Mutex::new(Events::default()));
            let notice = Arc::new(Notice::of(Counter::new()));
            let workers = [(); 2].map(|()| {
                let (events, notice) = (events.clone(), notice.clone());
                thread::spawn(move || finish(&events, &notice))
            });
            take(&events, &notice);
            workers.map(|worker| worker.join().unwrap());
            assert_eq!(events.lock().unwrap().waiting > 0, notice.descriptor.is_readable());
            take(&events, &notice);
        });
    }

    #[test]
    fn who_knows_of_an_event_finds_it_shown() {
        loom::model(|| {
            let events = Arc::new(Mutex::new(Events::default()));
            let notice = Arc::new(Notice::of(Counter::new()));
            let worker = {
                let (events, notice) = (events.clone(), notice.clone());
                thread::spawn(move || finish(&events, &notice))
            };
            let state = events.lock().unwrap();
            let waits = state.waiting > 0;
            let begun = waits && notice.begin();
            drop(state);
            if begun {
                notice.complete();
            }
            assert!(!waits || notice.descriptor.is_readable());
            worker.join().unwrap();
            take(&events, &notice);
        });
    }
}
