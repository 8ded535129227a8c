//! Submission of slots to the kernel's queue, and its completions.

use super::probes::{self, Path};
use super::state::{By, State, stopped_result};
use crate::backend::{Flush, ShortReads};
use crate::completion::{Event, Nowhere, Sink};
use crate::error::Errno;
use crate::exec::blocking;
use crate::op::{Op, SimpleTransfer};
use crate::slab::{Place, Slot, Token};
use crate::sys::config::DISK_ERRORS;
use crate::sys::file_kind::{self, FileKind};
use crate::sys::rw::MAX_TRANSFER;

impl State {
    pub fn send_to_native(&mut self, index: u32) {
        let token = self.slab.token(index).0;
        let slot = &mut self.slab[index];
        if self.native.push(token, &slot.op, slot.moved) {
            probes::routed(self.done.fd(), &slot.op, Path::Native);
            slot.place = Place::Native;
            slot.held = slot.op.code.transfers() && self.remembered.in_flight.add(slot.op.fd, slot.op.code.reads(), 1);
        } else if self.native.takes(slot.op.code) {
            slot.place = Place::Backlog;
            self.backlog.push_back(&mut self.slab, index);
        } else {
            self.send_to_worker(index);
        }
    }

    /// Sends simple transfers. The fast path chooses these only for a backend that takes all.
    pub fn send_simple(&mut self, ops: &[SimpleTransfer]) {
        let (now, later) = ops.split_at(self.native.make_ready(ops.len()));
        let Self { slab, native, remembered, .. } = self;
        for same in now.chunk_by(|one, next| (one.fd, one.reads) == (next.fd, next.reads)) {
            let held = remembered.in_flight.add(same[0].fd, same[0].reads, same.len() as u64);
            for op in same {
                let index = slab.insert(op.op());
                (slab[index].place, slab[index].held) = (Place::Native, held);
                native.push_simple(slab.token(index).0, op);
            }
        }
        for op in later {
            let index = self.slab.insert(op.op());
            self.send_to_native(index);
        }
    }

    /// Whether there are operations that the kernel has not got yet.
    pub fn has_unsent(&mut self) -> bool {
        self.native.has_unsent() || !self.backlog.is_empty()
    }

    pub fn refill(&mut self) {
        while let Some(index) = self.backlog.pop_front(&mut self.slab) {
            let before = self.backlog.len();
            self.send_to_native(index);
            if self.backlog.len() > before {
                // The queue is full: puts the operation back to the front.
                self.backlog.remove(&mut self.slab, index);
                self.backlog.push_front(&mut self.slab, index);
                return;
            }
        }
    }

    /// Takes the outcome of a flush. Worker threads retry the operations that the kernel refused.
    pub fn flushed(&mut self, flush: Flush) {
        let Self { native, slab, pool, counters, remembered, done, .. } = self;
        native.flushed(flush, |token| {
            if let Some(index) = slab.find(Token(token)) {
                if std::mem::take(&mut slab[index].held) {
                    remembered.in_flight.remove(slab[index].op.fd, 1);
                }
                probes::retried(done.fd(), &slab[index].op, None);
                probes::routed(done.fd(), &slab[index].op, Path::Worker);
                slab[index].retried = true;
                counters.retried += 1;
                let class = slab[index].op.class();
                pool.queue(slab, index, class);
            }
        });
    }

    /// Takes all completions of the kernel; true if there were any. Does not clear the descriptor, which may stay
    /// readable for them.
    pub fn reap(&mut self) -> bool {
        let any = self.native.has_completions() && self.reap_all();
        if any {
            self.done.is_stale();
        }
        any
    }

    /// Clears the descriptor and takes all completions of the kernel.
    pub fn clear_and_reap(&mut self) {
        self.clear_and_reap_into(&mut Nowhere);
    }

    /// The same, and moves events to `sink`: first the pending ones, then the new ones.
    pub fn clear_and_reap_into(&mut self, sink: &mut impl Sink) {
        self.done.clear();
        self.done.take(sink);
        if self.reap_into(sink) && !self.native.signals_first() {
            self.done.is_stale();
        }
    }

