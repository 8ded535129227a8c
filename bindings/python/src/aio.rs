//! The part of `AsyncioContext` that does the work: requests in, results to tasks.

use std::sync::{Arc, OnceLock};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::context::Context;
use crate::io::{Io, descriptor};
use crate::operation::Operation;
use crate::raw::*;
use crate::request::{Request, Work};

pub use crate::inner::{Begun, Inner};

/// Base of the native AsyncioContext classes.
#[pyclass(subclass, frozen, weakref, module = "caio._native")]
pub struct Aio {
    inner: OnceLock<Arc<Inner>>,
}

impl Aio {
    fn inner(&self) -> PyResult<&Arc<Inner>> {
        self.inner.get().ok_or_else(|| PyRuntimeError::new_err("AsyncioContext.__init__() was not called"))
    }

    fn request(slf: &Bound<'_, Self>, mut io: Io, priority: i64, timeout: Option<f64>) -> PyResult<Py<Request>> {
        let inner = slf.get().inner()?;
        if priority != 0 {
            io.ioprio = inner.core.flavor.priority(priority)?;
        }
        if let Some(timeout) = timeout {
            io.timeout_ns = nanoseconds(timeout)?;
        }
        crate::send::new(slf.py(), Request::new(slf.clone().unbind(), inner.clone(), Work::Io(io)))
    }
}

/// A timeout in seconds as the library takes it: at least one nanosecond, as 0 means none.
fn nanoseconds(seconds: f64) -> PyResult<u64> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(PyValueError::new_err(format!("timeout ({seconds}) must not be negative")));
    }
    Ok(((seconds * 1e9) as u64).max(1))
}

#[pymethods]
impl Aio {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, pyo3::types::PyDict>>) -> Self {
        Self { inner: OnceLock::new() }
    }

    /// Connects a context with an event loop.
    fn _open(&self, context: &Bound<'_, Context>, event_loop: Bound<'_, PyAny>, deferred: bool) -> PyResult<()> {
        let inner = Inner::new(context.get().core.clone(), event_loop, deferred)?;
        self.inner.set(inner).map_err(|_| PyRuntimeError::new_err("AsyncioContext.__init__() was called twice"))
    }

    /// Reads up to `nbytes` bytes at `offset`; -1 is the file's current position.
    #[pyo3(signature = (nbytes, fd, offset, priority=0, *, timeout=None))]
    fn read(
        slf: &Bound<'_, Self>,
        nbytes: &Bound<'_, PyAny>,
        fd: i64,
        offset: &Bound<'_, PyAny>,
        priority: i64,
        timeout: Option<f64>,
    ) -> PyResult<Py<Request>> {
        let flavor = slf.get().inner()?.core.flavor;
        let io = Io::read(slf.py(), flavor.length(nbytes)?, descriptor(fd)?, flavor.offset(Some(offset))?)?;
        Self::request(slf, io, priority, timeout)
    }

    /// Writes `payload` at `offset`; the result is how many bytes that were.
    #[pyo3(signature = (payload, fd, offset, priority=0, *, timeout=None))]
    fn write(
        slf: &Bound<'_, Self>,
        payload: &Bound<'_, PyAny>,
        fd: i64,
        offset: &Bound<'_, PyAny>,
        priority: i64,
        timeout: Option<f64>,
    ) -> PyResult<Py<Request>> {
        let flavor = slf.get().inner()?.core.flavor;
        let io = Io::write(payload, descriptor(fd)?, flavor.offset(Some(offset))?)?;
        Self::request(slf, io, priority, timeout)
    }

    /// Reads into several bytes objects of these sizes, in one call; the result is a list of them.
    #[pyo3(signature = (sizes, fd, offset, priority=0, *, timeout=None))]
    fn readv(
        slf: &Bound<'_, Self>,
        sizes: Vec<usize>,
        fd: i64,
        offset: &Bound<'_, PyAny>,
        priority: i64,
        timeout: Option<f64>,
    ) -> PyResult<Py<Request>> {
        let offset = slf.get().inner()?.core.flavor.offset(Some(offset))?;
        Self::request(slf, Io::readv(slf.py(), &sizes, descriptor(fd)?, offset)?, priority, timeout)
    }

    /// Writes several bytes objects, one after the other, in one call; the result is how many bytes that were.
    #[pyo3(signature = (payloads, fd, offset, priority=0, *, timeout=None))]
    fn writev(
        slf: &Bound<'_, Self>,
        payloads: Vec<Py<PyBytes>>,
        fd: i64,
        offset: &Bound<'_, PyAny>,
        priority: i64,
        timeout: Option<f64>,
    ) -> PyResult<Py<Request>> {
        let offset = slf.get().inner()?.core.flavor.offset(Some(offset))?;
        Self::request(slf, Io::writev(slf.py(), payloads, descriptor(fd)?, offset), priority, timeout)
    }

    /// fsync(2).
    #[pyo3(signature = (fd, priority=0, *, timeout=None))]
    fn fsync(slf: &Bound<'_, Self>, fd: i64, priority: i64, timeout: Option<f64>) -> PyResult<Py<Request>> {
        Self::request(slf, Io::sync(CAIO_OP_FSYNC, descriptor(fd)?), priority, timeout)
    }

    /// fdatasync(2).
    #[pyo3(signature = (fd, priority=0, *, timeout=None))]
    fn fdsync(slf: &Bound<'_, Self>, fd: i64, priority: i64, timeout: Option<f64>) -> PyResult<Py<Request>> {
        Self::request(slf, Io::sync(CAIO_OP_FDSYNC, descriptor(fd)?), priority, timeout)
    }

    /// Does an operation that was made before; the result is its value.
    fn submit(slf: &Bound<'_, Self>, op: &Bound<'_, PyAny>) -> PyResult<Py<Request>> {
        let inner = slf.get().inner()?;
        let operation = op.cast::<Operation>().ok().filter(|op| op.get().flavor == inner.core.flavor);
        let Some(operation) = operation else {
            let module = inner.core.flavor.module();
            return Err(PyValueError::new_err(format!("{} is not a {module}.Operation", op.repr()?)));
        };
        let work = Work::Operation(operation.clone().unbind());
        crate::send::new(slf.py(), Request::new(slf.clone().unbind(), inner.clone(), work))
    }

    /// Starts requests as a chain: each only after the one before has succeeded in full.
    fn _start_chain(&self, requests: Vec<Py<Request>>, py: Python<'_>) -> PyResult<()> {
        let inner = self.inner()?;
        if requests.iter().any(|request| !Arc::ptr_eq(request.get().inner(), inner)) {
            return Err(PyValueError::new_err("a member of the chain is of another context"));
        }
        inner.begin_chain(py, requests)
    }

    /// What is in flight goes on; nothing new is accepted.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.inner.get().map_or(Ok(()), |inner| inner.close(py))
    }

    /// Counters since the context was made.
    fn stats(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let core = &self.inner()?.core;
        let stats = core.ctx.stats().map_err(|errno| core.flavor.failure(py, errno))?;
        crate::info::stats_object(py, core.flavor, &stats)
    }

    /// Requests that are neither complete nor given up: in flight, or waiting for that.
    #[getter]
    fn _unfinished(&self) -> PyResult<usize> {
        Ok(self.inner()?.unfinished())
    }
}

impl Drop for Aio {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.get() {
            Python::attach(|py| {
                if let Err(error) = inner.close(py) {
                    error.write_unraisable(py, None);
                }
            });
        }
    }
}
