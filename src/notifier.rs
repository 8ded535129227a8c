//! Signals the descriptor of a context. A signal is requested under the context's lock and made without it: the thread that
//! it wakes takes that lock next, and would only fall asleep on it.

#[cfg(not(loom))]
use std::thread;

#[cfg(loom)]
use loom::thread;

use std::ffi::c_void;

use crate::error::Result;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sys::fd::{AsRawFd, RawFd};
use crate::sys::pollable::{Edges, Pollable};
use crate::sys::{Descriptors, Signal};

/// Set while a signal is requested and no thread has begun it. The first thread that does makes it for all.
const REQUESTED: u64 = 1;
/// One signal begun. Their number is above the flag.
const BEGUN: u64 = 2;

pub struct Notifier<D = Pollable> {
    stage: AtomicU64,
    /// Signals that are on the descriptor, or were.
    made: AtomicU64,
    /// Signals that were cleared from the descriptor; changed under the lock.
    cleared: AtomicU64,
    descriptor: D,
}

impl Notifier {
    pub fn new() -> Result<Self> {
        Ok(Self::of(Pollable::new()?))
    }

    /// Becomes readable with each further signal.
    pub fn edges(&self) -> Result<Edges> {
        Edges::new(&self.descriptor)
    }

    /// The descriptor that event loops watch.
    pub fn for_loops(&self) -> Result<RawFd> {
        self.descriptor.for_loops()
    }

    /// The HANDLE that a Windows program waits for; ENOSYS elsewhere.
    pub fn event_handle(&self) -> Result<*mut c_void> {
        self.descriptor.event_handle()
    }

    pub fn descriptors(&self) -> [Option<RawFd>; 2] {
        self.descriptor.descriptors()
    }
}

impl<D: Signal> Notifier<D> {
    fn of(descriptor: D) -> Self {
        Self { stage: AtomicU64::new(0), made: AtomicU64::new(0), cleared: AtomicU64::new(0), descriptor }
    }

    /// Under the lock: the descriptor must become readable. True if the caller must call [`Self::signal`].
    pub fn request(&self) -> bool {
        // Release pairs with the Acquire in `signal`. The lock guards what the signal announces.
        self.stage.fetch_or(REQUESTED, Ordering::Release) & REQUESTED == 0
    }

    /// Under the lock: a signal is requested and no thread has begun it. Any thread may.
    pub fn is_requested(&self) -> bool {
        // Relaxed: `signal` checks again.
        self.stage.load(Ordering::Relaxed) & REQUESTED != 0
    }

    /// Under the lock: begins a signal if one is requested, or if a thread that began one may be held up. True if
    /// [`Self::finish_signal`] must follow, without the lock. After that the descriptor is readable.
    pub fn begin_signal(&self) -> bool {
        // Acquire of both pairs with `finish_signal`.
        let stage = self.stage.load(Ordering::Acquire);
        let late = stage & REQUESTED != 0 || stage / BEGUN != self.made.load(Ordering::Acquire);
        if late {
            // AcqRel pairs with `signal`, which then has nothing to do.
            let begin = |stage: u64| Some((stage & !REQUESTED) + BEGUN);
            self.stage.fetch_update(Ordering::AcqRel, Ordering::Acquire, begin).ok();
        }
        late
    }

    /// Without the lock, after [`Self::request`] returned true.
    pub fn signal(&self) {
        let begin = |stage: u64| (stage & REQUESTED != 0).then(|| (stage & !REQUESTED) + BEGUN);
        // AcqRel pairs with `request` and `clear`, which knows of each signal that was begun.
        if self.stage.fetch_update(Ordering::AcqRel, Ordering::Acquire, begin).is_ok() {
            self.finish_signal();
        }
    }

    pub fn finish_signal(&self) {
        // Release of both pairs with `begin_signal`.
        if self.descriptor.signal() {
            self.made.fetch_add(1, Ordering::Release);
        } else {
            // The counter is full, so the descriptor is readable. Release also pairs with `clear`, which does not wait for
            // this signal any more.
            self.stage.fetch_sub(BEGUN, Ordering::Release);
        }
    }

    /// Under the lock: withdraws a request, and makes the descriptor not readable. Waits for a signal that was begun, which
    /// arrives in a moment: its thread needs no lock before.
    pub fn clear(&self) {
        // AcqRel pairs with `signal`.
        self.stage.fetch_and(!REQUESTED, Ordering::AcqRel);
        let mut cleared = self.cleared.load(Ordering::Relaxed);
        loop {
            let count = self.descriptor.clear();
            // Acquire pairs with `signal`.
            let begun = self.stage.load(Ordering::Acquire) / BEGUN;
            // A descriptor that cannot be read never shows the signal.
            cleared = count.map_or(begun, |count| cleared + count);
            if cleared >= begun {
                return self.cleared.store(begun, Ordering::Relaxed);
            }
            thread::yield_now();
        }
    }
}

impl AsRawFd for Notifier {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

#[cfg(all(test, loom))]
mod tests {
    use super::*;
    use crate::sys::model::Counter;
    use loom::sync::{Arc, Mutex};

    /// The state under a context's lock.
    #[derive(Default)]
    struct PendingEvents {
        waiting: u32,
        signalled: bool,
    }

    fn finish(events: &Mutex<PendingEvents>, notifier: &Notifier<Counter>) {
        let mut state = events.lock().unwrap();
        state.waiting += 1;
        let signals = !std::mem::replace(&mut state.signalled, true) && notifier.request();
        drop(state);
        if signals {
            notifier.signal();
        }
    }

    fn take(events: &Mutex<PendingEvents>, notifier: &Notifier<Counter>) {
        let mut state = events.lock().unwrap();
        if std::mem::take(&mut state.signalled) {
            notifier.clear();
        }
        state.waiting = 0;
        assert!(!notifier.descriptor.is_readable(), "readable without a pending completion");
    }

    #[test]
    fn the_descriptor_is_readable_exactly_while_completions_are_pending() {
        loom::model(|| {
            let events = Arc::new(Mutex::new(PendingEvents::default()));
            let notifier = Arc::new(Notifier::of(Counter::new()));
            let workers = [(); 2].map(|()| {
                let (events, notifier) = (events.clone(), notifier.clone());
                thread::spawn(move || finish(&events, &notifier))
            });
            take(&events, &notifier);
            workers.map(|worker| worker.join().unwrap());
            assert_eq!(events.lock().unwrap().waiting > 0, notifier.descriptor.is_readable());
            take(&events, &notifier);
        });
    }

    #[test]
    fn a_thread_that_knows_of_a_completion_finds_the_descriptor_readable() {
        loom::model(|| {
            let events = Arc::new(Mutex::new(PendingEvents::default()));
            let notifier = Arc::new(Notifier::of(Counter::new()));
            let worker = {
                let (events, notifier) = (events.clone(), notifier.clone());
                thread::spawn(move || finish(&events, &notifier))
            };
            let state = events.lock().unwrap();
            let waits = state.waiting > 0;
            let begun = waits && notifier.begin_signal();
            drop(state);
            if begun {
                notifier.finish_signal();
            }
            assert!(!waits || notifier.descriptor.is_readable());
            worker.join().unwrap();
            take(&events, &notifier);
        });
    }
}
