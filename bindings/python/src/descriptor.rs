//! Descriptor arguments.

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::system;
use caio::raw::{AT_FDCWD, OPENED};

/// A descriptor: an int, or a socket object.
#[derive(Clone, Copy)]
pub struct Descriptor {
    /// The program's number for it.
    pub number: i32,
    /// What the library takes for it: on Windows, a HANDLE or a SOCKET.
    pub handle: i32,
}

impl Descriptor {
    /// The working directory, on each system.
    pub const CWD: Self = Self::of_library(AT_FDCWD);
    /// The one that the chain has opened.
    pub const OPENED: Self = Self::of_library(OPENED);

    /// One that the library has opened.
    pub const fn of_library(handle: i32) -> Self {
        Self { number: handle, handle }
    }

    fn of_socket(socket: &Bound<'_, PyAny>) -> PyResult<Self> {
        in_range(socket.call_method0("fileno")?.extract()?).map(Self::of_library)
    }
}

/// A larger number is an error: cut off to 32 bits, it could be another file's.
fn in_range(fd: i64) -> PyResult<i32> {
    i32::try_from(fd).map_err(|_| PyOverflowError::new_err(format!("fd ({fd}) is out of range")))
}

fn is_socket(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    object.is_instance(CLASS.import(object.py(), "_socket", "socket")?)
}

impl<'py> FromPyObject<'_, 'py> for Descriptor {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match given.extract::<i64>() {
            Ok(number) => {
                let number = in_range(number)?;
                Ok(Self { number, handle: system::handle_of(given.py(), number)? })
            }
            Err(error) if error.is_instance_of::<PyTypeError>(given.py()) && is_socket(&given)? => {
                Self::of_socket(&given)
            }
            Err(error) => Err(error),
        }
    }
}
