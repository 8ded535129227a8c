//! `caio_ctx_free`. When it returns, neither the kernel nor a thread uses the caller's memory or descriptors any more.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::cancel::CancelTarget;
use super::state::State;
use crate::completion::Sink;
use crate::fork_list::Entry;
use crate::slab::Place;
use crate::sys::fd::RawFd;
use crate::sys::{pollable, thread};

impl Shared {
    /// Stops all operations that can be stopped, waits for the rest, and ends the threads. `sink` gets events while it has
    /// room. Other events are dropped.
    pub fn drain(self: &Arc<Self>, sink: &mut impl Sink) {
        let mut opened = Vec::new();
        self.with(|state| {
            state.closing = true;
            state.pool.chains_end();
            state.cancel(CancelTarget::All);
        });
        let mut checks = 0;
        loop {
            checks += 1;
            let timeout = match self.with(|state| state.what_is_left(checks, sink, &mut opened)) {
                Left::Nothing => break,
                Left::EnteringCall => Some(Duration::from_millis(1)),
                Left::InFlight => None,
            };
            // After EINTR, checks again.
            pollable::sleep_until_readable([self.events_fd], timeout).ok();
        }
        opened.into_iter().for_each(|opened| self.close(opened));
        self.work.notify_all();
        self.watch.notify_all();
        let (workers, poller) = {
            let mut state = self.state.lock();
            (std::mem::take(&mut state.workers), state.poller.take())
        };
        // A detached worker may stay in its call for long, but it holds no reference to this context.
        for handle in workers.into_iter().filter(|worker| !worker.detached).filter_map(|worker| worker.handle) {
            handle.join();
        }
        if let Some(poller) = poller {
            poller.end();
        }
        // A detached thread may hold a reference for a moment after its call. Waiting for it closes the context's
        // descriptors here, before `caio_ctx_free` returns.
        while Arc::strong_count(self) > 1 {
            std::thread::yield_now();
        }
    }

    /// Closes the descriptor of an unpolled OPENAT. No caller could receive a failure, and the number is closed in any
    /// case.
    fn close(&self, (fd, entry): (RawFd, Entry)) {
        self.close_chain_file(fd, entry).ok();
    }
}

/// What `caio_ctx_free` still waits for.
enum Left {
    Nothing,
    /// Detached threads that may not have entered their call yet.
    EnteringCall,
    InFlight,
}

impl State {
    /// Takes or drops pending events, and returns what is left to wait for. Operations of a chain may still use the descriptors
    /// that it opened, so those of dropped events are moved to `opened`.
    fn what_is_left(&mut self, checks: u32, sink: &mut impl Sink, opened: &mut Vec<(RawFd, Entry)>) -> Left {
        // Without /proc, a thread counts as inside its call after this many milliseconds.
        const ENOUGH: u32 = 20;
        self.done.clear();
        self.reap();
        if sink.room() > 0 {
            self.take(sink);
        }
        // Without memory for this, a descriptor stays open.
        self.discard(|fd, entry| opened.try_reserve(1).into_iter().for_each(|()| opened.push((fd, entry))));
        let (mut in_flight, mut entering) = (self.slab.used(), false);
        for index in self.slab.indexes() {
            let slot = &self.slab[index];
            match slot.place {
                Place::Opening | Place::OpeningBlocked => in_flight -= 1,
                // The thread of its open closes the descriptor.
                Place::Waiting if self.is_detached(slot.before) => in_flight -= 1,
                Place::Detached => {
                    in_flight -= 1;
                    entering |= !thread::is_asleep(slot.thread).unwrap_or(checks > ENOUGH);
                }
                _ => {}
            }
        }
        match (in_flight, entering) {
            (0, false) => Left::Nothing,
            (0, true) => Left::EnteringCall,
            _ => Left::InFlight,
        }
    }

    fn is_detached(&self, index: u32) -> bool {
        matches!(self.slab[index].place, Place::Opening | Place::Detached)
    }
}
