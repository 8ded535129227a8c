//! Stopping operations.

use super::Shared;
use super::slab::Place;
use super::state::{CANCELED, State};
use crate::op::Op;

impl Shared {
    /// Asks every operation that `wanted` picks and that has no event yet to stop; returns how many there are.
    pub fn cancel(&self, wanted: impl Fn(&Op) -> bool) -> u32 {
        self.with(|state| {
            state.reap();
            state.cancel(wanted)
        })
    }
}

impl State {
    pub fn cancel(&mut self, wanted: impl Fn(&Op) -> bool) -> u32 {
        // Counted first: stopping one ends the rest of its chain too.
        let meant = |state: &Self, index: u32| state.slab[index].place != Place::Free && wanted(&state.slab[index].op);
        let found = self.slab.indexes().filter(|index| meant(self, *index)).count();
        if found > 0 {
            for index in self.slab.indexes() {
                if meant(self, index) {
                    self.stop(index, CANCELED);
                }
            }
        }
        found as u32
    }
}
