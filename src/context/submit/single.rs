//! A submit_poll of one read that the page cache has: most of those that an event loop makes one at a time. It takes the
//! lock once, and no scratch memory.

use crate::completion::{Event, Sink};
use crate::context::state::State;
use crate::context::{Shared, Source};
use crate::error::Result;
use crate::exec::cached::Split;

/// What became of the read.
pub enum Single {
    /// The caller has its event.
    Done,
    /// The attempt gave this answer.
    Answered(Result<u64>),
    Untried,
}

impl Shared {
    /// Completes the operation if it is a read that the page cache has, and nothing else is there to do.
    #[inline(always)]
    pub(super) fn read_single(&self, source: &impl Source, sink: &mut impl Sink) -> Single {
        let Some(op) = source.simple(0).filter(|op| self.router.reads_single(op, &self.remembered)) else {
            return Single::Untried;
        };
        let Some(split) = Split::of(op.buf, op.len) else { return Single::Untried };
        if !self.state.lock().count_single(self.max_requests) {
            return Single::Untried;
        }
        let answer = split.read(op.fd, op.offset);
        if answer == Ok(op.len) {
            self.remembered.hit_rate.hit();
            sink.put(Event { user_data: op.user_data, result: op.len as i64 });
            return Single::Done;
        }
        self.does_not_complete(answer)
    }

    /// Out of line, as it is rare.
    #[cold]
    #[inline(never)]
    fn does_not_complete(&self, answer: Result<u64>) -> Single {
        self.state.lock().uncount_single();
        Single::Answered(answer)
    }
}

impl State {
    /// Counts a read that is about to complete. False if the context is full, or events or signals are pending.
    #[inline(always)]
    fn count_single(&mut self, max_requests: u32) -> bool {
        if self.counters.in_flight >= max_requests || !self.is_quiet() {
            return false;
        }
        self.counters.submitted += 1;
        self.counters.completed += 1;
        self.counters.done_inline += 1;
        true
    }

    /// The read goes the way of all others.
    fn uncount_single(&mut self) {
        self.counters.submitted -= 1;
        self.counters.completed -= 1;
        self.counters.done_inline -= 1;
    }
}
