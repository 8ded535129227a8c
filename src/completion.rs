//! Completions and the descriptor that is readable while some are pending.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::Result;
use crate::fork_list::{Entry, ForkList};
use crate::notifier::Notifier;
use crate::op::{Op, Role};
use crate::sys::fd::{AsRawFd, RawFd};
use crate::sys::fs;
use crate::sys::mem::room;

/// The completion of one operation, as the caller gets it.
#[derive(Clone, Copy)]
pub struct Event {
    pub user_data: u64,
    /// The system call's result, or a negative errno.
    pub result: i64,
}

/// The destination of events.
pub trait Sink {
    /// How many more events it takes.
    fn room(&self) -> u32;
    /// Call it only while there is room.
    fn put(&mut self, event: Event);
}

/// Takes no events.
pub struct Nowhere;

impl Sink for Nowhere {
    fn room(&self) -> u32 {
        0
    }
    fn put(&mut self, _: Event) {}
}

/// The pending events, and the descriptor that is readable while there are some.
///
/// The kernel signals the same descriptor for native completions, so it may be readable without `signalled`. After clearing
/// it, look for native completions: the signal may have been theirs.
pub struct Completions {
    pending: VecDeque<Finished>,
    /// How many events hold a descriptor that an open returned.
    opened: u32,
    /// Lists those descriptors.
    fds: Arc<ForkList>,
    notifier: Arc<Notifier>,
    /// The library has signalled the descriptor since it was last cleared, or will in a moment.
    signalled: bool,
    /// The kernel has too, or will, for completions that were already reaped.
    stale: bool,
    /// Threads in `caio_ctx_wait` that have seen all pending events and need a signal for each further one.
    edge_sleepers: u32,
    /// Threads that spin for events and take them next, so that the descriptor needs no signal.
    spinners: u32,
    /// Events were added since the last signal was requested.
    unsignalled: bool,
    /// The signal must come now, not a little later.
    urgent: bool,
    /// How often a signal was requested, or no event was left to signal.
    signal_rounds: u64,
}

/// A pending event.
#[derive(Clone, Copy)]
pub struct Finished {
    pub event: Event,
    /// Set if the result is a descriptor. It belongs to the context until the event is taken.
    opened: Option<Entry>,
}

impl Finished {
    /// An event that holds no descriptor.
    pub fn of(event: Event) -> Self {
        Self { event, opened: None }
    }
}

impl Completions {
    pub fn new(capacity: usize, fds: Arc<ForkList>) -> Result<Self> {
        Ok(Self {
            opened: 0,
            fds,
            pending: room(capacity)?.into(),
            notifier: Arc::new(Notifier::new()?),
            signalled: false,
            stale: false,
            edge_sleepers: 0,
            spinners: 0,
            unsignalled: false,
            urgent: false,
            signal_rounds: 0,
        })
    }

    pub fn fd(&self) -> RawFd {
        self.notifier.as_raw_fd()
    }

    /// The list of the descriptors that events hold.
    pub fn fds(&self) -> &ForkList {
        &self.fds
    }

    /// Makes the signals that are requested here.
    pub fn notifier(&self) -> Arc<Notifier> {
        self.notifier.clone()
    }

