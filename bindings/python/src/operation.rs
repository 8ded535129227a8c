//! `Operation` of the native implementations: created, submitted once, then read for its value.

use std::sync::{Mutex, MutexGuard};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyAnyMethods, PyMemoryView};

use crate::context::BaseContext;
use crate::descriptor::Descriptor;
use crate::flavor::{Flavor, Position};
use crate::in_flight::{Place, Submitted};
use crate::io::Io;
use crate::raw::*;

/// Base of the native Operation classes.
#[pyclass(subclass, frozen, weakref, module = "caio._native")]
pub struct Operation {
    pub io: Io,
    pub flavor: Flavor,
    priority: i64,
    place: Place,
    submission: Mutex<Submission>,
}

#[derive(Default)]
struct Submission {
    stage: Stage,
    /// The system call's result or a negative errno, once done.
    result: i64,
    callback: Option<Py<PyAny>>,
    /// Kept while in flight.
    context: Option<Py<BaseContext>>,
    value: Option<Py<PyAny>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Fresh,
    InFlight,
    Done,
}

impl Operation {
    pub fn new(flavor: Flavor, mut io: Io, priority: i64) -> PyResult<Self> {
        io.ioprio = flavor.priority(priority)?;
        Ok(Self { io, flavor, priority, place: Place::default(), submission: Mutex::default() })
    }

    fn submission(&self) -> MutexGuard<'_, Submission> {
        self.submission.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Claims it for one submission. False if it was claimed before.
    pub fn claim(&self, context: Option<Py<BaseContext>>) -> bool {
        let mut submission = self.submission();
        let fresh = submission.stage == Stage::Fresh;
        if fresh {
            submission.stage = Stage::InFlight;
            submission.context = context;
        }
        fresh
    }

    /// The submission was refused: it can be submitted again.
    pub fn unclaim(&self) {
        let mut submission = self.submission();
        submission.stage = Stage::Fresh;
        let context = submission.context.take();
        drop(submission);
        drop(context);
    }

    pub fn is_in_flight_in(&self, context: &Bound<'_, BaseContext>) -> bool {
        let submission = self.submission();
        submission.stage == Stage::InFlight
            && submission.context.as_ref().is_some_and(|held| held.as_ptr() == context.as_ptr())
    }

    /// Notes the result, and runs the callback.
    pub fn complete(&self, py: Python<'_>, result: i64) {
        self.io.zero_from(usize::try_from(result).unwrap_or(0));
        let mut submission = self.submission();
        submission.stage = Stage::Done;
        submission.result = result;
        let callback = submission.callback.as_ref().map(|callback| callback.clone_ref(py));
        let context = submission.context.take();
        drop(submission);
        drop(context);
        if let Some(callback) = callback {
            let value = self.flavor.callback_value(py, result);
            if let Err(error) = value.and_then(|value| callback.call1(py, (value,))) {
                error.write_unraisable(py, Some(callback.bind(py)));
            }
        }
    }

    pub fn drop_callback(&self) {
        let callback = self.submission().callback.take();
        drop(callback);
    }

    /// The result, if it is done.
    fn result_if_done(&self) -> Option<i64> {
        let submission = self.submission();
        (submission.stage == Stage::Done).then_some(submission.result)
    }

    fn not_in_flight(&self, what: &str) -> PyResult<()> {
        if self.submission().stage == Stage::InFlight {
            return Err(PyRuntimeError::new_err(format!("{what} is not available while the operation is in flight")));
        }
        Ok(())
    }

    /// The value of an operation that was never submitted.
    fn fresh_value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.io.code {
            Code::Read => zeros(py, self.io.len),
            Code::Write if self.flavor == Flavor::Linux => Ok(self.io.len.into_pyobject(py)?.into_any().unbind()),
            Code::Write => Ok(0i32.into_pyobject(py)?.into_any().unbind()),
            _ => Ok(py.None()),
        }
    }

    /// The part of a read's memory that programs may see.
    fn read_memory(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let memory = match (self.result_if_done(), self.io.bytes(py)) {
            (Some(_), Some(bytes)) => bytes.into_any(),
            // Not the object to read into, which would change under the program.
            _ => zeros(py, self.io.len)?,
        };
        if self.flavor == Flavor::Uring {
            return Ok(memory);
        }
        Ok(PyMemoryView::from(memory.bind(py))?.into_any().unbind())
    }
}

