//! Submission: operations are checked, tried inline, and routed. A chain is accepted as a whole or not at all.

mod chain;
mod places;
mod single;
mod strings;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use self::chain::ChainFd;
use self::single::Single;
use self::strings::Strings;
use super::chain_file::read_chain;
use super::inline::{self, FastPath, Step, To};
use super::probes::{self, Path};
use super::state::{By, CANCELED, State};
use super::{Shared, Source};
use crate::completion::{Event, Nowhere, Sink};
use crate::error::{Errno, Result};
use crate::exec::blocking::Scratch;
use crate::fd::{Checks, Remembered};
use crate::op::{Code, Op, SimpleTransfer};
use crate::slab::{NONE, Place};
use crate::sync::MutexGuard;
use crate::sys::cached::Opened;
use crate::sys::fork::KeepOut;
use crate::sys::mem::{boxed, room};

/// The scratch memory of one submit; kept by the context, so that nothing is allocated per operation.
pub struct Batch {
    checks: Checks,
    scratch: Scratch,
    /// The members of the current chain.
    chain: Vec<Op>,
    /// Operations that completed inside submit.
    finished: Vec<(Op, i64)>,
    /// Operations that continue elsewhere.
    pending: Vec<Pending>,
    /// Simple transfers for the kernel's queue.
    native: Vec<SimpleTransfer>,
    /// The NUL-terminated paths of the pending operations, each with the structure that it takes besides.
    strings: Strings,
    /// How many events may go straight to the caller, as their operations complete inside submit.
    deliverable: u32,
    /// How many did.
    delivered: u32,
    /// Reaping native completions may have left chores.
    reaped: bool,
    /// The file that [`Self::open`] has just opened.
    opened: Option<Opened>,
    /// While descriptors that this submit opened are in no list.
    unlisted: Option<KeepOut>,
    /// How many operations fit without an allocation.
    room: u32,
}

struct Pending {
    op: Op,
    to: To,
    moved: u64,
    paths: Range<usize>,
    /// An error with which it fails on a worker.
    refused: Option<Errno>,
    /// The descriptor that its chain opened.
    file: Option<ChainFd>,
}

impl Pending {
    fn may_time_out(&self) -> bool {
        self.op.timeout_ns > 0 && self.op.code.may_time_out()
    }
}

impl Shared {
    pub fn submit(&self, source: &impl Source) -> Result<u32> {
        self.submit_batch(source, &mut Nowhere, false, None).0
    }

    /// The result of submit, and how many events were taken.
    pub fn submit_poll(&self, source: &impl Source, sink: &mut impl Sink) -> (Result<u32>, u32) {
        if source.count() == 0 {
            return (Ok(0), self.poll(sink));
        }
        let mut tried = None;
        // The fast paths have no probes.
        if source.count() == 1 && sink.room() > 0 && !probes::are_on() {
            match self.read_single(source, sink) {
                Single::Done => return (Ok(1), 1),
                Single::Answered(answer) => tried = Some(answer),
                Single::Untried => {}
            }
        }
        self.submit_batch(source, sink, true, tried)
    }

    /// `tried`: the answer of an attempt at a cached read, if the operation is one.
    fn submit_batch(
        &self,
        source: &impl Source,
        sink: &mut impl Sink,
        polls: bool,
        tried: Option<Result<u64>>,
    ) -> (Result<u32>, u32) {
        if source.count() == 0 {
            return (Ok(0), 0);
        }
        loop {
            let (mut batch, room) = match self.admit(source.count(), sink.room()) {
                Ok(admitted) => admitted,
                Err(errno) => {
                    self.tell_refusal(source, errno);
                    return (Err(errno), if polls { self.poll(sink) } else { 0 });
                }
            };
            batch.checks.tried = tried;
            let accepted = batch.fill(self, source, room, sink);
            let timed = batch.has_timeouts();
            if (timed || batch.has_streams()) && !self.ensure_poller() {
                batch.do_without_poller();
            }
            let mut state = self.state.lock();
            state.settle_places(room, *accepted.as_ref().unwrap_or(&0));
            if batch.is_all_delivered() && accepted.is_ok() && state.is_quiet() {
                state.note_delivered(batch.delivered);
                let delivered = batch.delivered;
                batch.unlisted = None;
                state.keep(batch);
                return (accepted, delivered);
            }
            if timed && state.make_room_for_deadlines(batch.pending.len()).is_err() {
                batch.refuse(Pending::may_time_out, Errno(libc::ENOMEM));
            }
            let full = state.firmly_held() + batch.chain.len() as u64 > u64::from(self.max_requests);
            let again = !full && accepted == Err(Errno(libc::EAGAIN));
            let delivered = batch.publish(&mut state);
            state.keep(batch.retired());
            let taken = self.finish_submit(state, sink, polls && !again, delivered);
            if !again {
                accepted.inspect_err(|errno| self.tell_refusal(source, *errno)).ok();
                return (accepted, delivered + taken);
            }
            // Another submit reserved places that it returns in a moment. The context is not full.
            std::thread::yield_now();
        }
    }

