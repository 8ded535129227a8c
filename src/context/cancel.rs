//! Stopping operations.

use std::iter::successors;

use super::Shared;
use super::slab::{Place, Slab};
use super::state::{CANCELED, State};

/// Which operations to stop.
#[derive(Clone, Copy)]
pub enum Meant {
    UserData(u64),
    /// Those that work on this descriptor.
    Fd(i32),
    All,
}

impl Meant {
    /// The first of them in a slot from `from` on.
    fn first(self, slab: &Slab, from: u32) -> Option<u32> {
        let fits = |index: &u32| {
            let slot = &slab[*index];
            let meant = !matches!(self, Self::Fd(fd) if !slot.op.code.uses_fd() || slot.op.fd != fd);
            meant && slot.place != Place::Free
        };
        match self {
            Self::UserData(user_data) => slab.tagged(user_data, from),
            Self::Fd(_) | Self::All => slab.indexes().skip(from as usize).find(fits),
        }
    }
}

impl Shared {
    /// Asks the operations that are meant and have no event yet to stop; returns how many there are.
    pub fn cancel(&self, meant: Meant) -> u32 {
        self.with(|state| {
            state.reap();
            state.cancel(meant)
        })
    }
}

impl State {
    pub fn cancel(&mut self, meant: Meant) -> u32 {
        // Counted first: stopping one ends the rest of its chain too.
        let first = meant.first(&self.slab, 0);
        let found = successors(first, |index| meant.first(&self.slab, index + 1)).count();
        let mut next = first;
        while let Some(index) = next {
            self.stop(index, CANCELED);
            next = meant.first(&self.slab, index + 1);
        }
        found as u32
    }
}