impl Submitted for Operation {
    fn place(&self) -> &Place {
        &self.place
    }
}

fn zeros(py: Python<'_>, len: usize) -> PyResult<Py<PyAny>> {
    Ok(pyo3::types::PyBytes::new_with(py, len, |_| Ok(()))?.into_any().unbind())
}

#[pymethods]
impl Operation {
    #[getter]
    fn fileno(&self) -> i32 {
        self.io.fd.number
    }

    #[getter]
    fn offset(&self) -> u64 {
        self.io.offset
    }

    /// Bytes requested; once complete, bytes moved.
    #[getter]
    fn nbytes(&self) -> i64 {
        let asked = self.io.len as i64;
        match self.result_if_done() {
            Some(result) if self.flavor == Flavor::Linux => result,
            Some(result) if self.io.reads() && self.flavor == Flavor::Thread => result.max(-1),
            Some(result) if self.io.reads() && result >= 0 => result,
            _ => asked,
        }
    }

    /// The memory of a read or write. RuntimeError while in flight.
    #[getter]
    fn payload(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.not_in_flight("payload")?;
        match self.io.code {
            Code::Read => self.read_memory(py),
            Code::Write if self.flavor == Flavor::Thread && self.result_if_done().is_some() => Ok(py.None()),
            _ => Ok(self.io.bytes(py).map_or_else(|| py.None(), Py::into_any)),
        }
    }

    /// The context that it is in flight in, else None.
    #[getter]
    fn context(&self, py: Python<'_>) -> Option<Py<BaseContext>> {
        self.submission().context.as_ref().map(|context| context.clone_ref(py))
    }

    /// The bytes read, the number of bytes written, or None for a sync. Raises an exception if the operation failed.
    pub fn get_value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.not_in_flight("get_value()")?;
        let Some(result) = self.result_if_done() else { return self.fresh_value(py) };
        if let Some(value) = &self.submission().value {
            return Ok(value.clone_ref(py));
        }
        let value = self.io.value(py, self.flavor, result)?;
        self.submission().value = Some(value.clone_ref(py));
        Ok(value)
    }

    /// Calls `callback` with one number when the operation is complete; replaces an earlier one.
    fn set_callback(&self, callback: Bound<'_, PyAny>) -> PyResult<bool> {
        if !callback.is_callable() {
            return Err(PyValueError::new_err(format!("{} is not callable", callback.repr()?)));
        }
        let earlier = self.submission().callback.replace(callback.unbind());
        drop(earlier);
        Ok(true)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let this = slf.get();
        let mode = match this.io.code {
            Code::Read => "read",
            Code::Write => "write",
            Code::Fsync => "fsync",
            _ => "fdsync",
        };
        let (stage, result) = {
            let submission = this.submission();
            (submission.stage, submission.result)
        };
        let state = match stage {
            Stage::Fresh => "not submitted".to_string(),
            Stage::InFlight => "in flight".to_string(),
            Stage::Done => format!("result={result}"),
        };
        let Io { fd: Descriptor { number: fd, .. }, offset, len, .. } = &this.io;
        format!(
            "<{}.Operation at {:p}: mode=\"{mode}\", fd={fd}, offset={offset}, nbytes={len}, {state}>",
            this.flavor.module(),
            slf.as_ptr()
        )
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        // If another thread holds the lock, the objects count as in use.
        if let Ok(submission) = self.submission.try_lock() {
            visit.call(&submission.callback)?;
            visit.call(&submission.context)?;
            visit.call(&submission.value)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let mut submission = self.submission();
        let held = (submission.callback.take(), submission.context.take());
        drop(submission);
        drop(held);
    }
}

