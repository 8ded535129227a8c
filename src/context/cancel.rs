//! Cancelling operations.

use std::iter::successors;

use super::Shared;
use super::state::{CANCELED, State};
use crate::slab::{Place, Slab};

/// Which operations to cancel.
#[derive(Clone, Copy)]
pub enum CancelTarget {
    UserData(u64),
    /// Those that use this descriptor.
    Fd(i32),
    All,
}

impl CancelTarget {
    /// The first matching slot from `from` on.
    fn first(self, slab: &Slab, from: u32) -> Option<u32> {
        let matching = |index: &u32| {
            let slot = &slab[*index];
            let other = matches!(self, Self::Fd(fd) if !slot.op.code.uses_fd() || slot.op.fd != fd);
            !other && slot.place != Place::Free
        };
        match self {
            Self::UserData(user_data) => slab.tagged(user_data, from),
            Self::Fd(_) | Self::All => slab.indexes().skip(from as usize).find(matching),
        }
    }
}

impl Shared {
    /// Asks the matching operations without a completion to stop; returns how many there are.
    pub fn cancel(&self, target: CancelTarget) -> u32 {
        self.with(|state| {
            state.reap();
            state.cancel(target)
        })
    }
}

impl State {
    pub fn cancel(&mut self, target: CancelTarget) -> u32 {
        // Counted first: stopping one also ends the rest of its chain.
        let first = target.first(&self.slab, 0);
        let found = successors(first, |index| target.first(&self.slab, index + 1)).count();
        let mut next = first;
        while let Some(index) = next {
            self.stop(index, CANCELED);
            next = target.first(&self.slab, index + 1);
        }
        found as u32
    }
}