    #[cold]
    fn tell_refusal(&self, source: &impl Source, errno: Errno) {
        probes::refused(self.events_fd, source.count(), errno);
        self.report.submit_refused(source, errno, self.max_requests);
    }

    /// Does the chores of what was published, and takes events if the caller asked for some, without a signal for those.
    fn finish_submit(&self, mut state: MutexGuard<State>, sink: &mut impl Sink, polls: bool, delivered: u32) -> u32 {
        // What the kernel gets now may complete immediately: then take the events after that.
        let early = polls && !state.has_unsent();
        let taken = if early { state.take(sink) } else { 0 };
        let silent = polls && !early;
        let chores = state.has_chores(silent).then(|| state.chores(silent));
        // If a sync follows a write, the caller waits for the sync. If it sleeps at once, the worker can have this processor,
        // and wakes it there when the sync completes.
        let short_running = state.pool.short_running() > 0 && state.syncs.is_empty();
        drop(state);
        if let Some(chores) = chores {
            self.run(chores, silent);
        }
        let taken = if silent { self.with(|state| state.take(sink)) } else { taken };
        if short_running && taken + delivered == 0 && polls && sink.room() > 0 { self.linger(sink) } else { taken }
    }

    /// Spins for the event of a short-running operation: it comes sooner than the caller could sleep and wake.
    fn linger(&self, sink: &mut impl Sink) -> u32 {
        const LONGEST: Duration = Duration::from_micros(20);
        // Several at once are worth a few microseconds more.
        const MOST: u32 = 8;
        let mut state = self.state.lock();
        let work = state.pool.short_running();
        if work == 0 || !state.event_spin.is_worth_a_try() {
            return 0;
        }
        state.done.spinner_comes();
        let seen = self.finished.current();
        drop(state);
        self.finished.spin_until(seen, work.div_ceil(2).min(MOST), LONGEST);
        self.with(|state| {
            state.done.spinner_goes();
            let taken = state.take(sink);
            state.event_spin.ended(taken > 0);
            taken
        })
    }

    /// Reserves places for up to `count` operations, before it is known how many are accepted.
    fn admit(&self, count: u32, events: u32) -> Result<(Box<Batch>, u32)> {
        let mut state = self.state.lock();
        let room = count.min(self.max_requests - state.counters.in_flight);
        state.counters.in_flight += room;
        state.set_aside += room;
        // So that pending completions are not starved by new ones.
        let reaped = state.reap();
        let deliverable = events.saturating_sub(u32::try_from(state.done.len()).unwrap_or(u32::MAX));
        let batch = state.spare.pop();
        drop(state);
        let ready = batch.map_or_else(|| Batch::new(&self.remembered), Ok).and_then(|batch| batch.with_room(room));
        let Ok(mut batch) = ready else {
            // Reaping may have left chores.
            self.with(|state| state.settle_places(room, 0));
            return Err(Errno(libc::ENOMEM));
        };
        batch.checks.next_submit(count);
        batch.strings.forget();
        (batch.deliverable, batch.delivered, batch.reaped) = (deliverable, 0, reaped);
        Ok((batch, room))
    }
}

impl Batch {
    pub fn new(remembered: &Arc<Remembered>) -> Result<Box<Self>> {
        const EARLY: u32 = 64;
        const EARLY_BYTES: usize = 1024;
        let batch = Self {
            checks: Checks::new(remembered.clone()),
            scratch: Scratch::default(),
            chain: room(EARLY as usize)?,
            finished: Vec::new(),
            pending: Vec::new(),
            native: Vec::new(),
            strings: Strings::new(EARLY_BYTES)?,
            deliverable: 0,
            delivered: 0,
            reaped: false,
            opened: None,
            unlisted: None,
            room: 0,
        };
        boxed(batch)?.with_room(EARLY)
    }