    pub fn len(&self) -> usize {
        self.pending.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// The completion of an operation; call [`Self::push`] with it.
    pub fn finished(&mut self, op: &Op, result: i64) -> Finished {
        let opened = op.code.opens_fd() && result >= 0 && op.role != Role::OpensForChain;
        let (result, opened) = if opened { self.list(result) } else { (result, None) };
        Finished { event: Event { user_data: op.user_data, result }, opened }
    }

    #[cold]
    fn list(&mut self, fd: i64) -> (i64, Option<Entry>) {
        match self.fds.add(fd as RawFd) {
            Ok(entry) => {
                self.opened += 1;
                (fd, Some(entry))
            }
            Err(errno) => {
                // A child of fork(2) could not close it.
                fs::close(fd as RawFd).ok();
                (errno.as_result(), None)
            }
        }
    }

    /// Adds an event. Call [`Self::request_signal`] before releasing the lock, unless the event is taken before.
    pub fn push(&mut self, finished: Finished) {
        self.pending.push_back(finished);
        self.unsignalled = true;
    }

    /// True if events are pending and the descriptor is not readable yet: then call [`Notifier::signal`] without the lock.
    #[must_use]
    pub fn request_signal(&mut self) -> bool {
        if self.spinners > 0 {
            return false;
        }
        self.urgent = false;
        self.signal_rounds += 1;
        let unsignalled = std::mem::take(&mut self.unsignalled);
        if self.pending.is_empty() {
            return false;
        }
        if self.signalled && !(unsignalled && self.edge_sleepers > 0) {
            // The thread that was to signal may be held up.
            return self.notifier.is_requested();
        }
        self.signalled = true;
        self.notifier.request()
    }

    /// The same for a caller of the library. It may know of an event whose signal another thread has not made yet. True if
    /// [`Notifier::finish_signal`] must follow, without the lock.
    #[must_use]
    pub fn begin_signal(&mut self) -> bool {
        let requested = self.request_signal();
        (requested || !self.pending.is_empty() && self.spinners == 0) && self.notifier.begin_signal()
    }

    /// [`Self::request_signal`] after [`Self::mark_urgent`]. Without that, the caller makes sure that a thread requests the
    /// signal in a moment.
    #[must_use]
    pub fn request_urgent_signal(&mut self) -> bool {
        self.urgent && self.request_signal()
    }

    /// While this stays the same, no signal was requested for the pending events.
    pub fn signal_rounds(&self) -> u64 {
        self.signal_rounds
    }

    /// The pending events need a signal now.
    pub fn mark_urgent(&mut self) {
        self.urgent = true;
    }

    /// Makes the descriptor not readable. Look for native completions next, then call [`Self::request_signal`].
    pub fn clear(&mut self) {
        self.notifier.clear();
        (self.signalled, self.stale) = (false, false);
    }

    /// Whether the descriptor must be cleared, as taking `room` events leaves none.
    pub fn clear_is_due(&self, room: u32) -> bool {
        (self.signalled || self.stale) && self.pending.len() <= room as usize
    }

    /// Native completions were reaped whose signal may still be on the descriptor, or arrive.
    pub fn is_stale(&mut self) {
        self.stale = true;
    }

    /// Moves events out, oldest first; returns how many.
    pub fn take(&mut self, sink: &mut impl Sink) -> u32 {
        let count = self.pending.len().min(sink.room() as usize);
        if self.opened > 0 {
            self.hand_over(count);
        }
        for finished in self.pending.drain(..count) {
            sink.put(finished.event);
        }
        if self.pending.is_empty() {
            self.signal_rounds += 1;
            (self.unsignalled, self.urgent) = (false, false);
        }
        count as u32
    }

    /// The descriptors in the next `count` events become the caller's.
    #[cold]
    fn hand_over(&mut self, count: usize) {
        for entry in self.pending.range_mut(..count).filter_map(|finished| finished.opened.take()) {
            self.opened -= 1;
            self.fds.remove(entry);
        }
    }

    /// Drops all events; returns how many, and hands the descriptors in them to `keep`, which are still in the list.
    pub fn discard(&mut self, mut keep: impl FnMut(RawFd, Entry)) -> u32 {
        let count = self.pending.len() as u32;
        for Finished { event, opened } in self.pending.drain(..) {
            if let Some(entry) = opened {
                self.opened -= 1;
                keep(event.result as RawFd, entry);
            }
        }
        count
    }

    pub fn spinner_comes(&mut self) {
        self.spinners += 1;
    }

    /// Call [`Self::request_signal`] for the events that it does not take.
    pub fn spinner_goes(&mut self) {
        self.spinners -= 1;
    }

    pub fn edge_sleeper_comes(&mut self) {
        self.edge_sleepers += 1;
    }

    pub fn edge_sleeper_goes(&mut self) {
        self.edge_sleepers -= 1;
    }
}
