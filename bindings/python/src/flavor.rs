//! How the native implementations differ for a Python program.

use pyo3::exceptions::{PyMemoryError, PyOverflowError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::raw::*;

/// A file offset argument. Passing None is an error; passing nothing means 0.
pub struct Position<'py>(pub Option<Bound<'py, PyAny>>);

impl<'py> FromPyObject<'_, 'py> for Position<'py> {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self(Some(given.to_owned())))
    }
}

/// One of the native implementations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    Uring,
    Linux,
    Thread,
}

impl Flavor {
    pub fn of_backend(backend: Backend) -> Self {
        match backend {
            Backend::Uring => Self::Uring,
            Backend::Linux => Self::Linux,
            _ => Self::Thread,
        }
    }

    pub fn backend(self) -> Backend {
        match self {
            Self::Uring => Backend::Uring,
            Self::Linux => Backend::Linux,
            Self::Thread => Backend::Thread,
        }
    }

    /// The module that users import it from.
    pub fn module(self) -> &'static str {
        match self {
            Self::Uring => "caio.linux_uring",
            Self::Linux => "caio.linux_aio",
            Self::Thread => "caio.thread_aio",
        }
    }

    pub fn default_requests(self) -> u32 {
        if self == Self::Thread { 512 } else { 32 }
    }

    /// The callback's argument for an operation with this result.
    pub fn callback_value(self, py: Python<'_>, result: i64) -> PyResult<Py<PyAny>> {
        let value = match self {
            Self::Linux => (result as u64).into_pyobject(py)?,
            Self::Thread if result < 0 => (-1).into_pyobject(py)?,
            _ => result.into_pyobject(py)?,
        };
        Ok(value.into_any().unbind())
    }

    /// The exception of an operation that failed.
    pub fn failure(self, py: Python<'_>, errno: Errno) -> PyErr {
        if errno.0 == libc::EOWNERDEAD {
            return forked();
        }
        static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let made = MAKE
            .import(py, "caio._errors", "failure")
            .and_then(|make| make.call1((self == Self::Linux, number(errno), errno.text())));
        made.map_or_else(|error| error, PyErr::from_value)
    }

    /// A file offset; -1 is the file's current position.
    pub fn offset(self, value: Option<&Bound<'_, PyAny>>) -> PyResult<u64> {
        let Some(value) = value else { return Ok(0) };
        match value.extract::<i64>() {
            Ok(offset) => Ok(offset as u64),
            Err(error) if self == Self::Uring && error.is_instance_of::<PyOverflowError>(value.py()) => value.extract(),
            Err(error) => Err(error),
        }
    }

    /// The length of a read.
    pub fn length(self, value: &Bound<'_, PyAny>) -> PyResult<usize> {
        let length: i64 = value.extract()?;
        if length < 0 || (self == Self::Uring && length > i64::from(u32::MAX)) {
            return Err(PyOverflowError::new_err(format!("nbytes ({length}) is out of range")));
        }
        usize::try_from(length).map_err(|_| PyMemoryError::new_err(()))
    }

    /// A priority that ioprio_set(2) accepts (the class above 13 bits of level), else 0.
    pub fn priority(self, value: i64) -> PyResult<u16> {
        if self == Self::Linux && i16::try_from(value).is_err() {
            return Err(PyOverflowError::new_err(format!("priority ({value}) is out of range")));
        }
        let ioprio = u16::try_from(value).unwrap_or(0);
        Ok(if (1..=3).contains(&(ioprio >> 13)) { ioprio } else { 0 })
    }
}

/// The exception of each use of a parent's context in a child of fork(2).
pub fn forked() -> PyErr {
    PyRuntimeError::new_err("the parent process created this context before fork(); create a new one in the child")
}
