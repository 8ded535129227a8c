//! What the loop has of us: a reader of the context's descriptor, and callbacks.

use pyo3::exceptions::PyNotImplementedError;
use pyo3::gc::{PyTraverseError, PyVisit};

use super::*;

/// The reader. Only the loop holds it, so that its end tells that the loop has let go of it: loops do when they are
/// closed or collected.
#[pyclass(frozen, module = "caio._native")]
pub struct Watch {
    state: Mutex<Option<Py<LoopState>>>,
}

impl Watch {
    fn state(&self, py: Python<'_>) -> Option<Py<LoopState>> {
        let state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        state.as_ref().map(|state| state.clone_ref(py))
    }

    fn end(&self) {
        let state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        if let Some(state) = state {
            finalize::attach(|py| {
                if state.get().locked().watched {
                    LoopState::abandon(state.bind(py));
                }
                drop(state);
            });
        }
    }
}

#[pymethods]
impl Watch {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        self.state(py).map_or(Ok(()), |state| LoopState::run_turn(state.bind(py)))
    }

    fn __repr__(&self) -> &'static str {
        "<caio: file operations complete>"
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        self.state.try_lock().map_or(Ok(()), |state| visit.call(&*state))
    }

    fn __clear__(&self) {
        self.end();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

impl LoopState {
    /// Has the loop watch the context's descriptor.
    pub(super) fn watch(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let mut locked = this.locked();
        if locked.reaping || std::mem::replace(&mut locked.watched, true) {
            return Ok(());
        }
        drop(locked);
        let watch = Bound::new(py, Watch { state: Mutex::new(Some(slf.clone().unbind())) })?;
        // asyncio's proactor loop on Windows has no readers. Its attribute is looked for first, as there the descriptor is a
        // socket, which is only made when it is asked for.
        if !this.event_loop(py).hasattr(intern!(py, "_proactor"))? {
            let fd = this.core.ctx.descriptor().map_err(|errno| this.failure(py, errno))?;
            match this.event_loop(py).call_method1(intern!(py, "add_reader"), (fd, &watch)) {
                Err(error) if error.is_instance_of::<PyNotImplementedError>(py) => {}
                added => return added.map(drop),
            }
        }
        this.watch_without_reader(py, &watch)
    }

    /// Has the module `_watch` call the reader.
    fn watch_without_reader(&self, py: Python<'_>, watch: &Bound<'_, Watch>) -> PyResult<()> {
        static START: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let start = START.import(py, "caio._watch", "start")?;
        let event_loop = self.event_loop(py);
        let watcher = if event_loop.hasattr(intern!(py, "_proactor"))? {
            let handle = event_handle(&self.core.ctx).map_err(|errno| self.failure(py, errno))?;
            start.call1((event_loop, handle, watch))?
        } else {
            let fd = self.core.ctx.descriptor().map_err(|errno| self.failure(py, errno))?;
            start.call1((event_loop, fd, watch))?
        };
        self.locked().watcher = Some(watcher.unbind());
        Ok(())
    }

    pub(super) fn unwatch(&self, py: Python<'_>) -> PyResult<()> {
        if !std::mem::replace(&mut self.locked().watched, false) {
            return Ok(());
        }
        let watcher = self.locked().watcher.take();
        if let Some(watcher) = watcher {
            let watcher = watcher.bind(py).call0()?;
            return if watcher.is_none() { Ok(()) } else { watcher.call_method0("stop").map(drop) };
        }
        if let (Ok(fd), Some(false)) = (self.core.ctx.descriptor(), self.ask_loop(py, "is_closed")) {
            self.event_loop(py).call_method1(intern!(py, "remove_reader"), (fd,))?;
        }
        Ok(())
    }

    /// Calls a predicate of the loop. None while the garbage collector takes the loop apart.
    pub(super) fn ask_loop(&self, py: Python<'_>, predicate: &str) -> Option<bool> {
        self.event_loop(py).call_method0(predicate).and_then(|answer| answer.is_truthy()).ok()
    }

    /// Has the loop call us in its next iteration.
    pub(super) fn schedule_unless_in_turn(slf: &Bound<'_, Self>) -> PyResult<()> {
        let mut locked = slf.get().locked();
        if locked.in_turn || std::mem::replace(&mut locked.scheduled, true) {
            return Ok(());
        }
        drop(locked);
        slf.get().event_loop(slf.py()).call_method1(intern!(slf.py(), "call_soon"), (slf,))?;
        Ok(())
    }

    /// The same, from any thread.
    pub(super) fn schedule_threadsafe(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().event_loop(slf.py()).call_method1(intern!(slf.py(), "call_soon_threadsafe"), (slf,))?;
        Ok(())
    }

    pub(super) fn retry_soon(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().event_loop(slf.py()).call_method1(intern!(slf.py(), "call_later"), (0.001, slf))?;
        Ok(())
    }
}
