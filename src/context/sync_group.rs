//! Group commit: one fsync(2) or fdatasync(2) at a time per descriptor and kind, which serves everybody who asked before
//! it started.
//!
//! A request is here only once the writes it is linked to are complete, so a sync that starts now covers them. Only
//! requests on the same descriptor number share one: the kernel reports a write-back error once per open file
//! description (fsync(2)), and the number stays with that description while its operations are in flight. Its result,
//! good or bad, is the result of all that it served.

use super::slab::{Class, List, Place, Slab};
use super::state::{By, State};
use crate::op::{Code, Op};

/// The requests for one kind of sync of one descriptor.
pub struct Group {
    fd: i32,
    code: Code,
    /// The request that a worker runs, or will, for all.
    leader: u32,
    /// Served by the sync that runs.
    served: List,
    /// Asked since it started, or before the first one has: the next one's.
    waiting: List,
}

fn is_sync(op: &Op) -> bool {
    matches!(op.code, Code::Fsync | Code::Fdsync)
}

impl State {
    /// True if the operation waits for a sync that will serve it; else a worker must run it.
    pub fn joins_sync(&mut self, index: u32) -> bool {
        let slot = &self.slab[index];
        let (fd, code) = (slot.op.fd, slot.op.code);
        if !is_sync(&slot.op) || slot.refused.is_some() {
            return false;
        }
        match self.syncs.iter_mut().find(|group| (group.fd, group.code) == (fd, code)) {
            Some(group) => {
                group.waiting.push_back(&mut self.slab, index);
                self.slab[index].place = Place::Grouped;
                true
            }
            None => {
                let (served, waiting) = (List::new(), List::new());
                // Without memory for it, a sync of its own.
                if self.syncs.try_reserve(1).is_ok() {
                    self.syncs.push(Group { fd, code, leader: index, served, waiting });
                }
                false
            }
        }
    }

    fn led_by(&self, index: u32) -> Option<usize> {
        self.syncs.iter().position(|group| group.leader == index)
    }

    /// A worker is about to run a sync: whoever waits is served by it.
    pub fn sync_starts(&mut self, leader: u32) {
        if let Some(at) = self.led_by(leader) {
            let group = &mut self.syncs[at];
            group.served = std::mem::replace(&mut group.waiting, List::new());
            group.served.each(&mut self.slab, |slot| slot.place = Place::Running);
        }
    }

    /// A sync ended: its result is that of all whom it served.
    pub fn sync_ends(&mut self, leader: u32, result: i64) {
        let Some(at) = self.led_by(leader) else { return };
        let mut served = std::mem::replace(&mut self.syncs[at].served, List::new());
        self.next_sync(at);
        while let Some(index) = served.pop_front(&mut self.slab) {
            self.finish(index, result, By::Worker);
        }
    }

    /// The operation that a worker was to run for its group never will be.
    pub fn sync_is_off(&mut self, leader: u32) {
        if let Some(at) = self.led_by(leader) {
            self.next_sync(at);
        }
    }

    /// The first who waits is run for the rest; nobody waits: the group is gone.
    fn next_sync(&mut self, at: usize) {
        let group = &mut self.syncs[at];
        match group.waiting.pop_front(&mut self.slab) {
            Some(index) => {
                group.leader = index;
                self.pool.queue_first(&mut self.slab, index, Class::Slow);
            }
            None => drop(self.syncs.swap_remove(at)),
        }
    }

    /// A waiting operation goes without being served.
    pub fn leaves_sync(&mut self, index: u32) {
        let (fd, code) = (self.slab[index].op.fd, self.slab[index].op.code);
        if let Some(group) = self.syncs.iter_mut().find(|group| (group.fd, group.code) == (fd, code)) {
            group.waiting.remove(&mut self.slab, index);
        }
    }
}

impl List {
    fn each(&self, slab: &mut Slab, mut change: impl FnMut(&mut super::slab::Slot)) {
        let mut index = self.first();
        while let Some(at) = index {
            change(&mut slab[at]);
            index = slab.behind(at);
        }
    }
}
