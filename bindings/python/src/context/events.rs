//! A Context's completions: waited for, collected, handled.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyBlockingIOError, PyOverflowError, PyValueError};
use pyo3::prelude::*;

use super::BaseContext;
use crate::flavor::Flavor;
use crate::in_flight::LOW;
use crate::raw::*;

const MOST_EVENTS: usize = 512;

impl BaseContext {
    /// Appends the low level's events to `found`. Those of an event loop are delivered immediately.
    fn sort(&self, py: Python<'_>, events: &[Completion], found: &mut Vec<Completion>) {
        for event in events {
            if event.user_data & LOW != 0 {
                found.push(*event);
            } else {
                self.core.deliver(py, *event);
            }
        }
    }

    /// Handles at most `most` completions; sleeps until there are `least` or the timeout ends. All are collected before the
    /// first callback runs: a callback that calls this finds none of them.
    pub(super) fn process(&self, py: Python<'_>, most: usize, least: usize, timeout_ns: i64) -> PyResult<usize> {
        let mut found = self.take_polled(most);
        // Relaxed: a hint for flush(), which then leaves completions to this thread.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let waited = self.collect(py, &mut found, most, least, timeout_ns);
        let done = found.len();
        for event in found {
            self.core.deliver(py, event);
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        waited.map(|()| done)
    }

    fn collect(
        &self,
        py: Python<'_>,
        found: &mut Vec<Completion>,
        most: usize,
        least: usize,
        timeout_ns: i64,
    ) -> PyResult<()> {
        let deadline = Deadline::after(timeout_ns);
        while found.len() < most {
            let mut events = room::<64>();
            let sleep = least > found.len() && timeout_ns != 0;
            let wanted = events.len().min(most - found.len());
            let events = &mut events[..wanted];
            let waited = if sleep {
                py.detach(|| self.core.ctx.wait(events, 1, deadline.left()))
            } else {
                self.core.ctx.poll(events)
            };
            let events = match waited {
                Ok(events) => events,
                Err(Errno(libc::EINTR)) => {
                    py.check_signals()?;
                    continue;
                }
                Err(errno) => return Err(self.failure(py, errno)),
            };
            self.unread.fetch_add(events.len() as u64, Ordering::Relaxed);
            self.sort(py, events, found);
            let over = sleep && deadline.left() == Some(Duration::ZERO);
            if events.len() < wanted && (found.len() >= least || timeout_ns == 0 || over) {
                break;
            }
        }
        Ok(())
    }

    /// Events that poll() has collected.
    fn take_polled(&self, most: usize) -> Vec<Completion> {
        let mut taken = self.taken();
        let count = taken.len().min(most);
        taken.drain(..count).collect()
    }

    pub(super) fn poll(&self, py: Python<'_>) -> PyResult<u64> {
        let mut count = self.unread.swap(0, Ordering::Relaxed);
        loop {
            let mut events = room::<64>();
            let most = events.len();
            let events = self.core.ctx.poll(&mut events).map_err(|errno| self.failure(py, errno))?;
            count += events.len() as u64;
            let mut found = Vec::new();
            self.sort(py, events, &mut found);
            self.taken().extend(found);
            if events.len() < most {
                break;
            }
        }
        if count == 0 { Err(PyBlockingIOError::new_err(())) } else { Ok(count) }
    }

    pub(super) fn flush(&self, py: Python<'_>) -> PyResult<usize> {
        let mut done = 0;
        loop {
            self.send_queued(py)?;
            // Relaxed: a hint. The waiting thread gets the completions.
            if self.waiting.load(Ordering::Relaxed) > 0 {
                return Ok(done);
            }
            let now = self.process(py, usize::MAX, 0, 0)?;
            done += now;
            if now == 0 || self.queued().is_empty() {
                return Ok(done);
            }
        }
    }

    /// Checks and converts the arguments of process_events().
    pub(super) fn process_arguments(&self, most: i64, least: i64, timeout: i64) -> PyResult<(usize, usize, i64)> {
        const LIMIT: i64 = 1 << 20;
        let most = if most == 0 { MOST_EVENTS as i64 } else { most };
        if self.core.flavor == Flavor::Linux && !(0..=LIMIT).contains(&most) {
            return Err(PyOverflowError::new_err(format!("max_requests ({most}) is above {LIMIT}")));
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let too_many = || PyValueError::new_err(format!("min_requests ({least}) is not in 0..max_requests ({most})"));
        let least = usize::try_from(least).map_err(|_| too_many())?;
        if least > most {
            return Err(too_many());
        }
        let timeout_ns = if timeout < 0 { -1 } else { timeout.saturating_mul(1_000_000_000) };
        Ok((most, least, timeout_ns))
    }
}

/// When to stop waiting.
struct Deadline(Option<Instant>);

impl Deadline {
    fn after(timeout_ns: i64) -> Self {
        let timeout = u64::try_from(timeout_ns).ok().map(Duration::from_nanos);
        Self(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    /// None means for ever.
    fn left(&self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(Instant::now()))
    }
}
