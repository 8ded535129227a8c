//! Taking events, and sleeping until there are enough.

use std::time::Duration;

use super::Shared;
use crate::completion::Sink;
use crate::error::{Errno, Result};
use crate::fork_list::Listed;
use crate::sys::fd::AsRawFd;
use crate::sys::pollable::{self, Edges};
use crate::sys::timer;

impl Shared {
    pub fn poll(&self, sink: &mut impl Sink) -> u32 {
        self.with(|state| match state.take(sink) {
            // The signal that woke the caller may be a late one, of a completion that was already taken.
            0 if sink.room() > 0 && state.native.works() => {
                state.clear_and_reap();
                state.take(sink)
            }
            count => count,
        })
    }

    pub fn wait(&self, sink: &mut impl Sink, min: u32, timeout_ns: i64) -> Result<u32> {
        if min > sink.room() {
            return Err(Errno(libc::EINVAL));
        }
        let deadline = u64::try_from(timeout_ns).ok().map(|timeout| timer::now().saturating_add(timeout));
        let mut sleeper = Sleeper { shared: self, edges: None };
        let mut enough = self.wake.consume() || min == 0;
        loop {
            sleeper.forget_edges();
            let left = deadline.map(|deadline| deadline.saturating_sub(timer::now()));
            enough |= left == Some(0);
            let (took, waiting) = self.with(|state| {
                let waiting = state.collect();
                let take = enough || waiting >= min as usize;
                (take.then(|| state.take(sink)), waiting)
            });
            if let Some(took) = took {
                return Ok(took);
            }
            if waiting > 0 && sleeper.edges.is_none() {
                // The descriptor is readable already, so sleep on its edges. Check once more: events may have been added.
                enough = !sleeper.watch_edges();
                continue;
            }
            match sleeper.sleep(left.map(Duration::from_nanos)) {
                Ok(woken) => enough |= woken,
                Err(errno) => return self.interrupted(sink, errno),
            }
        }
    }

    fn interrupted(&self, sink: &mut impl Sink, errno: Errno) -> Result<u32> {
        match self.poll(sink) {
            0 => Err(errno),
            took => Ok(took),
        }
    }
}

/// One thread in `caio_ctx_wait`.
struct Sleeper<'a> {
    shared: &'a Shared,
    /// Watches the descriptor of the context for further signals while it is readable.
    edges: Option<Listed<Edges>>,
}

impl Sleeper<'_> {
    /// False without memory or a descriptor for it.
    fn watch_edges(&mut self) -> bool {
        let spare = self.shared.with(|state| {
            state.done.edge_sleeper_comes();
            state.spare_edges.pop()
        });
        self.edges = spare.or_else(|| self.new_edges().ok());
        if self.edges.is_none() {
            self.shared.with(|state| state.done.edge_sleeper_goes());
        }
        self.edges.is_some()
    }

    fn new_edges(&self) -> Result<Listed<Edges>> {
        self.shared.fds.hold(|| self.shared.notifier.edges())
    }

    /// A later signal makes a new edge. After this, check for earlier events.
    fn forget_edges(&self) {
        if let Some(edges) = &self.edges {
            edges.clear();
        }
    }

    /// True if a wake was used up; EINTR if a signal handler ran.
    fn sleep(&self, timeout: Option<Duration>) -> Result<bool> {
        let events = self.edges.as_ref().map_or(self.shared.events_fd, |edges| edges.as_raw_fd());
        let [_, wake] = pollable::sleep_until_readable([events, self.shared.wake.as_raw_fd()], timeout)?;
        if !wake {
            return Ok(false);
        }
        if self.shared.wake.consume() {
            return Ok(true);
        }
        self.shared.wake.settle();
        Ok(self.shared.wake.consume())
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        if let Some(edges) = self.edges.take() {
            self.shared.with(|state| {
                state.done.edge_sleeper_goes();
                if state.spare_edges.try_reserve(1).is_ok() {
                    state.spare_edges.push(edges);
                }
            });
        }
    }
}
