//! The loop's callback: completions in, tasks woken, what they ask for next submitted.

use std::time::Instant;

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;

use super::{BATCH, Inner};
use crate::pace::BUDGET;
use crate::raw::*;

impl Inner {
    pub(super) fn reader(&self, py: Python<'_>) -> PyResult<&Py<Reader>> {
        self.reader.get(py).ok_or_else(|| PyRuntimeError::new_err("the context is not open"))
    }

    /// Has the loop watch the library's descriptor.
    pub(super) fn watch(&self, py: Python<'_>) -> PyResult<()> {
        if std::mem::replace(&mut self.state().watched, true) {
            return Ok(());
        }
        let fd = self.core.ctx.eventfd().map_err(|errno| self.failure(py, errno))?;
        self.event_loop(py).call_method1(intern!(py, "add_reader"), (fd, self.reader(py)?))?;
        Ok(())
    }

    pub(super) fn unwatch(&self, py: Python<'_>) -> PyResult<()> {
        if !std::mem::replace(&mut self.state().watched, false) {
            return Ok(());
        }
        let event_loop = self.event_loop(py);
        if let (Ok(fd), false) = (self.core.ctx.eventfd(), event_loop.call_method0("is_closed")?.is_truthy()?) {
            event_loop.call_method1(intern!(py, "remove_reader"), (fd,))?;
        }
        Ok(())
    }

    /// Has the loop call the reader in its next turn.
    pub(super) fn schedule_unless_in_reader(&self, py: Python<'_>) -> PyResult<()> {
        let mut state = self.state();
        if state.in_reader || std::mem::replace(&mut state.scheduled, true) {
            return Ok(());
        }
        drop(state);
        self.event_loop(py).call_method1(intern!(py, "call_soon"), (self.reader(py)?,))?;
        Ok(())
    }

    pub(super) fn retry_soon(&self, py: Python<'_>) -> PyResult<()> {
        self.event_loop(py).call_method1(intern!(py, "call_later"), (0.001, self.reader(py)?))?;
        Ok(())
    }

    /// The reader's work: completions in, tasks woken, what they ask for next submitted.
    pub(super) fn read_events(&self, py: Python<'_>) -> PyResult<()> {
        let mut state = self.state();
        state.scheduled = false;
        if std::mem::replace(&mut state.in_reader, true) {
            return Ok(());
        }
        state.pace.loop_seen();
        drop(state);
        let more = self.turn(py);
        self.state().in_reader = false;
        if !matches!(more, Ok(false)) {
            self.schedule_unless_in_reader(py)?;
        }
        let state = self.state();
        let finished = state.closed && state.is_idle();
        drop(state);
        if finished {
            self.unwatch(py)?;
        }
        more.map(|_| ())
    }

    /// True if the time was over before the work.
    pub(super) fn turn(&self, py: Python<'_>) -> PyResult<bool> {
        let started = Instant::now();
        loop {
            let mut events = Events::<BATCH>::new();
            self.core.ctx.poll(&mut events, BATCH).map_err(|errno| self.failure(py, errno))?;
            self.handle(py, events.iter());
            self.run_wakes(py)?;
            self.send_queued(py)?;
            let rested = self.wake_one_that_rests(py)?;
            let woken = !self.state().woken.is_empty();
            if !rested && !woken && !events.is_full() {
                return Ok(false);
            }
            if started.elapsed() > BUDGET {
                return Ok(true);
            }
        }
    }

    /// Lets the task go on that has rested longest. False if none rests.
    fn wake_one_that_rests(&self, py: Python<'_>) -> PyResult<bool> {
        let mut state = self.state();
        let Some(request) = state.resting.pop_front() else { return Ok(false) };
        state.pace.task_begins();
        drop(state);
        if let Some(wake) = request.get().rested() {
            drop(request);
            wake.run(py)?;
        }
        Ok(true)
    }

    pub(super) fn run_wakes(&self, py: Python<'_>) -> PyResult<()> {
        let woken = std::mem::take(&mut self.state().woken);
        let mut woken = woken.into_iter();
        while let Some(wake) = woken.next() {
            if let Err(error) = wake.run(py) {
                self.state().woken.extend(woken);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// What the loop calls when the descriptor is readable, and when it was asked to.
#[pyclass(frozen, module = "caio._native")]
pub struct Reader {
    pub(super) inner: std::sync::Weak<Inner>,
}

#[pymethods]
impl Reader {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        self.inner.upgrade().map_or(Ok(()), |inner| inner.read_events(py))
    }

    fn __repr__(&self) -> &'static str {
        "<caio: file operations complete>"
    }
}
