//! Group commit: one fsync(2) or fdatasync(2) at a time per descriptor and kind. It serves all operations that were submitted
//! before it started.
//!
//! An operation joins once the write that is linked to it is complete, so a sync that starts now covers that. Only operations
//! on the same descriptor number share one: the kernel reports a write-back error once per open file description (fsync(2)),
//! and the number stays with that description while its operations are in flight. All served operations get the result
//! of the sync.
//!
//! A sync that could start while linked writes of its group are in flight waits for them, to serve their syncs too. Else it
//! would serve the first sync of a batch, and the next one all others. If syncs wait when a sync ends, those that it served
//! get time to be submitted again. Else callers that continue at once would split into two parties for ever, each of which
//! waits for the other's sync. A sync does not wait for more operations than there are, nor while they make no progress
//! ([`PATIENCE`]), nor where waiting does not help ([`super::sync_pace`]).

use std::time::{Duration, Instant};

use super::state::{By, State};
use crate::op::{Code, OPENED, Op};
use crate::slab::{Class, List, NONE, Place, Slab};

/// The operations for one kind of sync of one descriptor.
pub struct Group {
    fd: i32,
    code: Code,
    /// The operation that a worker runs, or will run, for all. NONE while all are still expected.
    leader: u32,
    /// Served by the running sync.
    served: List,
    /// Served by the next sync.
    waiting: List,
    /// Syncs whose linked writes are in flight.
    coming: u32,
    /// How many of those the leader waits for. It is in no queue while it does.
    awaited: u32,
    /// When one of them joined last, and how long the next one may take.
    since: Instant,
    patience: Duration,
}

/// How long a sync waits for the next write to complete. The sentinel sleeps as long.
pub const PATIENCE: Duration = Duration::from_millis(1);

impl State {
    fn group(&mut self, op: &Op) -> Option<usize> {
        self.syncs.iter().position(|group| (group.fd, group.code) == (op.fd, op.code))
    }

    fn led_by(&self, index: u32) -> Option<usize> {
        self.syncs.iter().position(|group| group.leader == index)
    }

    /// The group of an operation. None without memory for a new one.
    fn group_for(&mut self, op: &Op) -> Option<usize> {
        if let Some(at) = self.group(op) {
            return Some(at);
        }
        self.syncs.try_reserve(1).ok()?;
        let (served, waiting) = (List::new(), List::new());
        let (fd, code, since) = (op.fd, op.code, Instant::now());
        let patience = PATIENCE;
        self.syncs.push(Group { fd, code, leader: NONE, served, waiting, coming: 0, awaited: 0, since, patience });
        Some(self.syncs.len() - 1)
    }

    /// A member of a chain waits for `before`. If it is a sync after a write, its group expects it.
    pub fn sync_is_coming(&mut self, index: u32, before: u32) {
        let (op, write) = (&self.slab[index].op, &self.slab[before].op);
        let writes = write.code.writes() && !write.at_current() && write.fd == op.fd;
        if !op.code.syncs() || !writes || op.fd == OPENED {
            return;
        }
        let op = *op;
        if let Some(at) = self.group_for(&op) {
            self.syncs[at].coming += 1;
            self.slab[index].coming = true;
        }
    }

    /// An expected sync has joined its group, or never will.
    pub fn sync_came(&mut self, index: u32, op: &Op) {
        if !std::mem::take(&mut self.slab[index].coming) {
            return;
        }
        let Some(at) = self.group(op) else { return };
        let group = &mut self.syncs[at];
        group.coming -= 1;
        if group.awaited > 0 {
            group.awaited -= 1;
            group.since = Instant::now();
            if group.awaited == 0 {
                self.sync_pace.wait_helped();
                return self.lets_go(at);
            }
        }
        if group.leader == NONE && group.coming == 0 {
            self.syncs.swap_remove(at);
        }
    }

    /// True if the operation waits for a sync to serve it, or leads one that waits. Else a worker must run it.
    pub fn joins_sync(&mut self, index: u32) -> bool {
        let slot = &self.slab[index];
        let op = slot.op;
        if !op.code.syncs() || slot.refused.is_some() {
            return false;
        }
        // Without memory for a group, it runs alone.
        let Some(at) = self.group_for(&op) else { return false };
        let own = u32::from(self.slab[index].coming);
        let group = &mut self.syncs[at];
        if group.leader == NONE {
            group.leader = index;
            return self.waits_for_more(at, own, 0);
        }
        group.waiting.push_back(&mut self.slab, index);
        self.slab[index].place = Place::Grouped;
        true
    }

