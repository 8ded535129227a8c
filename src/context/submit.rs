//! Admission: operations are checked, tried inline, and put where they go on. Chains whole or not at all.

use std::ops::Range;

use super::slab::{NONE, Place};
use super::state::{By, CANCELED, State};
use super::{Shared, Source};
use crate::completion::Sink;
use crate::error::{Errno, Result};
use crate::op::Op;
use crate::route::{Checks, Route};
use crate::sys::path;

const EINVAL: Errno = Errno(libc::EINVAL);

/// The scratch memory of one submit; kept by the context, so that nothing is allocated per operation.
#[derive(Default)]
pub struct Batch {
    checks: Checks,
    /// The members of the chain at hand.
    chain: Vec<Op>,
    /// Operations that finished here.
    finished: Vec<(Op, i64)>,
    /// Operations that go on elsewhere.
    pending: Vec<Pending>,
    /// The NUL-terminated paths of those.
    paths: Vec<u8>,
}

struct Pending {
    op: Op,
    to: To,
    moved: u64,
    paths: Range<usize>,
    /// It fails with this, as a worker will say.
    refused: Option<Errno>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Native,
    Worker,
    Stream,
    /// Behind the one before, which it is linked to.
    Chain,
}

impl Shared {
    pub fn submit(&self, source: &impl Source) -> Result<u32> {
        self.submit_batch(source, false)
    }

    pub fn submit_poll(&self, source: &impl Source, sink: &mut impl Sink) -> (Result<u32>, u32) {
        let submitted = self.submit_batch(source, true);
        (submitted, self.with(|state| state.take(sink)))
    }

    fn submit_batch(&self, source: &impl Source, silent: bool) -> Result<u32> {
        if source.count() == 0 {
            return Ok(0);
        }
        loop {
            let (mut batch, room) = self.admit(source.count());
            let accepted = batch.fill(self, source, room);
            if batch.needs_poller() && !self.ensure_poller() {
                batch.do_without_poller();
            }
            let full = self.with_silence(silent, |state| {
                state.settle_places(room, *accepted.as_ref().unwrap_or(&0));
                let full = state.firmly_held() + batch.chain.len() as u64 > u64::from(self.max_requests);
                batch.publish(state);
                batch.retire(state);
                full
            });
            if full || accepted != Err(Errno(libc::EAGAIN)) {
                return accepted;
            }
            // Another submit has set aside what it will give back in a moment; the context is not full.
            std::thread::yield_now();
        }
    }

    /// Sets places aside for up to `count` operations, before it is known how many are accepted.
    fn admit(&self, count: u32) -> (Batch, u32) {
        let mut state = self.state.lock();
        let room = count.min(self.max_requests - state.counters.inflight);
        state.counters.inflight += room;
        state.set_aside += room;
        let batch = state.spare.pop();
        drop(state);
        let mut batch = batch.unwrap_or_default();
        batch.checks.next_submit();
        (batch, room)
    }
}

impl State {
    /// Of `room` places that were set aside, `accepted` are taken and the rest given back.
    fn settle_places(&mut self, room: u32, accepted: u32) {
        self.set_aside -= room;
        self.counters.inflight -= room - accepted;
        self.counters.submitted += u64::from(accepted);
    }

    /// Places of operations that were accepted.
    fn firmly_held(&self) -> u64 {
        u64::from(self.counters.inflight - self.set_aside)
    }
}

impl Batch {
    /// Takes in as many chains as are well-formed and have room; the error is the first one's.
    fn fill(&mut self, shared: &Shared, source: &impl Source, room: u32) -> Result<u32> {
        let mut accepted = 0;
        while accepted < source.count() {
            match self.read_chain(source, accepted, shared.max_requests) {
                Ok(length) if length <= room - accepted => accepted += length,
                Ok(_) if accepted == 0 => return Err(Errno(libc::EAGAIN)),
                Err(errno) if accepted == 0 => return Err(errno),
                _ => break,
            }
            self.run_chain(shared);
        }
        Ok(accepted)
    }

