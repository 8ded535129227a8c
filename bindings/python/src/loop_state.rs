//! Loop state: the operations that one event loop has asked one context for.
//!
//! The loop's thread submits them and wakes their tasks. Another thread may find one complete, and hands its task to the
//! loop. No Python code runs while `locked` is locked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::core::Core;
use crate::coroutine::{Coroutine, Phase};
use crate::finalize;
use crate::flavor::{Flavor, forked};
use crate::in_flight::InFlight;
use crate::pace::Pace;
use crate::paths::Kind;
use crate::raw::*;
use crate::system;
use crate::waiter::Wake;

mod ending;
mod submit;
mod turn;
mod watch;

/// What an event loop has asked of a context. The loop calls it when events are pending, and when it asked for that.
#[pyclass(frozen, module = "caio._native")]
pub struct LoopState {
    pub core: Arc<Core>,
    event_loop: Py<PyAny>,
    /// The loop has `_thread_id`, asyncio's attribute for the thread that runs it.
    has_thread_id: bool,
    /// `finalize::forks()` when this was made.
    forks: u32,
    /// Submits the operations of one iteration of the loop together, after it.
    deferred: bool,
    locked: Mutex<Locked>,
}

struct Locked {
    /// Accepted by the library, event not handled.
    in_flight: InFlight<Coroutine>,
    /// Not submitted yet, in order.
    queue: VecDeque<Py<Coroutine>>,
    /// To be woken: their operations are complete.
    woken: Vec<Wake>,
    /// Complete, but other tasks run first.
    paused: VecDeque<Py<Coroutine>>,
    /// The loop is in [`LoopState::run_turn`], which submits all that its tasks ask for when they have run.
    in_turn: bool,
    /// The loop's queue of callbacks has us.
    scheduled: bool,
    /// The loop watches the context's descriptor.
    watched: bool,
    /// Of a loop without readers: a weak reference to what watches for it.
    watcher: Option<Py<PyAny>>,
    /// The last reads completed immediately.
    cached_reads: bool,
    /// The last lookups of paths did.
    cached_lookups: bool,
    closed: bool,
    /// A thread collects the events, instead of the loop.
    reaping: bool,
    /// The loop has let go of us: it is closed, or was collected. Tasks cannot be woken any more.
    loop_gone: bool,
    pace: Pace,
}

impl Locked {
    fn new() -> Self {
        Self {
            in_flight: InFlight::default(),
            queue: VecDeque::new(),
            woken: Vec::new(),
            paused: VecDeque::new(),
            in_turn: false,
            scheduled: false,
            watched: false,
            watcher: None,
            cached_reads: true,
            cached_lookups: true,
            closed: false,
            reaping: false,
            loop_gone: false,
            pace: Pace::new(),
        }
    }

    /// Whether such an operation is likely to complete immediately.
    fn expects(&self, kind: Kind) -> bool {
        match kind {
            Kind::Read => self.cached_reads,
            Kind::Lookup => self.cached_lookups,
            Kind::Other => false,
        }
    }

    fn note_immediate(&mut self, kind: Kind, immediate: bool) {
        match kind {
            Kind::Read => self.cached_reads = immediate,
            Kind::Lookup => self.cached_lookups = immediate,
            Kind::Other => {}
        }
    }

    fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.queue.is_empty() && self.paused.is_empty()
    }

    /// Whether a task waits for any operation here.
    fn is_awaited(&self) -> bool {
        let awaited = |coroutine: &Py<Coroutine>| coroutine.get().phase() != Phase::Over;
        self.in_flight.iter().any(awaited) || self.queue.iter().any(awaited) || self.paused.iter().any(awaited)
    }
}

/// The state of an operation that was just submitted.
pub enum Begun {
    Done(i64),
    Pending,
}

/// How many events one poll takes, and how many operations one submission.
const BATCH: usize = 128;

impl LoopState {
    pub fn new(core: Arc<Core>, event_loop: Bound<'_, PyAny>, deferred: bool) -> PyResult<Py<Self>> {
        let py = event_loop.py();
        let deferred = deferred && core.flavor != Flavor::Thread && !core.sqpoll;
        let has_thread_id = event_loop.hasattr(intern!(py, "_thread_id"))?;
        let state = Self {
            core,
            event_loop: event_loop.unbind(),
            has_thread_id,
            forks: finalize::forks(),
            deferred,
            locked: Mutex::new(Locked::new()),
        };
        Py::new(py, state)
    }

    fn locked(&self) -> MutexGuard<'_, Locked> {
        self.locked.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn event_loop<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.event_loop.bind(py)
    }

    pub fn unfinished(&self) -> usize {
        let locked = self.locked();
        locked.in_flight.operations() + locked.queue.len()
    }

    fn failure(&self, py: Python<'_>, errno: Errno) -> PyErr {
        self.core.flavor.failure(py, errno)
    }

    fn check_open(&self, locked: &Locked) -> PyResult<()> {
        if locked.closed { Err(PyRuntimeError::new_err("the context is closed")) } else { Ok(()) }
    }

    /// A context belongs to one loop, in one process.
    fn check_loop(&self, py: Python<'_>) -> PyResult<()> {
        if self.forks != finalize::forks() {
            return Err(forked());
        }
        if self.has_this_thread_id(py) {
            return Ok(());
        }
        let running = running_loop(py)?;
        if running.is(self.event_loop(py)) {
            return Ok(());
        }
        let problem = if running.is_none() { "no asyncio loop is running" } else { "another loop is running" };
        Err(PyRuntimeError::new_err(format!(
            "this context belongs to the event loop {}, but {problem}; make a context for each loop",
            self.event_loop(py).repr()?
        )))
    }

    /// Whether this is the thread that the loop runs in.
    fn runs_here(&self, py: Python<'_>) -> bool {
        self.has_this_thread_id(py) || running_loop(py).is_ok_and(|running| running.is(self.event_loop(py)))
    }

    /// Compares the loop's `_thread_id`: faster than `_get_running_loop`, which makes a system call before Python 3.12.
    fn has_this_thread_id(&self, py: Python<'_>) -> bool {
        if !self.has_thread_id {
            return false;
        }
        let thread = self.event_loop(py).getattr(intern!(py, "_thread_id")).and_then(|id| id.extract::<u64>());
        thread.is_ok_and(|thread| thread == system::thread_id())
    }
}

fn running_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static RUNNING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    RUNNING.import(py, "asyncio", "_get_running_loop")?.call0()
}

#[pymethods]
impl LoopState {
    fn __call__(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::run_turn(slf)
    }

    fn __repr__(&self) -> &'static str {
        "<caio: file operations complete>"
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        // The collector must not wait for the lock; what it does not see counts as in use.
        let Ok(locked) = self.locked.try_lock() else { return Ok(()) };
        locked.in_flight.traverse(&visit)?;
        locked.queue.iter().chain(&locked.paused).try_for_each(|coroutine| visit.call(coroutine))?;
        locked.woken.iter().try_for_each(|wake| wake.traverse(&visit))
    }

    fn __clear__(slf: &Bound<'_, Self>) {
        Self::abandon(slf);
    }
}