    fn reap_all(&mut self) -> bool {
        self.reap_into(&mut Nowhere)
    }

    /// Takes all completions of the kernel; true if there were any. Operations that are complete go directly to `sink`,
    /// while it has room.
    pub fn reap_into(&mut self, sink: &mut impl Sink) -> bool {
        let (mut any, mut delivered) = (false, 0);
        // A run of transfers of one descriptor, for a single update of `in_flight`.
        let (mut fd, mut ended) = (-1, 0);
        while let Some((token, result)) = self.native.pop() {
            any = true;
            let Some(index) = self.slab.find(Token(token)) else { continue };
            let slot = &mut self.slab[index];
            if sink.room() == 0 || !slot.is_done_with(result) || probes::are_on() {
                self.native_done(index, result);
                continue;
            }
            if std::mem::take(&mut slot.held) {
                if slot.op.fd != fd && ended > 0 {
                    self.remembered.in_flight.remove(fd, std::mem::take(&mut ended));
                }
                (fd, ended) = (slot.op.fd, ended + 1);
            }
            sink.put(Event { user_data: slot.op.user_data, result });
            self.slab.release(index);
            delivered += 1;
        }
        if ended > 0 {
            self.remembered.in_flight.remove(fd, ended);
        }
        self.counters.completed += delivered;
        self.counters.done_native += delivered;
        any
    }

    fn native_done(&mut self, index: u32, result: i64) {
        let slot = &mut self.slab[index];
        // No queue or list holds the operation until it completes or continues.
        slot.place = Place::Running;
        if std::mem::take(&mut slot.held) {
            self.remembered.in_flight.remove(slot.op.fd, 1);
        }
        if let Ok(more) = u64::try_from(result) {
            return self.native_moved(index, more);
        }
        let Slot { op, moved, stop, retried, .. } = *slot;
        let errno = Errno(-result as i32);
        if errno.0 == libc::EAGAIN {
            self.remembered.hit_rate.miss();
        }
        match stop {
            Some(stop) if matches!(errno.0, libc::ECANCELED | libc::EINTR | libc::EAGAIN) => {
                self.finish(index, stopped_result(&op, moved, stop), By::Kernel);
            }
            _ if !retried && worth_a_worker(errno) => {
                slot.native_errno = errno.is_forbidden().then_some(errno);
                self.retry_on_worker(index, Some(errno));
            }
            _ => self.finish(index, blocking::failed_result(&op, moved, errno), By::Kernel),
        }
    }

    fn native_moved(&mut self, index: u32, more: u64) {
        let Slot { op, moved, .. } = &self.slab[index];
        let (op, total) = (*op, moved + more);
        // One plain call moves no more than this.
        let most = if op.full { op.wanted() } else { op.wanted().min(MAX_TRANSFER) };
        if !op.code.transfers() || total >= most || !self.continues(&op, total, more) {
            return self.finish(index, total as i64, By::Kernel);
        }
        let slot = &mut self.slab[index];
        slot.moved = total;
        match slot.stop {
            Some(errno) => self.finish_stopped(index, errno),
            None if op.code.vectored() || !self.rules.resumes => self.retry_on_worker(index, None),
            None => self.send_to_native(index),
        }
    }
}

impl State {
    /// Whether a transfer that the kernel's queue completed short continues, after `more` bytes. A short write does
    /// not: the plain call would be short too.
    fn continues(&self, op: &Op, total: u64, more: u64) -> bool {
        match self.rules.short_reads {
            _ if !op.code.reads() => op.full && more > 0,
            ShortReads::NotCached => true,
            ShortReads::Interrupted if more == 0 => false,
            // A device would return its next record.
            ShortReads::Interrupted => {
                let file = file_kind::look(op.fd);
                (op.full || file.kind == FileKind::Storage) && !file.ends_before(op.offset + total)
            }
        }
    }
}

/// Whether a worker thread retries the operation, because the error may be the kernel interface's own. For example, the
/// submitting thread exited, or a filter refuses the opcode. Errors of the disk are not retried.
fn worth_a_worker(errno: Errno) -> bool {
    !DISK_ERRORS.contains(&errno.0)
}