    /// Copies the chain that begins at `first`; a single operation is a chain of one.
    fn read_chain(&mut self, source: &impl Source, first: u32, max_requests: u32) -> Result<u32> {
        self.chain.clear();
        let mut index = first;
        let mut length = 0;
        loop {
            let op = source.get(index)?;
            length += 1;
            if length <= max_requests {
                self.chain.push(op);
            }
            index += 1;
            if !op.link {
                break;
            }
            if index == source.count() {
                return Err(EINVAL);
            }
        }
        if length > max_requests { Err(Errno(libc::E2BIG)) } else { Ok(length) }
    }

    /// Runs the chain inline as far as that goes without blocking; the rest becomes pending.
    fn run_chain(&mut self, shared: &Shared) {
        let linked = self.chain.len() > 1;
        for at in 0..self.chain.len() {
            let op = self.chain[at];
            let (paths, refused) = self.copy_paths(&op);
            let route = match refused {
                Some(errno) if shared.router.finishes_inline() => Route::Done(errno.as_result()),
                Some(_) => Route::Worker(0),
                None => shared.router.decide(&op, linked, &mut self.checks),
            };
            let (to, moved) = match route {
                Route::Done(result) => {
                    self.finished.push((op, result));
                    if op.link && !op.succeeded_in_full(result) {
                        let broken = self.chain.drain(at + 1..).map(|op| (op, CANCELED.as_result()));
                        return self.finished.extend(broken);
                    }
                    continue;
                }
                Route::Native(moved) => (To::Native, moved),
                Route::Worker(moved) => (To::Worker, moved),
                Route::Stream(moved) => (To::Stream, moved),
            };
            self.pending.push(Pending { op, to, moved, paths, refused });
            return self.queue_behind(at + 1);
        }
    }

    /// The members from `at` on wait for those before.
    fn queue_behind(&mut self, at: usize) {
        for at in at..self.chain.len() {
            let op = self.chain[at];
            let (paths, refused) = self.copy_paths(&op);
            self.pending.push(Pending { op, to: To::Chain, moved: 0, paths, refused });
        }
    }

    fn copy_paths(&mut self, op: &Op) -> (Range<usize>, Option<Errno>) {
        let start = self.paths.len();
        if !op.code.takes_path() {
            return (start..start, None);
        }
        let mut copied = path::copy(op.buf, &mut self.paths);
        if op.code == crate::op::Code::Renameat {
            copied = copied.and_then(|()| path::copy(op.buf2, &mut self.paths));
        }
        (start..self.paths.len(), copied.err())
    }

    fn needs_poller(&self) -> bool {
        self.pending.iter().any(|pending| pending.to == To::Stream || pending.op.timeout_ns > 0)
    }

    /// No thread can be had: what needs one fails, once, with EAGAIN.
    fn do_without_poller(&mut self) {
        for pending in &mut self.pending {
            if pending.to == To::Stream || pending.op.timeout_ns > 0 {
                pending.refused = Some(Errno(libc::EAGAIN));
                if pending.to != To::Chain {
                    pending.to = To::Worker;
                }
            }
            pending.op.timeout_ns = 0;
        }
    }

    fn publish(&mut self, state: &mut State) {
        for (op, result) in self.finished.drain(..) {
            state.note(&op, result, By::Submit);
        }
        let mut before = NONE;
        for pending in self.pending.drain(..) {
            let Pending { op, to, moved, paths, refused } = pending;
            let index = state.slab.insert(op);
            let slot = &mut state.slab[index];
            slot.moved = moved;
            slot.refused = refused;
            slot.paths.extend_from_slice(&self.paths[paths]);
            match to {
                To::Chain => {
                    (slot.before, slot.place) = (before, Place::Waiting);
                    state.slab[before].next = index;
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
    }

    /// Goes back to the context, without what an unusually large submit made it hold.
    fn retire(mut self, state: &mut State) {
        const KEPT: usize = 1024;
        const KEPT_BYTES: usize = 64 * 1024;
        self.finished.shrink_to(KEPT);
        self.pending.shrink_to(KEPT);
        self.chain.shrink_to(KEPT);
        self.paths.clear();
        self.paths.shrink_to(KEPT_BYTES);
        state.spare.push(self);
    }
}
