//! A writable buffer of the program's, such as a bytearray or an mmap, to read into.

use std::ffi::{c_int, c_void};
use std::sync::Mutex;

use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

#[cfg_attr(windows, link(name = "python3", kind = "raw-dylib"))]
unsafe extern "C" {
    /// In the stable ABI of each version, but no longer in the headers. `PyObject_GetBuffer` came to it with 3.11.
    fn PyObject_AsWriteBuffer(object: *mut ffi::PyObject, memory: *mut *mut c_void, len: *mut isize) -> c_int;
}

/// The memory of a buffer. Until [`Self::release`], the memoryview keeps it where it is: its owner can be neither resized
/// nor closed.
pub struct Buffer {
    view: Mutex<Option<Py<PyAny>>>,
    memory: *mut c_void,
    len: usize,
}

// SAFETY: only the library writes to it, and the view keeps it alive.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    pub fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = object.py();
        let (mut memory, mut len) = (std::ptr::null_mut(), 0);
        // SAFETY: attached. Both functions set an exception if they fail.
        let view = unsafe {
            let view = Bound::from_owned_ptr_or_err(py, ffi::PyMemoryView_FromObject(object.as_ptr()))?;
            if PyObject_AsWriteBuffer(view.as_ptr(), &mut memory, &mut len) != 0 {
                return Err(PyErr::fetch(py));
            }
            view
        };
        Ok(Self { view: Mutex::new(Some(view.unbind())), memory, len: len as usize })
    }

    pub fn memory(&self) -> *mut c_void {
        self.memory
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// The operation is complete.
    pub fn release(&self) {
        let view = self.view.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        drop(view);
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.view.try_lock().map_or(Ok(()), |view| visit.call(&*view))
    }
}
