//! Notice of events, on its way to a context's descriptor. It is decided under the context's lock and made without it:
//! the thread that it wakes wants that lock next, and would only fall asleep on it.

use std::os::fd::{AsRawFd, RawFd};

use crate::error::Result;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sys::eventfd::{EventFd, Signal};

const IDLE: u32 = 0;
/// Decided; whoever makes it first makes it for all.
const WANTED: u32 = 1;
/// Somebody is writing to the descriptor.
const UNDER_WAY: u32 = 2;

pub struct Notice<D = EventFd> {
    stage: AtomicU32,
    descriptor: D,
}

impl Notice {
    pub fn new() -> Result<Self> {
        Ok(Self { stage: AtomicU32::new(IDLE), descriptor: EventFd::new()? })
    }
}

impl<D: Signal> Notice<D> {
    fn moves(&self, from: u32, to: u32) -> std::result::Result<u32, u32> {
        // AcqRel and Acquire pair with each other: each stage follows what the thread did that set the one before.
        self.stage.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
    }

    /// Under the lock: the descriptor is to become readable. True if the caller must [`Self::make`] it so.
    pub fn want(&self) -> bool {
        match self.moves(IDLE, WANTED) {
            Ok(_) => true,
            // What is being written may have been cleared already.
            Err(UNDER_WAY) => {
                self.descriptor.signal();
                false
            }
            Err(_) => false,
        }
    }

    /// Without the lock, after [`Self::want`] said so.
    pub fn make(&self) {
        if self.moves(WANTED, UNDER_WAY).is_ok() {
            self.descriptor.signal();
            // Release pairs with the next stage's Acquire.
            self.stage.store(IDLE, Ordering::Release);
        }
    }

    /// Under the lock: takes back what is not made yet, and makes the descriptor not readable. True if a write that is
    /// under way may yet make it so: clear it again.
    pub fn clear(&self) -> bool {
        let under_way = self.moves(WANTED, IDLE) == Err(UNDER_WAY);
        self.descriptor.clear();
        under_way
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
    use crate::sync::atomic::AtomicBool;
    use loom::sync::{Arc, Mutex};
    use loom::thread;

    /// An eventfd: every access orders as a system call does.
    struct Flag(AtomicBool);

    impl Signal for Flag {
        fn signal(&self) {
            self.0.store(true, Ordering::SeqCst);
        }
        fn clear(&self) {
            self.0.store(false, Ordering::SeqCst);
        }
    }

    /// What a context's lock guards.
    #[derive(Default)]
    struct Events {
        waiting: u32,
        signalled: bool,
        stale: bool,
    }

    fn finish(events: &Mutex<Events>, notice: &Notice<Flag>) {
        let mut state = events.lock().unwrap();
        state.waiting += 1;
        let make = !std::mem::replace(&mut state.signalled, true) && notice.want();
        drop(state);
        if make {
            notice.make();
        }
    }

    fn take(events: &Mutex<Events>, notice: &Notice<Flag>) {
        let mut state = events.lock().unwrap();
        if state.signalled || state.stale {
            (state.signalled, state.stale) = (false, notice.clear());
        }
        state.waiting = 0;
    }

    #[test]
    fn what_waits_is_shown_and_what_is_taken_is_not_for_long() {
        loom::model(|| {
            let events = Arc::new(Mutex::new(Events::default()));
            let notice = Arc::new(Notice { stage: AtomicU32::new(IDLE), descriptor: Flag(AtomicBool::new(false)) });
            let workers = [(); 2].map(|()| {
                let (events, notice) = (events.clone(), notice.clone());
                thread::spawn(move || finish(&events, &notice))
            });
            take(&events, &notice);
            workers.map(|worker| worker.join().unwrap());
            let shown = || notice.descriptor.0.load(Ordering::SeqCst);
            assert!(events.lock().unwrap().waiting == 0 || shown(), "an event waits and nobody is told");
            // A write that was under way costs one more look.
            take(&events, &notice);
            assert!(!shown(), "the descriptor shows what is not there");
        });
    }
}