    /// With room for `count` operations. Fails with ENOMEM.
    fn with_room(mut self: Box<Self>, count: u32) -> Result<Box<Self>> {
        if count > self.room {
            let count = count as usize;
            let enough = self.finished.try_reserve(count).and_then(|()| self.pending.try_reserve(count));
            enough.and_then(|()| self.native.try_reserve(count)).map_err(|_| Errno(libc::ENOMEM))?;
            self.room = count as u32;
        }
        Ok(self)
    }

    /// Accepts chains up to the first that is malformed or does not fit. Fails if that is the first of all.
    fn fill(&mut self, shared: &Shared, source: &impl Source, room: u32, sink: &mut impl Sink) -> Result<u32> {
        let mut accepted = 0;
        self.chain.clear();
        while accepted < source.count() {
            let (simple, next) = match probes::are_on() {
                true => (0, FastPath::Undecided),
                false => self.take_simple(shared, source, accepted..room, sink),
            };
            accepted += simple;
            if accepted == source.count() {
                break;
            }
            let length = match source.get(accepted) {
                Ok(op) if !op.link && accepted < room && !op.uses_opened() => {
                    self.run_single(shared, op, next, sink);
                    1
                }
                _ => match read_chain(source, accepted, shared.max_requests, &mut self.chain) {
                    Ok(length) if length <= room - accepted => {
                        self.run_chain(shared, sink);
                        length
                    }
                    Ok(_) if accepted == 0 => return Err(Errno(libc::EAGAIN)),
                    Err(errno) if accepted == 0 => return Err(errno),
                    _ => break,
                },
            };
            accepted += length;
        }
        Ok(accepted)
    }

    /// The fast path: completes cached reads, and queues simple transfers for io_uring, up to the first operation that is
    /// neither. Returns how many, and what it found out about that one.
    #[inline(always)]
    fn take_simple(
        &mut self,
        shared: &Shared,
        source: &impl Source,
        range: Range<u32>,
        sink: &mut impl Sink,
    ) -> (u32, FastPath) {
        let mut index = range.start;
        while index < range.end {
            let Some(op) = source.simple(index) else { return (index - range.start, FastPath::Undecided) };
            index += match inline::fast_path(&shared.router, &op, self.delivered < self.deliverable, &mut self.checks) {
                FastPath::Read => {
                    sink.put(Event { user_data: op.user_data, result: op.len as i64 });
                    self.delivered += 1;
                    1
                }
                FastPath::Sent => self.take_sent(shared, source, index..range.end),
                other => return (index - range.start, other),
            };
        }
        (range.end - range.start, FastPath::Undecided)
    }

    /// Queues the first operation, which goes to the backend, and those of its kind behind it. Returns how many. A loop of
    /// its own, so that both keep their values in registers.
    #[inline(never)]
    fn take_sent(&mut self, shared: &Shared, source: &impl Source, range: Range<u32>) -> u32 {
        let first = range.start;
        for index in range.clone() {
            match source.simple(index) {
                Some(op) if index == first || shared.router.sends_too(&op, &self.checks) => self.native.push(op),
                _ => return index - first,
            }
        }
        range.end - first
    }

    /// Out of line, so that the fast path keeps its values in registers.
    #[inline(never)]
    fn run_single(&mut self, shared: &Shared, op: Op, so_far: FastPath, sink: &mut impl Sink) {
        probes::accepted(shared.events_fd, &op);
        let Self { checks, scratch, .. } = &mut *self;
        let (step, paths, refused) = match so_far {
            FastPath::Answered(answer) => {
                (inline::run_after(&shared.router, &op, answer, false, checks, scratch), 0..0, None)
            }
            FastPath::Untried => (inline::run_untried(&shared.router, &op, false, checks, scratch), 0..0, None),
            _ => self.run(shared, &op, false),
        };
        match step {
            Step::Done(result) => self.deliver(op, result, sink),
            Step::Onward(to, moved) => self.pend(Pending { op, to, moved, paths, refused, file: None }),
        }
    }

    /// The event goes straight to the caller, if its array has room.
    #[inline(always)]
    fn deliver(&mut self, op: Op, result: i64, sink: &mut impl Sink) {
        if self.delivered < self.deliverable && result != CANCELED.as_result() && !probes::are_on() {
            sink.put(Event { user_data: op.user_data, result });
            self.delivered += 1;
        } else {
            self.finished.push((op, result));
        }
    }