    /// True if the leader waits: for the expected syncs, of which `own` is itself, and for `returning` ones that may be
    /// submitted.
    fn waits_for_more(&mut self, at: usize, own: u32, returning: u32) -> bool {
        let group = &mut self.syncs[at];
        if group.coming + returning == own || !self.sync_pace.together() {
            return false;
        }
        group.awaited = group.coming + returning;
        if group.coming > own {
            group.patience = PATIENCE;
        }
        group.since = Instant::now();
        self.slab[group.leader].place = Place::Grouped;
        let rouse = group.patience < PATIENCE;
        self.pool.holds_back(rouse);
        true
    }

    /// The leader does not wait any longer.
    fn lets_go(&mut self, at: usize) {
        let group = &mut self.syncs[at];
        group.awaited = 0;
        self.pool.lets_go();
        self.pool.queue_first(&mut self.slab, group.leader, Class::Slow);
    }

    /// How long the sentinel may sleep.
    pub fn patience(&self) -> Duration {
        let waits = self.syncs.iter().filter(|group| group.awaited > 0);
        waits.map(|group| group.patience).min().unwrap_or(PATIENCE)
    }

    /// Leaders stop waiting for writes that make no progress.
    pub fn lose_patience(&mut self) {
        for at in 0..self.syncs.len() {
            if self.syncs[at].awaited > 0 && self.syncs[at].since.elapsed() >= self.syncs[at].patience {
                self.lets_go(at);
                self.sync_pace.wait_failed();
            }
        }
    }

    /// A worker is about to run a sync, which serves all waiting operations.
    pub fn sync_starts(&mut self, leader: u32) {
        if let Some(at) = self.led_by(leader) {
            let group = &mut self.syncs[at];
            group.served = std::mem::replace(&mut group.waiting, List::new());
            group.served.each(&mut self.slab, |slot| slot.place = Place::Running);
        }
    }

    /// A sync ended. All operations that it served get its result.
    pub fn sync_ends(&mut self, leader: u32, result: i64, took: Duration, now: Instant) {
        let Some(at) = self.led_by(leader) else { return };
        self.sync_pace.ended(self.syncs[at].served.len() + 1, took, now);
        let mut served = std::mem::replace(&mut self.syncs[at].served, List::new());
        self.syncs[at].patience = (took / 2).min(PATIENCE);
        self.next_sync(at, served.len() + 1);
        while let Some(index) = served.pop_front(&mut self.slab) {
            self.finish(index, result, By::Worker);
        }
    }

    /// A worker will not run the leader.
    pub fn sync_is_off(&mut self, leader: u32) {
        if let Some(at) = self.led_by(leader) {
            self.next_sync(at, 0);
        }
    }

    /// The first waiting operation leads the next sync, at once or after waiting for others. A group without operations is
    /// removed.
    fn next_sync(&mut self, at: usize, returning: u32) {
        let group = &mut self.syncs[at];
        if std::mem::take(&mut group.awaited) > 0 {
            self.pool.lets_go();
        }
        group.leader = group.waiting.pop_front(&mut self.slab).unwrap_or(NONE);
        let leader = group.leader;
        if leader == NONE {
            if group.coming == 0 {
                self.syncs.swap_remove(at);
            }
        } else if !self.waits_for_more(at, 0, returning) {
            self.pool.queue_first(&mut self.slab, leader, Class::Slow);
        }
    }

    /// A waiting operation is stopped.
    pub fn leaves_sync(&mut self, index: u32) {
        if let Some(at) = self.led_by(index) {
            return self.next_sync(at, 0);
        }
        let op = self.slab[index].op;
        if let Some(at) = self.group(&op) {
            self.syncs[at].waiting.remove(&mut self.slab, index);
        }
    }
}

impl List {
    fn each(&self, slab: &mut Slab, mut change: impl FnMut(&mut crate::slab::Slot)) {
        let mut index = self.first();
        while let Some(at) = index {
            change(&mut slab[at]);
            index = slab.behind(at);
        }
    }
}
