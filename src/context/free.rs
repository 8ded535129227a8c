//! The end of a context: nothing of the caller's is touched any more when it returns.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::cancel::Meant;
use super::slab::Place;
use super::state::State;
use crate::sys::{eventfd, fs, thread};

impl Shared {
    /// Stops what can be stopped, waits for the rest, ends the threads.
    pub fn drain(self: &Arc<Self>) {
        self.with(|state| {
            state.closing = true;
            state.pool.chains_end();
            state.cancel(Meant::All);
        });
        let mut looks = 0;
        loop {
            looks += 1;
            let timeout = match self.with(|state| state.what_is_left(looks)) {
                Left::Nothing => break,
                Left::Departing => Some(Duration::from_millis(1)),
                Left::InFlight => None,
            };
            // EINTR: look again.
            eventfd::sleep_until_readable([self.eventfd], timeout).ok();
        }
        self.work.notify_all();
        self.watch.notify_all();
        let (workers, poller) = {
            let mut state = self.state.lock();
            (std::mem::take(&mut state.workers), state.poller.take())
        };
        // A worker inside openat(2) may stay there long; it holds nothing of this context.
        for handle in workers.into_iter().filter(|worker| !worker.apart).filter_map(|worker| worker.handle) {
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

/// What a context that ends still waits for.
enum Left {
    Nothing,
    /// Threads that are about to enter a call where they may be left.
    Departing,
    InFlight,
}

impl State {
    /// Drops the events that are there, and says what must come yet.
    fn what_is_left(&mut self, looks: u32) -> Left {
        // Without /proc, a thread has entered its call after so many milliseconds.
        const ENOUGH: u32 = 20;
        self.done.clear();
        self.reap();
        self.discard(close);
        let (mut in_flight, mut departing) = (self.slab.used(), false);
        for index in self.slab.indexes() {
            let slot = &self.slab[index];
            match slot.place {
                Place::Opening | Place::OpeningBlocked => in_flight -= 1,
                Place::Detached => {
                    in_flight -= 1;
                    departing |= !thread::is_asleep(slot.thread).unwrap_or(looks > ENOUGH);
                }
                _ => {}
            }
        }
        match (in_flight, departing) {
            (0, false) => Left::Nothing,
            (0, true) => Left::Departing,
            _ => Left::InFlight,
        }
    }
}
