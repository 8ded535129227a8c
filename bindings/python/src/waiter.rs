//! What a task waits for: the part of a future's interface that asyncio's tasks use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};

use pyo3::exceptions::asyncio::{CancelledError, InvalidStateError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::coroutine::{Coroutine, Phase};
use crate::loop_state::LoopState;

/// Waits until a coroutine's operation completes.
#[pyclass(frozen, weakref, module = "caio._native")]
pub struct Waiter {
    /// None once the task is woken: then the task alone decides how long the memory lives.
    coroutine: Mutex<Option<Py<Coroutine>>>,
    loop_state: Py<LoopState>,
    /// asyncio's flag: `await` has yielded the waiter.
    blocking: AtomicBool,
    cancelled: AtomicBool,
    /// The message of the cancellation.
    message: OnceLock<Py<PyAny>>,
}

/// The arguments of add_done_callback, which wake a task.
pub struct Wake {
    waiter: Py<Waiter>,
    callback: Py<PyAny>,
    context: Py<PyAny>,
}

impl Wake {
    /// Wakes the task now. Call it only in a callback of the loop, where no task is running.
    pub fn run(&self, py: Python<'_>) -> PyResult<()> {
        self.waiter.get().let_go();
        if self.context.is_none(py) {
            self.callback.call1(py, (&self.waiter,))?;
        } else {
            self.context.call_method1(py, intern!(py, "run"), (&self.callback, &self.waiter))?;
        }
        Ok(())
    }

    /// Has the loop wake the task later.
    fn schedule(&self, py: Python<'_>, event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
        let kwargs = PyDict::new(py);
        if !self.context.is_none(py) {
            kwargs.set_item(intern!(py, "context"), &self.context)?;
        }
        event_loop.call_method(intern!(py, "call_soon"), (&self.callback, &self.waiter), Some(&kwargs))?;
        Ok(())
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.waiter)?;
        visit.call(&self.callback)?;
        visit.call(&self.context)
    }
}

impl Waiter {
    pub fn make(coroutine: &Bound<'_, Coroutine>) -> PyResult<Py<PyAny>> {
        let waiter = Self {
            coroutine: Mutex::new(Some(coroutine.clone().unbind())),
            loop_state: coroutine.get().bound_loop_state(coroutine.py()).clone().unbind(),
            blocking: AtomicBool::new(true),
            cancelled: AtomicBool::new(false),
            message: OnceLock::new(),
        };
        Ok(Py::new(coroutine.py(), waiter)?.into_any())
    }

    fn event_loop<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.loop_state.get().event_loop(py)
    }

    fn locked(&self) -> MutexGuard<'_, Option<Py<Coroutine>>> {
        self.coroutine.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn coroutine(&self, py: Python<'_>) -> Option<Py<Coroutine>> {
        self.locked().as_ref().map(|coroutine| coroutine.clone_ref(py))
    }

    fn let_go(&self) {
        let coroutine = self.locked().take();
        drop(coroutine);
    }

    // Relaxed, here and below: only the loop's thread uses it.
    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

#[pymethods]
impl Waiter {
    #[getter(_asyncio_future_blocking)]
    fn blocking(&self) -> bool {
        self.blocking.load(Ordering::Relaxed)
    }

    #[setter(_asyncio_future_blocking)]
    fn set_blocking(&self, value: bool) {
        self.blocking.store(value, Ordering::Relaxed);
    }

    fn get_loop(&self, py: Python<'_>) -> Py<PyAny> {
        self.event_loop(py).clone().unbind()
    }

    #[pyo3(signature = (callback, *, context=None))]
    fn add_done_callback(slf: &Bound<'_, Self>, callback: Py<PyAny>, context: Option<Py<PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let context = context.unwrap_or_else(|| py.None());
        let wake = Wake { waiter: slf.clone().unbind(), callback, context };
        let this = slf.get();
        if this.is_cancelled() {
            return wake.schedule(py, this.event_loop(py));
        }
        let refused = match this.coroutine(py) {
            Some(coroutine) => coroutine.get().set_wake(wake),
            None => Some(wake),
        };
        refused.map_or(Ok(()), |wake| wake.schedule(py, this.event_loop(py)))
    }

    fn remove_done_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>) -> PyResult<usize> {
        let Some(coroutine) = self.coroutine(py) else { return Ok(0) };
        let Some(wake) = coroutine.get().take_wake() else { return Ok(0) };
        if wake.callback.bind(py).eq(callback)? {
            return Ok(1);
        }
        coroutine.get().set_wake(wake);
        Ok(0)
    }

    /// Cancels the wait and the operation. False if the operation is complete.
    #[pyo3(signature = (msg=None))]
    fn cancel(slf: &Bound<'_, Self>, msg: Option<Bound<'_, PyAny>>) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        let coroutine = match this.coroutine(py) {
            Some(coroutine) if !this.done() => coroutine.into_bound(py),
            _ => return Ok(false),
        };
        let wake = coroutine.get().take_wake();
        if let Some(message) = msg {
            this.message.set(message.unbind()).ok();
        }
        this.cancelled.store(true, Ordering::Relaxed);
        Coroutine::give_up(&coroutine);
        if let Some(wake) = wake {
            wake.schedule(py, this.event_loop(py))?;
        }
        Ok(true)
    }

    fn done(&self) -> bool {
        let complete = |coroutine: &Py<Coroutine>| matches!(coroutine.get().phase(), Phase::Done | Phase::Over);
        self.is_cancelled() || self.locked().as_ref().is_none_or(complete)
    }

    fn cancelled(&self) -> bool {
        self.is_cancelled()
    }

    /// Returns None: the coroutine has the value.
    fn result(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_cancelled() {
            return Err(match self.message.get() {
                Some(message) => CancelledError::new_err((message.clone_ref(py),)),
                None => CancelledError::new_err(()),
            });
        }
        if self.done() { Ok(()) } else { Err(InvalidStateError::new_err("the operation is not complete")) }
    }

    fn exception(&self, py: Python<'_>) -> PyResult<()> {
        self.result(py)
    }

    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(slf: &Bound<'_, Self>) -> PyResult<Option<Py<PyAny>>> {
        if !slf.get().done() {
            slf.get().set_blocking(true);
            return Ok(Some(slf.clone().into_any().unbind()));
        }
        slf.get().result(slf.py())?;
        Ok(None)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        match self.coroutine(py) {
            Some(coroutine) => Ok(format!("<caio waiter for {}>", coroutine.bind(py).repr()?)),
            None => Ok("<caio waiter, done>".into()),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // If another thread holds the lock, the object counts as in use.
        visit.call(&self.loop_state)?;
        self.coroutine.try_lock().map_or(Ok(()), |coroutine| visit.call(&*coroutine))
    }

    fn __clear__(&self) {
        self.let_go();
    }
}
