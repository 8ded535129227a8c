//! The places that a submit takes in the context, and what it counts.

use super::Batch;
use crate::context::state::State;
use crate::error::Result;

impl State {
    /// No event is pending, and no signal is due.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.done.is_empty() && !self.done.clear_is_due(1) && !self.native.has_completions()
    }

    /// Counts events that went straight to the caller.
    pub(super) fn note_delivered(&mut self, count: u32) {
        self.counters.in_flight -= count;
        self.counters.completed += u64::from(count);
        self.counters.done_inline += u64::from(count);
    }

    /// Of `room` reserved places, keeps `accepted` and returns the rest.
    pub(super) fn settle_places(&mut self, room: u32, accepted: u32) {
        self.set_aside -= room;
        self.counters.in_flight -= room - accepted;
        self.counters.submitted += u64::from(accepted);
    }

    /// Keeps scratch memory for a later submit.
    pub(super) fn keep(&mut self, batch: Box<Batch>) {
        if self.spare.try_reserve(1).is_ok() {
            self.spare.push(batch);
        }
    }

    /// Makes room for the deadlines of all operations and of `new` more.
    pub(super) fn make_room_for_deadlines(&mut self, new: usize) -> Result<()> {
        self.deadlines.make_room(self.slab.used() as usize + new)
    }

    /// How many places accepted operations take.
    pub(super) fn firmly_held(&self) -> u64 {
        u64::from(self.counters.in_flight - self.set_aside)
    }
}