    #[inline(always)]
    fn run(&mut self, shared: &Shared, op: &Op, linked: bool) -> (Step, Range<usize>, Option<Errno>) {
        if op.code.opens_fd()
            && let Some(result) = self.open(shared, op)
        {
            return (Step::Done(result), 0..0, None);
        }
        if matches!(op.code, Code::Statx | Code::Close)
            && let Some(result) = self.call(shared, op)
        {
            return (Step::Done(result), 0..0, None);
        }
        let (paths, refused) = self.copy_paths(op);
        let step = match refused {
            Some(errno) if shared.router.finishes_inline() => Step::Done(errno.as_result()),
            Some(_) => Step::Onward(To::Worker, 0),
            None => inline::run(&shared.router, op, linked, &mut self.checks, &mut self.scratch),
        };
        (step, paths, refused)
    }

    fn pend(&mut self, mut pending: Pending) {
        if pending.op.code.opens_fd() {
            pending.op.cached = self.checks.is_used_up();
        }
        if matches!(pending.to, To::Worker | To::Chain) && !pending.op.uses_opened() {
            self.checks.mark(&mut pending.op);
        }
        self.pending.push(pending);
    }

    #[inline(always)]
    fn copy_paths(&mut self, op: &Op) -> (Range<usize>, Option<Errno>) {
        if op.code.has_input() { self.strings.copy(op) } else { (0..0, None) }
    }

    /// All operations completed, and the caller has their events.
    fn is_all_delivered(&self) -> bool {
        self.pending.is_empty() && self.native.is_empty() && self.finished.is_empty() && !self.reaped
    }

    fn has_streams(&self) -> bool {
        self.pending.iter().any(|pending| pending.to == To::Stream)
    }

    fn has_timeouts(&self) -> bool {
        self.pending.iter().any(Pending::may_time_out)
    }

    /// The poller cannot start: each operation with a timeout fails with EAGAIN, once. The others need no descriptor.
    #[cold]
    #[inline(never)]
    fn do_without_poller(&mut self) {
        self.refuse(Pending::may_time_out, Errno(libc::EAGAIN));
        self.pending.iter_mut().filter(|pending| pending.to == To::Stream).for_each(|pending| pending.to = To::Worker);
    }

    /// The selected operations fail when their turn comes. No operation has a timeout any more.
    fn refuse(&mut self, whom: impl Fn(&Pending) -> bool, errno: Errno) {
        for pending in &mut self.pending {
            if whom(pending) {
                pending.refused = Some(errno);
                if pending.to != To::Chain {
                    pending.to = To::Worker;
                }
            }
            pending.op.timeout_ns = 0;
        }
    }

    /// Moves the operations into the state. Returns how many events the caller has already.
    fn publish(&mut self, state: &mut State) -> u32 {
        state.note_delivered(self.delivered);
        for (op, result) in self.finished.drain(..) {
            probes::routed(state.done.fd(), &op, Path::Submit);
            state.note(&op, result, By::Submit);
        }
        state.send_simple(&self.native);
        self.native.clear();
        let mut before = NONE;
        for pending in self.pending.drain(..) {
            let Pending { op, to, moved, paths, refused, file } = pending;
            let index = state.slab.insert(op);
            // Even a refused operation passes the descriptor on to the CLOSE behind it.
            let kept = state.take_chain_fd(index, file);
            let refused = refused.or(kept.err());
            let slot = &mut state.slab[index];
            slot.moved = moved;
            slot.refused = refused;
            match slot.paths.try_reserve(paths.len()) {
                Ok(()) => slot.paths.extend_from_slice(self.strings.get(paths)),
                Err(_) => slot.refused = Some(Errno(libc::ENOMEM)),
            }
            match to {
                To::Chain => {
                    (slot.before, slot.place) = (before, Place::Waiting);
                    state.slab[before].next = index;
                    state.sync_is_coming(index, before);
                }
                To::Native => state.send_to_native(index),
                To::Worker => state.send_to_worker(index),
                To::Stream => state.send_to_poller(index),
            }
            if to != To::Chain {
                state.begin_deadline(index);
            }
            before = index;
        }
        self.unlisted = None;
        self.delivered
    }

    /// Without the memory that an unusually large submit needed.
    fn retired(mut self: Box<Self>) -> Box<Self> {
        const KEPT: usize = 1024;
        const KEPT_BYTES: usize = 64 * 1024;
        self.finished.shrink_to(KEPT);
        self.pending.shrink_to(KEPT);
        self.native.shrink_to(KEPT);
        self.room = self.room.min(KEPT as u32);
        self.chain.shrink_to(KEPT);
        self.strings.retire(KEPT_BYTES);
        self
    }
}
