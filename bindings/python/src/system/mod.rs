//! What differs between the systems: descriptors, flags of system calls, threads.

use std::ffi::c_int;

use pyo3::ffi;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::*;

#[cfg_attr(windows, link(name = "python3", kind = "raw-dylib"))]
unsafe extern "C" {
    /// In the stable ABI, but not in each version of `pyo3::ffi`.
    fn PyThread_get_thread_ident() -> std::ffi::c_ulong;
}

/// The number of the calling thread, as `threading.get_ident()` returns it.
#[allow(clippy::unnecessary_cast)]
pub fn thread_id() -> u64 {
    // SAFETY: no arguments.
    unsafe { PyThread_get_thread_ident() as u64 }
}

/// `_PyBytes_Resize`: the object, and its new length. It is documented, but not in the stable ABI, so that a later version may
/// not have it.
pub type ResizeBytes = unsafe extern "C" fn(*mut *mut ffi::PyObject, ffi::Py_ssize_t) -> c_int;
