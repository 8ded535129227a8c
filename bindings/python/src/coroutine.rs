//! What `AsyncioContext.read` and the other methods return: a coroutine that performs one operation.
//!
//! It starts when it is awaited. If the operation completes immediately, `await` returns; else the task waits for the
//! [`Waiter`] that this yields.

use std::sync::{Mutex, MutexGuard};

use pyo3::exceptions::{PyRuntimeError, PyStopIteration, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::chain::{Chain, MOST_STEPS, Next};
use crate::in_flight::{Place, Submitted, coroutine_user_data};
use crate::io::{Io, Memory};
use crate::loop_context::LoopContext;
use crate::loop_state::{Begun, LoopState};
use crate::operation::Operation;
use crate::raw::Request;
use crate::system;
use crate::waiter::{Waiter, Wake};

/// The operation of a coroutine.
pub enum Work {
    Io(Io),
    /// One that the caller created, and reads the value of.
    Operation(Py<Operation>),
    Chain(Chain),
}

/// One operation, awaited in an event loop.
#[pyclass(name = "OperationCoroutine", subclass, frozen, weakref, module = "caio._native")]
pub struct Coroutine {
    loop_state: Py<LoopState>,
    place: Place,
    work: Work,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    phase: Phase,
    result: i64,
    /// Wakes the task that waits.
    wake: Option<Wake>,
    /// An awaited coroutine keeps its context open. One that was given up does not: it may stay in flight for long.
    context: Option<Py<LoopContext>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    New,
    /// Not submitted yet.
    Queued,
    InFlight,
    /// Complete, but other tasks run first.
    Paused,
    /// Complete; the task has not taken the result yet.
    Done,
    /// The result was taken, or the coroutine was given up.
    Over,
}

/// What one step of a coroutine returns.
pub enum Step {
    Yield(Py<PyAny>),
    Return(Py<PyAny>),
}

impl Coroutine {
    pub fn new(context: Py<LoopContext>, loop_state: Py<LoopState>, work: Work) -> Self {
        let progress = Progress { context: Some(context), ..Progress::default() };
        Self { loop_state, place: Place::default(), work, progress: Mutex::new(progress) }
    }

    /// One that is in the queue already, and that no task awaits.
    pub fn queued(loop_state: Py<LoopState>, io: Io) -> Self {
        let progress = Progress { phase: Phase::Queued, ..Progress::default() };
        Self { loop_state, place: Place::default(), work: Work::Io(io), progress: Mutex::new(progress) }
    }

    pub fn io(&self) -> &Io {
        match &self.work {
            Work::Io(io) => io,
            Work::Operation(operation) => &operation.get().io,
            Work::Chain(chain) => &chain.steps()[0],
        }
    }

    fn steps(&self) -> &[Io] {
        match &self.work {
            Work::Chain(chain) => chain.steps(),
            _ => std::slice::from_ref(self.io()),
        }
    }

    /// Describes its operations to the library; returns how many.
    pub fn describe(slf: &Bound<'_, Self>, ops: &mut [Request; MOST_STEPS]) -> usize {
        let steps = slf.get().steps();
        for (number, (step, op)) in steps.iter().zip(ops.iter_mut()).enumerate() {
            *op = step.request(slf.py(), coroutine_user_data(slf, number));
            if number + 1 < steps.len() {
                op.link = true;
            }
        }
        steps.len()
    }

    pub fn loop_state(&self) -> &LoopState {
        self.loop_state.get()
    }

    pub fn bound_loop_state<'py>(&self, py: Python<'py>) -> &Bound<'py, LoopState> {
        self.loop_state.bind(py)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn phase(&self) -> Phase {
        self.progress().phase
    }

    /// Enters `phase`. False if the coroutine was given up.
    pub fn advance(&self, phase: Phase) -> bool {
        let mut progress = self.progress();
        let wanted = progress.phase != Phase::Over;
        if wanted {
            progress.phase = phase;
        }
        wanted
    }

    /// The library is done with an operation. Returns the result if it was the last.
    pub fn note_event(slf: &Bound<'_, Self>, step: usize, result: i64) -> Option<i64> {
        match &slf.get().work {
            Work::Operation(operation) => operation.get().complete(slf.py(), result),
            Work::Io(io) => io.release_buffer(),
            Work::Chain(chain) => match chain.note(step, result) {
                Next::Wait => return None,
                Next::CleanUp(io) if Self::submit_more(slf, io) => return None,
                Next::CleanUp(_) => chain.clean_up_here(),
                Next::Done => {}
            },
        }
        Some(result)
    }

    /// Submits one more operation. The coroutine stays in flight.
    fn submit_more(slf: &Bound<'_, Self>, io: &Io) -> bool {
        let op = io.request(slf.py(), coroutine_user_data(slf, 0));
        // SAFETY: the set in flight keeps the coroutine, and with it the memory, until the event is handled.
        unsafe { slf.get().loop_state().core.ctx.submit(&[op]) }.is_ok()
    }

    /// Notes the result. Returns the task to wake.
    pub fn complete(&self, py: Python<'_>, result: i64) -> Option<Wake> {
        let mut progress = self.progress();
        progress.result = result;
        if progress.phase == Phase::Over {
            drop(progress);
            self.close_unwanted(py, result);
            return None;
        }
        progress.phase = Phase::Done;
        progress.wake.take()
    }

    /// The descriptor that is left open when no task takes this result: a new one, or one whose CLOSE did not run.
    /// The library closes those that a chain opens.
    fn left_open(&self, result: i64) -> Option<i32> {
        match &self.work {
            Work::Io(io) if io.opens() && result >= 0 => Some(result as i32),
            Work::Io(io) if io.closes() && result == -i64::from(libc::ECANCELED) => Some(io.fd.handle),
            _ => None,
        }
    }

    fn close_unwanted(&self, py: Python<'_>, result: i64) {
        if let Some(fd) = self.left_open(result) {
            LoopState::close_later(self.bound_loop_state(py), fd);
        }
    }

    /// Notes the result, which the task gets after [`Self::resume`].
    pub fn pause(&self, result: i64) {
        let mut progress = self.progress();
        (progress.phase, progress.result) = (Phase::Paused, result);
    }

    /// Lets the task run on. Returns the task to wake.
    pub fn resume(&self) -> Option<Wake> {
        let mut progress = self.progress();
        if progress.phase == Phase::Paused {
            progress.phase = Phase::Done;
        }
        progress.wake.take()
    }

    /// [`Self::complete`] outside the loop's callback, in any thread.
    pub fn complete_elsewhere(slf: &Bound<'_, Self>, step: usize, result: i64) {
        let (py, this) = (slf.py(), slf.get());
        if let Some(result) = Self::note_event(slf, step, result) {
            let wake = this.complete(py, result);
            LoopState::completed_elsewhere(this.bound_loop_state(py), this, wake);
        }
    }

    /// Sets the task to wake. Returns it if the operation is not pending.
    pub fn set_wake(&self, wake: Wake) -> Option<Wake> {
        let mut progress = self.progress();
        if matches!(progress.phase, Phase::Queued | Phase::InFlight | Phase::Paused) {
            progress.wake = Some(wake);
            return None;
        }
        Some(wake)
    }

    pub fn take_wake(&self) -> Option<Wake> {
        self.progress().wake.take()
    }

    /// The task no longer wants the result. The operation is cancelled if it can be; its memory stays until its event.
    /// A CLOSE goes on: its task cannot know whether it has run.
    pub fn give_up(slf: &Bound<'_, Self>) {
        let this = slf.get();
        let mut progress = this.progress();
        let closing = this.io().closes() && progress.phase != Phase::New;
        if closing {
            drop(progress);
            return this.let_go();
        }
        let phase = std::mem::replace(&mut progress.phase, Phase::Over);
        let result = progress.result;
        drop(progress);
        match phase {
            Phase::InFlight => LoopState::cancel(this.bound_loop_state(slf.py()), slf),
            Phase::Queued => this.release_operation(),
            Phase::Paused | Phase::Done => this.close_unwanted(slf.py(), result),
            Phase::New | Phase::Over => {}
        }
        this.let_go();
    }

    /// Drops the references that only a waiting task needs.
    pub fn let_go(&self) {
        let mut progress = self.progress();
        let held = (progress.wake.take(), progress.context.take());
        drop(progress);
        drop(held);
    }

    /// The caller's operation was not submitted: it can be submitted again.
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

    /// Prepares it for a chain, which submits its members together.
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

    /// Runs the coroutine until it waits or returns.
    pub fn step(slf: &Bound<'_, Self>) -> PyResult<Step> {
        let this = slf.get();
        let mut progress = this.progress();
        match progress.phase {
            Phase::New => {
                drop(progress);
                Self::start(slf)
            }
            Phase::Done => {
                progress.phase = Phase::Over;
                let result = progress.result;
                drop(progress);
                this.finish(slf.py(), result)
            }
            Phase::Queued | Phase::InFlight | Phase::Paused => {
                drop(progress);
                Waiter::make(slf).map(Step::Yield)
            }
            Phase::Over => Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine")),
        }
    }

    fn start(slf: &Bound<'_, Self>) -> PyResult<Step> {
        let (py, this) = (slf.py(), slf.get());
        this.claim_operation()?;
        match LoopState::begin(this.bound_loop_state(py), slf) {
            Ok(Begun::Done(result)) => {
                this.progress().phase = Phase::Over;
                this.finish(py, result)
            }
            Ok(Begun::Pending) => Waiter::make(slf).map(Step::Yield),
            Err(error) => {
                this.progress().phase = Phase::Over;
                this.release_operation();
                Err(error)
            }
        }
    }

    /// The coroutine's value or exception.
    fn finish(&self, py: Python<'_>, result: i64) -> PyResult<Step> {
        let value = match &self.work {
            Work::Io(io) => io.take_value(py, self.loop_state().core.flavor, result),
            Work::Operation(operation) => operation.get().get_value(py),
            Work::Chain(chain) => chain.value(py),
        };
        value.map(Step::Return)
    }
}

