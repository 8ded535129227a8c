//! Finished operations and the descriptor that says so.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use crate::error::Result;
use crate::fork_list::{Entry, ForkList};
use crate::notice::Notice;
use crate::op::Op;
use crate::sys::fs;
use crate::sys::mem::room;

/// What became of one operation.
#[derive(Clone, Copy)]
pub struct Event {
    pub user_data: u64,
    /// The system call's result, or a negative errno.
    pub result: i64,
}

/// Where events go.
pub trait Sink {
    /// How many it still takes.
    fn room(&self) -> u32;
    /// Only while there is room.
    fn put(&mut self, event: Event);
}

/// For who takes no events.
pub struct Nowhere;

impl Sink for Nowhere {
    fn room(&self) -> u32 {
        0
    }
    fn put(&mut self, _: Event) {}
}

/// Events that nobody has taken yet, and the descriptor that is readable while there are some.
///
/// The kernel writes to the same descriptor for what it finishes natively, so it may be readable without `signalled`.
/// Who clears it must look for native completions afterwards: their signal may be what was cleared.
pub struct Completions {
    waiting: VecDeque<Finished>,
    /// How many events hold a descriptor that an open returned.
    opened: u32,
    /// Lists those descriptors.
    fds: Arc<ForkList>,
    notice: Arc<Notice>,
    /// This library has written to the descriptor since it was last cleared, or is about to.
    signalled: bool,
    /// The kernel has written to it since, or is about to, for what was taken in already.
    stale: bool,
    /// Sleepers that have seen all that waits and want to hear of each further event.
    edge_sleepers: u32,
    /// Threads that wait busily and take events next, so that the descriptor need not hear of them.
    collectors: u32,
    /// Events were added that the descriptor has not been told of.
    untold: bool,
    /// It is to be told now; else a little later will do.
    urgent: bool,
    /// How often it was told, or nothing was left to tell.
    tellings: u64,
}

/// An event that waits to be taken.
#[derive(Clone, Copy)]
pub struct Finished {
    pub event: Event,
    /// The result is a descriptor, which is the context's until the event is taken.
    opened: Option<Entry>,
}

impl Completions {
    pub fn new(capacity: usize, fds: Arc<ForkList>) -> Result<Self> {
        Ok(Self {
            opened: 0,
            fds,
            waiting: room(capacity)?.into(),
            notice: Arc::new(Notice::new()?),
            signalled: false,
            stale: false,
            edge_sleepers: 0,
            collectors: 0,
            untold: false,
            urgent: false,
            tellings: 0,
        })
    }

    pub fn fd(&self) -> RawFd {
        self.notice.as_raw_fd()
    }

    /// What [`Self::tell`] asks to be made.
    pub fn notice(&self) -> Arc<Notice> {
        self.notice.clone()
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The event of an operation, which [`Self::push`] follows for.
    pub fn finished(&mut self, op: &Op, result: i64) -> Finished {
        let opened = op.code.opens_fd() && result >= 0;
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

    /// Adds an event; [`Self::tell`] follows before the lock is given back, unless it is taken before.
    pub fn push(&mut self, finished: Finished) {
        self.waiting.push_back(finished);
        self.untold = true;
    }

    /// True if events wait that the descriptor does not show yet: then [`Notice::make`] must follow, without the lock.
    #[must_use]
    pub fn tell(&mut self) -> bool {
        if self.collectors > 0 {
            return false;
        }
        self.urgent = false;
        self.tellings += 1;
        let untold = std::mem::take(&mut self.untold);
        if self.waiting.is_empty() {
            return false;
        }
        if self.signalled && !(untold && self.edge_sleepers > 0) {
            // Whoever was to make it may be held up.
            return self.notice.is_wanted();
        }
        self.signalled = true;
        self.notice.want()
    }

    /// The same for a caller of the library, who can know of an event that another thread is only about to show: true if
    /// [`Notice::complete`] must follow, without the lock.
    #[must_use]
    pub fn show(&mut self) -> bool {
        let wanted = self.tell();
        (wanted || !self.waiting.is_empty() && self.collectors == 0) && self.notice.begin()
    }

    /// [`Self::tell`], but only if [`Self::hurry`] asked for it: who calls this sees to it that somebody does in a moment.
    #[must_use]
    pub fn tell_if_urgent(&mut self) -> bool {
        self.urgent && self.tell()
    }

    /// While this stays the same, what waits has not been told.
    pub fn tellings(&self) -> u64 {
        self.tellings
    }

    /// What waits is to be told now.
    pub fn hurry(&mut self) {
        self.urgent = true;
    }

    /// Makes the descriptor not readable. Look for native completions next, then [`Self::tell`].
    pub fn clear(&mut self) {
        self.notice.clear();
        (self.signalled, self.stale) = (false, false);
    }

    /// Whether the descriptor must be cleared so that taking `room` events leaves it truthful.
    pub fn clear_is_due(&self, room: u32) -> bool {
        (self.signalled || self.stale) && self.waiting.len() <= room as usize
    }

    /// Native completions were taken in that the descriptor may still show, or come to show.
    pub fn is_stale(&mut self) {
        self.stale = true;
    }

    /// Moves events out, oldest first; returns how many.
    pub fn take(&mut self, sink: &mut impl Sink) -> u32 {
        let count = self.waiting.len().min(sink.room() as usize);
        if self.opened > 0 {
            self.hand_over(count);
        }
        for finished in self.waiting.drain(..count) {
            sink.put(finished.event);
        }
        if self.waiting.is_empty() {
            self.tellings += 1;
            (self.untold, self.urgent) = (false, false);
        }
        count as u32
    }

    /// The descriptors in the next `count` events become the caller's.
    #[cold]
    fn hand_over(&mut self, count: usize) {
        for entry in self.waiting.range_mut(..count).filter_map(|finished| finished.opened.take()) {
            self.opened -= 1;
            self.fds.remove(entry);
        }
    }

    /// Drops all events; returns how many, and hands the descriptors in them to `close`.
    pub fn discard(&mut self, mut close: impl FnMut(RawFd)) -> u32 {
        let count = self.waiting.len() as u32;
        for Finished { event, opened } in self.waiting.drain(..) {
            if let Some(entry) = opened {
                self.opened -= 1;
                self.fds.remove(entry);
                close(event.result as RawFd);
            }
        }
        count
    }

    pub fn collector_comes(&mut self) {
        self.collectors += 1;
    }

    /// [`Self::tell`] of what it does not take.
    pub fn collector_goes(&mut self) {
        self.collectors -= 1;
    }

    pub fn edge_sleeper_comes(&mut self) {
        self.edge_sleepers += 1;
    }

    pub fn edge_sleeper_goes(&mut self) {
        self.edge_sleepers -= 1;
    }
}
