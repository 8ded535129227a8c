//! The state under a context's lock, and how an operation gets from place to place. No system call that can block is made
//! here: those follow as [`super::chores::Chores`] once the lock is free.

use std::sync::Arc;

use super::chain_file::ChainFile;
use super::deadline::Deadlines;
use super::poller::PollerHandle;
use super::probes::{self, Path};
use super::submit::Batch;
use super::sync_group::Group;
use super::sync_pace::SyncPace;
use super::workers::Worker;
use super::{Shared, Stats};
use crate::backend::{Native, Rules};
use crate::completion::{Completions, Finished, Sink};
use crate::error::{Errno, Result};
use crate::fd::Remembered;
use crate::fork_list::{Entry, Listed};
use crate::op::{Code, Op, Role};
use crate::pool::Pool;
use crate::slab::{List, NONE, Place, Slab, Slot};
use crate::spin::Spin;
use crate::sys::fd::RawFd;
use crate::sys::mem::room;
use crate::sys::pollable::Edges;
use crate::sys::timer;

pub const CANCELED: Errno = Errno(libc::ECANCELED);

pub struct State {
    pub slab: Slab,
    pub done: Completions,
    pub counters: Stats,
    pub pool: Pool,
    pub native: Native,
    pub rules: Rules,
    /// Operations that wait for room in the kernel's queue.
    pub backlog: List,
    pub deadlines: Deadlines,
    /// Places that running submits have reserved. They count in `counters.in_flight`.
    pub set_aside: u32,
    /// Syncs that run or are queued, and the operations that wait for them.
    pub syncs: Vec<Group>,
    pub sync_pace: SyncPace,
    /// The poller, once it is started.
    pub poller: Option<Arc<PollerHandle>>,
    /// Stream operations on their way to the poller.
    pub inbox: List,
    /// Stream operations that the poller must stop.
    pub stopping: List,
    /// Descriptors that chains have opened.
    pub chain_files: Vec<ChainFile>,
    /// Descriptors to whose readers, if true, or writers a thread came back from a call that nothing can stop.
    pub returned: Vec<(RawFd, bool)>,
    /// The poller must check this state.
    pub poke: bool,
    /// It was signalled to.
    pub poked: bool,
    /// The time at which the timer of the poller fires.
    armed: Option<u64>,
    pub workers: Vec<Worker>,
    /// Whether spinning for work helps.
    pub idle_spin: Spin,
    /// Whether spinning for events helps.
    pub event_spin: Spin,
    pub worker_ids: u64,
    /// The member of a chain that has just started.
    pub next_in_chain: u32,
    pub remembered: Arc<Remembered>,
    /// The context is being freed.
    pub closing: bool,
    /// Scratch memory for submits.
    #[allow(clippy::vec_box)] // moved in and out at every submit
    pub spare: Vec<Box<Batch>>,
    /// Edge-triggered watchers of the descriptor, for the next waiters.
    pub spare_edges: Vec<Listed<Edges>>,
}

/// Where an operation completed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    Submit,
    Kernel,
    Worker,
}

impl State {
    pub fn new(
        max_requests: u32,
        workers: u32,
        done: Completions,
        native: Native,
        remembered: &Arc<Remembered>,
    ) -> Result<Self> {
        const EARLY: usize = 64;
        let mut spare = room(EARLY)?;
        spare.push(Batch::new(remembered)?);
        Ok(Self {
            slab: Slab::new(max_requests as usize)?,
            done,
            counters: Stats::default(),
            pool: Pool::new(workers),
            rules: native.rules(),
            native,
            backlog: List::new(),
            deadlines: Deadlines::default(),
            set_aside: 0,
            syncs: room(EARLY)?,
            sync_pace: SyncPace::default(),
            poller: None,
            inbox: List::new(),
            stopping: List::new(),
            chain_files: Vec::new(),
            returned: Vec::new(),
            poke: false,
            poked: false,
            armed: None,
            workers: room(workers.min(EARLY as u32) as usize)?,
            idle_spin: Spin::default(),
            event_spin: Spin::default(),
            worker_ids: 0,
            next_in_chain: NONE,
            remembered: remembered.clone(),
            closing: false,
            spare,
            spare_edges: Vec::new(),
        })
    }

