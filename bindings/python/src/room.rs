//! `bytes` objects that the library fills.

use std::ffi::c_void;
use std::sync::{Mutex, MutexGuard};

use pyo3::exceptions::PyMemoryError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

use crate::system::{self, ResizeBytes};

/// A `bytes` object to read into, which no program sees before the read is complete.
pub struct BytesRoom {
    object: Mutex<Option<Py<PyBytes>>>,
    memory: *mut c_void,
    len: usize,
}

// SAFETY: only the library writes to the memory, and the object keeps it alive.
unsafe impl Send for BytesRoom {}
// SAFETY: as above.
unsafe impl Sync for BytesRoom {}

impl BytesRoom {
    pub fn new(py: Python<'_>, len: usize) -> PyResult<Self> {
        let bytes = uninit_bytes(py, len)?;
        let memory = bytes.as_bytes(py).as_ptr().cast_mut().cast();
        Ok(Self { object: Mutex::new(Some(bytes)), memory, len })
    }

    pub fn memory(&self) -> *mut c_void {
        self.memory
    }

    fn locked(&self) -> MutexGuard<'_, Option<Py<PyBytes>>> {
        self.object.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Zeroes what a read did not fill.
    pub fn zero_from(&self, moved: usize) {
        if moved < self.len {
            // SAFETY: within the object, which no program has seen yet.
            unsafe { self.memory.cast::<u8>().add(moved).write_bytes(0, self.len - moved) };
        }
    }

    /// The whole object, unless it was taken.
    pub fn object(&self, py: Python<'_>) -> Option<Py<PyBytes>> {
        self.locked().as_ref().map(|object| object.clone_ref(py))
    }

    /// The first `moved` bytes. The caller is the last one that wants any.
    pub fn take(&self, py: Python<'_>, moved: usize) -> Option<Py<PyAny>> {
        let object = self.locked().take()?;
        // The interpreter shares objects of 0 and 1 bytes.
        if moved <= 1 || moved == self.len {
            return Some(prefix(py, &object, moved));
        }
        let Some(resize) = resize(py) else { return Some(prefix(py, &object, moved)) };
        let mut object = object.into_ptr();
        // SAFETY: attached; no other reference to the object exists. The function replaces the pointer, by NULL if it fails.
        unsafe {
            if resize(&mut object, moved as isize) != 0 {
                PyErr::take(py);
            }
            Some(Bound::from_owned_ptr_or_opt(py, object)?.unbind())
        }
    }
}

/// How to shorten a `bytes` object in place. Free-threaded interpreters allow it only in the thread that made the object.
fn resize(py: Python<'_>) -> Option<ResizeBytes> {
    static FOUND: PyOnceLock<Option<ResizeBytes>> = PyOnceLock::new();
    *FOUND.get_or_init(py, || {
        let flags =
            py.import("sys").and_then(|sys| sys.getattr("abiflags")).and_then(|flags| flags.extract::<String>());
        let free_threaded = flags.is_ok_and(|flags| flags.contains('t'));
        if free_threaded { None } else { system::resize_bytes() }
    })
}

/// The first `moved` bytes; the object itself if it has no more.
pub fn prefix(py: Python<'_>, bytes: &Py<PyBytes>, moved: usize) -> Py<PyAny> {
    let all = bytes.as_bytes(py);
    if moved == all.len() {
        bytes.clone_ref(py).into_any()
    } else {
        PyBytes::new(py, &all[..moved]).into_any().unbind()
    }
}

/// A `bytes` object to read into. It is not filled yet, so no program may see it. (CPython shares those of length 0, which
/// are never written to. It shares those of length 1 only when their value is passed.)
pub fn uninit_bytes(py: Python<'_>, len: usize) -> PyResult<Py<PyBytes>> {
    let len = isize::try_from(len).map_err(|_| PyMemoryError::new_err(()))?;
    // SAFETY: attached; NULL leaves the memory unset; the function returns a new reference to a bytes object.
    unsafe {
        let made = ffi::PyBytes_FromStringAndSize(std::ptr::null(), len);
        Ok(Bound::from_owned_ptr_or_err(py, made)?.cast_into_unchecked().unbind())
    }
}
