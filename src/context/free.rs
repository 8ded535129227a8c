//! The end of a context: nothing of the caller's is touched any more when it returns.

use std::os::fd::RawFd;
use std::sync::Arc;

use super::Shared;
use super::cancel::Meant;
use super::slab::Place;
use super::state::State;
use crate::sys::{eventfd, fs};

impl Shared {
    /// Stops what can be stopped, waits for the rest, ends the threads.
    pub fn drain(self: &Arc<Self>) {
        self.with(|state| {
            state.closing = true;
            state.pool.chains_end();
            state.cancel(Meant::All);
        });
        while self.with(State::is_busy) {
            // EINTR: look again.
            eventfd::sleep_until_readable([self.eventfd], None).ok();
        }
        self.work.notify_all();
        self.watch.notify_all();
        let (workers, poller) = {
            let mut state = self.state.lock();
            (std::mem::take(&mut state.workers), state.poller.take())
        };
        // A worker inside openat(2) may stay there long; it holds nothing of this context.
        for handle in workers.into_iter().filter(|worker| !worker.opening).filter_map(|worker| worker.handle) {
            handle.join();
        }
        if let Some(poller) = poller {
            poller.end();
        }
        // Threads that nobody joins let go in a moment; the descriptors close here, not somewhere later.
        while Arc::strong_count(self) > 1 {
            std::thread::yield_now();
        }
    }
}

/// Nobody can be told of a failure, and the number is gone either way.
fn close(fd: RawFd) {
    fs::close(fd).ok();
}

impl State {
    /// Drops the events that are there; true while more must come.
    fn is_busy(&mut self) -> bool {
        self.done.clear();
        self.reap();
        self.discard(close);
        let left_behind = |index: &u32| matches!(self.slab[*index].place, Place::Opening | Place::OpeningBlocked);
        let used = self.slab.used() as usize;
        used > 0 && used > self.slab.indexes().filter(left_behind).count()
    }
}