    /// Adds an event, counts it, and frees the slot. Then the chain goes on or breaks.
    pub fn finish(&mut self, index: u32, result: i64, by: By) {
        let Slot { op, next, .. } = &self.slab[index];
        let (next, role) = (*next, op.role);
        let finished = match role {
            Role::None => self.done.finished(op, result),
            _ => self.finished_in_chain(index, result),
        };
        let op = &self.slab[index].op;
        let opened = !op.code.opens_fd() || finished.event.result >= 0;
        let goes_on = next != NONE && op.succeeded_in_full(finished.event.result) && !self.closing;
        self.note_quietly(op.code, finished, by);
        self.slab.release(index);
        let next = if goes_on { next } else { self.break_chain(next, CANCELED, opened) };
        // Behind a short read or an error, the CLOSE is a step as any other.
        if next == NONE {
            self.done.mark_urgent();
        } else {
            self.pool.chain_goes_on();
        }
        if role != Role::None {
            self.file_goes_on(index, next);
        }
        if next != NONE {
            self.start(next);
        }
    }

    /// Adds the event of an operation without a slot.
    pub fn note(&mut self, op: &Op, result: i64, by: By) {
        let finished = self.done.finished(op, result);
        self.note_quietly(op.code, finished, by);
        self.done.mark_urgent();
    }

    fn note_quietly(&mut self, code: Code, finished: Finished, by: By) {
        probes::completed(self.done.fd(), code, &finished.event, by);
        self.counters.completed += 1;
        match by {
            _ if finished.event.result == CANCELED.as_result() => self.counters.cancelled += 1,
            By::Submit => self.counters.done_inline += 1,
            By::Kernel => self.counters.done_native += 1,
            By::Worker => self.counters.done_worker += 1,
        }
        self.done.push(finished);
    }

    /// The waiting member `first` and those after it never start. `opened`: except for the CLOSE of what was opened, or may
    /// be, before `first`. Returns that member. The caller marks the signal as urgent.
    fn break_chain(&mut self, first: u32, errno: Errno, mut opened: bool) -> u32 {
        let (mut index, mut errno, mut close) = (first, errno, NONE);
        while index != NONE {
            let (op, next) = (self.slab[index].op, self.slab[index].next);
            if opened && op.role == Role::Closes {
                (close, opened) = (index, false);
                self.slab[close].next = NONE;
            } else {
                opened &= !op.code.opens_fd();
                self.sync_came(index, &op);
                let finished = self.done.finished(&op, errno.as_result());
                self.note_quietly(op.code, finished, By::Worker);
                self.slab.release(index);
            }
            (index, errno) = (next, CANCELED);
        }
        close
    }

    /// Starts a waiting member. Workers run chains, so that they go on while no thread polls.
    fn start(&mut self, index: u32) {
        self.slab[index].before = NONE;
        if self.slab[index].op.role != Role::None {
            self.use_file(index);
        }
        self.begin_deadline(index);
        probes::routed(self.done.fd(), &self.slab[index].op, Path::Worker);
        if !self.joins_sync(index) {
            let class = self.slab[index].op.class();
            self.pool.queue_first(&mut self.slab, index, class);
            self.next_in_chain = index;
        }
        let op = self.slab[index].op;
        self.sync_came(index, &op);
    }

    pub fn send_to_worker(&mut self, index: u32) {
        probes::routed(self.done.fd(), &self.slab[index].op, Path::Worker);
        if self.joins_sync(index) {
            return;
        }
        let class = self.slab[index].op.class();
        self.pool.queue(&mut self.slab, index, class);
    }

    /// Retries an operation on a worker, after the kernel's queue refused it with `errno`, or did a part of it.
    pub fn retry_on_worker(&mut self, index: u32, errno: Option<Errno>) {
        probes::retried(self.done.fd(), &self.slab[index].op, errno);
        self.slab[index].retried = true;
        self.counters.retried += 1;
        self.send_to_worker(index);
    }

    pub fn send_to_poller(&mut self, index: u32) {
        probes::routed(self.done.fd(), &self.slab[index].op, Path::Stream);
        self.slab[index].place = Place::Inbox;
        self.inbox.push_back(&mut self.slab, index);
        self.poke = true;
    }