/// The error number of a failed operation, for the `error` attribute.
fn error_of(operation: &Operation) -> i64 {
    operation.result_if_done().map_or(0, |result| if result < 0 { number(Errno(-result as i32)).into() } else { 0 })
}

/// The `result` attribute.
fn result_of(operation: &Operation) -> i64 {
    match operation.result_if_done() {
        Some(result) if result < 0 && operation.flavor == Flavor::Thread => -1,
        Some(result) => result,
        None => 0,
    }
}

/// The Operation class of one implementation.
macro_rules! operation_class {
    ($name:ident, $flavor:expr, $module:literal, { $($attributes:tt)* }) => {
        /// One read, write or sync, to be submitted once.
        #[pyclass(name = "Operation", module = $module, extends = Operation, frozen)]
        pub struct $name;

        impl $name {
            fn make(py: Python<'_>, io: Io, priority: i64) -> PyResult<Py<Self>> {
                let base = Operation::new($flavor, io, priority)?;
                Py::new(py, PyClassInitializer::from(base).add_subclass(Self))
            }
        }

        #[pymethods]
        impl $name {
            /// Reads up to `nbytes` bytes.
            #[staticmethod]
            #[pyo3(signature = (nbytes, fd, offset=Position(None), priority=0))]
            #[pyo3(text_signature = "(nbytes, fd, offset=0, priority=0)")]
            fn read(
                nbytes: Bound<'_, PyAny>,
                fd: Descriptor,
                offset: Position<'_>,
                priority: i64,
            ) -> PyResult<Py<Self>> {
                let py = nbytes.py();
                let (len, offset) = ($flavor.length(&nbytes)?, $flavor.offset(offset.0.as_ref())?);
                Self::make(py, Io::read(py, len, fd, offset)?, priority)
            }

            /// Writes `payload_bytes`.
            #[staticmethod]
            #[pyo3(signature = (payload_bytes, fd, offset=Position(None), priority=0))]
            #[pyo3(text_signature = "(payload_bytes, fd, offset=0, priority=0)")]
            fn write(
                payload_bytes: Bound<'_, PyAny>,
                fd: Descriptor,
                offset: Position<'_>,
                priority: i64,
            ) -> PyResult<Py<Self>> {
                let io = Io::write(&payload_bytes, fd, $flavor.offset(offset.0.as_ref())?)?;
                Self::make(payload_bytes.py(), io, priority)
            }

            /// fsync(2).
            #[staticmethod]
            #[pyo3(signature = (fd, priority=0))]
            fn fsync(py: Python<'_>, fd: Descriptor, priority: i64) -> PyResult<Py<Self>> {
                Self::make(py, Io::new(Code::Fsync, fd), priority)
            }

            /// fdatasync(2).
            #[staticmethod]
            #[pyo3(signature = (fd, priority=0))]
            fn fdsync(py: Python<'_>, fd: Descriptor, priority: i64) -> PyResult<Py<Self>> {
                Self::make(py, Io::new(Code::Fdsync, fd), priority)
            }

            $($attributes)*
        }
    };
}

operation_class!(UringOperation, Flavor::Uring, "caio.linux_uring", {
    #[getter]
    fn result(slf: &Bound<'_, Self>) -> i64 {
        result_of(slf.as_super().get())
    }

    #[getter]
    fn error(slf: &Bound<'_, Self>) -> i64 {
        error_of(slf.as_super().get())
    }
});
operation_class!(LinuxOperation, Flavor::Linux, "caio.linux_aio", {
    #[getter]
    fn priority(slf: &Bound<'_, Self>) -> i64 {
        slf.as_super().get().priority
    }
});
operation_class!(ThreadOperation, Flavor::Thread, "caio.thread_aio", {
    #[getter]
    fn result(slf: &Bound<'_, Self>) -> i64 {
        result_of(slf.as_super().get())
    }

    #[getter]
    fn error(slf: &Bound<'_, Self>) -> i64 {
        error_of(slf.as_super().get())
    }
});
