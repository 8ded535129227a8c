//! What `AsyncioContext.read` and its like return: a coroutine that does one operation.
//!
//! It starts when it is awaited. What the library finishes at once is returned at once; else the task waits for the
//! [`Waiter`] that this yields.

use std::sync::{Arc, Mutex, MutexGuard};

use pyo3::exceptions::{PyRuntimeError, PyStopIteration, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::aio::{Aio, Begun, Inner};
use crate::io::Io;
use crate::operation::Operation;
use crate::waiter::{Waiter, Wake};

/// The work of a request.
pub enum Work {
    Io(Io),
    /// One that the caller has made, and will ask for its value.
    Operation(Py<Operation>),
}

/// One operation through an event loop.
#[pyclass(subclass, frozen, weakref, module = "caio._native")]
pub struct Request {
    /// Kept alive while it may be needed.
    _aio: Py<Aio>,
    inner: Arc<Inner>,
    work: Work,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    phase: Phase,
    result: i64,
    /// Whom to wake.
    wake: Option<Wake>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    New,
    /// Waits for its turn to be submitted.
    Queued,
    InFlight,
    /// There is a result, but other tasks come first.
    Resting,
    /// There is a result, which nobody has taken.
    Done,
    /// The result was taken, or nobody wants it.
    Over,
}

/// What comes of letting a coroutine go on.
pub enum Step {
    Yield(Py<PyAny>),
    Return(Py<PyAny>),
}

impl Request {
    pub fn new(aio: Py<Aio>, inner: Arc<Inner>, work: Work) -> Self {
        Self { _aio: aio, inner, work, state: Mutex::default() }
    }

    pub fn io(&self) -> &Io {
        match &self.work {
            Work::Io(io) => io,
            Work::Operation(operation) => &operation.get().io,
        }
    }

    pub fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn phase(&self) -> Phase {
        self.state().phase
    }

    /// Moves on, unless somebody has given it up meanwhile.
    pub fn advance(&self, phase: Phase) -> bool {
        let mut state = self.state();
        let wanted = state.phase != Phase::Over;
        if wanted {
            state.phase = phase;
        }
        wanted
    }

    fn tell_operation(&self, py: Python<'_>, result: i64) {
        if let Work::Operation(operation) = &self.work {
            operation.get().complete(py, result);
        }
    }

    /// There is a result: whom to wake.
    pub fn complete(&self, py: Python<'_>, result: i64) -> Option<Wake> {
        self.tell_operation(py, result);
        let mut state = self.state();
        if state.phase != Phase::Over {
            state.phase = Phase::Done;
        }
        state.result = result;
        state.wake.take()
    }

    /// There is a result, for which the task has to wait until [`Self::rested`].
    pub fn rest(&self, py: Python<'_>, result: i64) {
        self.tell_operation(py, result);
        let mut state = self.state();
        (state.phase, state.result) = (Phase::Resting, result);
    }

    /// The task may go on: whom to wake.
    pub fn rested(&self) -> Option<Wake> {
        let mut state = self.state();
        if state.phase == Phase::Resting {
            state.phase = Phase::Done;
        }
        state.wake.take()
    }

    /// As [`Self::complete`], where the loop's own callback is not at work: in another thread, perhaps.
    pub fn complete_elsewhere(&self, py: Python<'_>, result: i64) {
        let wake = self.complete(py, result);
        self.inner.completed_elsewhere(py, wake);
    }

    /// Sets whom to wake; gives it back if there is nothing to wait for.
    pub fn set_wake(&self, wake: Wake) -> Option<Wake> {
        let mut state = self.state();
        if matches!(state.phase, Phase::Queued | Phase::InFlight | Phase::Resting) {
            state.wake = Some(wake);
            return None;
        }
        Some(wake)
    }

    pub fn take_wake(&self) -> Option<Wake> {
        self.state().wake.take()
    }

    /// Nobody wants the result any more. The memory stays until the event; that comes sooner if it can be stopped.
    pub fn give_up(slf: &Bound<'_, Self>) {
        let this = slf.get();
        let mut state = this.state();
        let phase = std::mem::replace(&mut state.phase, Phase::Over);
        let wake = state.wake.take();
        drop(state);
        drop(wake);
        match phase {
            Phase::InFlight => this.inner.cancel(slf),
            Phase::Queued => this.release_operation(),
            _ => {}
        }
    }

    /// The caller's operation was not started, so that it can be submitted again.
    pub fn release_operation(&self) {
        if let Work::Operation(operation) = &self.work {
            operation.get().unclaim();
        }
    }

    fn claim_operation(&self) -> PyResult<()> {
        if let Work::Operation(operation) = &self.work
            && !operation.get().claim(None)
        {
            return Err(PyRuntimeError::new_err("the operation was submitted before"));
        }
        Ok(())
    }

    /// Begins it for a chain, which submits all its members itself.
    pub fn join_chain(&self) -> PyResult<()> {
        if self.phase() != Phase::New {
            return Err(PyRuntimeError::new_err("a member of the chain was awaited before"));
        }
        self.claim_operation()?;
        self.advance(Phase::Queued);
        Ok(())
    }

    pub fn is_new(&self) -> bool {
        self.phase() == Phase::New
    }

    /// Lets the coroutine go on.
    pub fn step(slf: &Bound<'_, Self>) -> PyResult<Step> {
        let this = slf.get();
        let mut state = this.state();
        match state.phase {
            Phase::New => {
                drop(state);
                Self::start(slf)
            }
            Phase::Done => {
                state.phase = Phase::Over;
                let result = state.result;
                drop(state);
                this.finish(slf.py(), result)
            }
            Phase::Queued | Phase::InFlight | Phase::Resting => {
                drop(state);
                Waiter::make(slf).map(Step::Yield)
            }
            Phase::Over => Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine")),
        }
    }

    fn start(slf: &Bound<'_, Self>) -> PyResult<Step> {
        let (py, this) = (slf.py(), slf.get());
        this.claim_operation()?;
        match this.inner.begin(slf) {
            Ok(Begun::Done(result)) => {
                this.tell_operation(py, result);
                this.state().phase = Phase::Over;
                this.finish(py, result)
            }
            Ok(Begun::Pending) => Waiter::make(slf).map(Step::Yield),
            Err(error) => {
                this.state().phase = Phase::Over;
                this.release_operation();
                Err(error)
            }
        }
    }

    /// Ends the coroutine: with the value, or what went wrong.
    fn finish(&self, py: Python<'_>, result: i64) -> PyResult<Step> {
        let value = match &self.work {
            Work::Io(io) => io.value(py, self.inner.core.flavor, result),
            Work::Operation(operation) => operation.get().get_value(py),
        };
        value.map(Step::Return)
    }
}

#[pymethods]
impl Request {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        match Self::step(slf)? {
            Step::Yield(value) => Ok(value),
            Step::Return(value) => Err(PyStopIteration::new_err((value,))),
        }
    }

    fn send(slf: &Bound<'_, Self>, value: Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        if slf.get().is_new() && !value.is_none() {
            return Err(PyTypeError::new_err("can't send non-None value to a just-started coroutine"));
        }
        Self::__next__(slf)
    }

    /// Gives up what it does and raises the exception. What runs goes on until it can be stopped.
    #[pyo3(signature = (typ, val=None, tb=None))]
    fn throw(
        slf: &Bound<'_, Self>,
        typ: Bound<'_, PyAny>,
        val: Option<Bound<'_, PyAny>>,
        tb: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        Self::give_up(slf);
        let error = match val {
            Some(value) if typ.is_instance_of::<pyo3::types::PyType>() && !value.is_none() => {
                if value.is_instance(&typ)? { value } else { typ.call1((value,))? }
            }
            _ => typ,
        };
        let error = PyErr::from_value(error);
        if let Some(tb) = tb {
            error.value(slf.py()).setattr("__traceback__", tb)?;
        }
        Err(error)
    }

    fn close(slf: &Bound<'_, Self>) {
        Self::give_up(slf);
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let io = slf.get().io();
        let phase = match slf.get().phase() {
            Phase::New => "not started",
            Phase::Queued => "waiting for its turn",
            Phase::InFlight => "in flight",
            Phase::Resting | Phase::Done => "done",
            Phase::Over => "over",
        };
        format!("<caio request at {:p}: opcode={}, fd={}, {phase}>", slf.as_ptr(), io.opcode, io.fd)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self._aio)?;
        if let Work::Operation(operation) = &self.work {
            visit.call(operation)?;
        }
        // The collector runs while nobody holds it: no Python code runs under this lock.
        if let Ok(state) = self.state.try_lock()
            && let Some(wake) = &state.wake
        {
            wake.traverse(&visit)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let wake = self.take_wake();
        drop(wake);
    }
}