    /// Starts the timeout of an operation that has one.
    pub fn begin_deadline(&mut self, index: u32) {
        let Op { timeout_ns: timeout, code, .. } = self.slab[index].op;
        if timeout == 0 || !code.may_time_out() {
            return;
        }
        let at = timer::now().saturating_add(timeout);
        self.deadlines.add(at, self.slab.token(index), &self.slab);
        if self.armed.is_none_or(|armed| at < armed) {
            self.arm();
        }
    }

    /// Sets the timer to the earliest deadline.
    fn arm(&mut self) {
        self.armed = self.deadlines.first();
        if let Some(poller) = &self.poller {
            poller.timer.arm(self.armed);
        }
    }

    /// Stops the operations whose deadline has passed.
    pub fn expire(&mut self) {
        let now = timer::now();
        while let Some(token) = self.deadlines.expired(now) {
            if let Some(index) = self.slab.find(token) {
                self.stop(index, Errno(libc::ETIMEDOUT));
            }
        }
        self.arm();
    }

    /// Asks for an operation to stop, with `errno` as its result if that is in time.
    pub fn stop(&mut self, index: u32, errno: Errno) {
        let slot = &mut self.slab[index];
        if slot.op.role == Role::Closes {
            return;
        }
        let again = slot.stop.is_some();
        let errno = *slot.stop.get_or_insert(errno);
        if !again {
            probes::cancelled(self.done.fd(), &slot.op, errno);
        }
        match slot.place {
            // The thread that runs it was told, or checks later.
            Place::Free | Place::Running | Place::Detached | Place::Opening | Place::Stopping => {}
            Place::Waiting => {
                let before = slot.before;
                let close = self.break_chain(index, errno, true);
                self.done.mark_urgent();
                self.slab[before].next = close;
                if close != NONE {
                    self.slab[close].before = before;
                }
            }
            Place::Queued(class) => {
                self.pool.unqueue(&mut self.slab, index, class);
                self.sync_is_off(index);
                self.finish_stopped(index, errno);
            }
            Place::Grouped => {
                self.leaves_sync(index);
                self.finish_stopped(index, errno);
            }
            Place::Backlog => {
                self.backlog.remove(&mut self.slab, index);
                self.finish_stopped(index, errno);
            }
            Place::OpeningBlocked => self.finish(index, errno.as_result(), By::Worker),
            Place::Inbox => {
                self.inbox.remove(&mut self.slab, index);
                self.finish_stopped(index, errno);
            }
            // The poller was told. More requests could come faster than it answers.
            Place::Stream if again => {}
            Place::Stream => {
                slot.place = Place::Stopping;
                self.stopping.push_back(&mut self.slab, index);
                self.poke = true;
            }
            Place::Native => self.native.cancel(self.slab.token(index).0),
        }
    }

    pub fn finish_stopped(&mut self, index: u32, errno: Errno) {
        let slot = &self.slab[index];
        let result = stopped_result(&slot.op, slot.moved, errno);
        self.finish(index, result, By::Worker);
    }

    /// Takes events as `caio_ctx_poll` does. The chores of the caller signal the descriptor for the rest.
    pub fn take(&mut self, sink: &mut impl Sink) -> u32 {
        let room = sink.room();
        if self.native.is_muted() {
            // These completions did not signal the descriptor.
            self.reap_into(sink);
            self.native.unmute();
        }
        if self.native.has_completions() || self.done.clear_is_due(sink.room()) {
            self.clear_and_reap_into(sink);
        }
        self.done.take(sink);
        let count = room - sink.room();
        self.counters.in_flight -= count;
        count
    }

    /// The number of pending events. If it is 0, the descriptor is not readable.
    pub fn collect(&mut self) -> usize {
        if self.native.has_completions() || self.done.is_empty() {
            self.clear_and_reap();
        }
        self.done.len()
    }

    /// Drops all events, and hands the descriptors in them to `keep`.
    pub fn discard(&mut self, keep: impl FnMut(RawFd, Entry)) {
        self.counters.in_flight -= self.done.discard(keep);
    }
}

impl Shared {
    pub fn stats(&self) -> Stats {
        self.with(|state| {
            state.reap();
            state.counters
        })
    }
}

/// The result of an operation that was stopped after `moved` bytes. Bytes from a stream are never dropped.
pub fn stopped_result(op: &Op, moved: u64, errno: Errno) -> i64 {
    if moved > 0 && op.moves_at_current() { moved as i64 } else { errno.as_result() }
}