#[pymethods]
impl Coroutine {
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

    /// Gives the operation up, and raises the exception.
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
            Phase::Queued => "queued",
            Phase::InFlight => "in flight",
            Phase::Paused | Phase::Done => "done",
            Phase::Over => "finished",
        };
        format!("<caio operation at {:p}: opcode={:?}, fd={}, {phase}>", slf.as_ptr(), io.code, io.fd.number)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.loop_state)?;
        if let Work::Operation(operation) = &self.work {
            visit.call(operation)?;
        }
        if let Memory::Buffer(buffer) = &self.io().memory {
            buffer.traverse(&visit)?;
        }
        // If another thread holds the lock, the objects count as in use.
        let Ok(progress) = self.progress.try_lock() else { return Ok(()) };
        visit.call(&progress.context)?;
        progress.wake.as_ref().map_or(Ok(()), |wake| wake.traverse(&visit))
    }

    fn __clear__(&self) {
        self.let_go();
    }
}

/// Closes what would stay open: no loop may run any more.
impl Drop for Coroutine {
    fn drop(&mut self) {
        let progress = self.progress.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        let left_open = match (progress.phase, &self.work) {
            (Phase::Queued, Work::Io(io)) if io.closes() => Some(io.fd.handle),
            (Phase::Paused | Phase::Done, _) => {
                let result = progress.result;
                self.left_open(result)
            }
            _ => None,
        };
        if let Some(fd) = left_open {
            system::close(fd);
        }
    }
}

impl Submitted for Coroutine {
    fn place(&self) -> &Place {
        &self.place
    }

    fn operations(&self) -> usize {
        self.steps().len()
    }
}
