//! The class of the coroutines that programs get: `Coroutine` with an am_send slot, which PyO3 does not support.
//!
//! That slot returns a result without a StopIteration, which costs as much to create and unpack
//! as a tenth of a cached read.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::coroutine::{Coroutine, Step};

/// The slot's number; PyO3 has a name for it since 0.30.
const PY_AM_SEND: c_int = 81;

/// Creates the Python object of a coroutine.
pub fn new(py: Python<'_>, coroutine: Coroutine) -> PyResult<Py<Coroutine>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || make_class(py))?;
    let coroutine = Py::new(py, coroutine)?;
    // SAFETY: a new object without other references. `class` is derived from its class, and its instances have the same
    // layout. Each instance holds a reference to its class.
    unsafe {
        let object = coroutine.as_ptr();
        let base = std::mem::replace(&mut (*object).ob_type, class.clone_ref(py).into_ptr().cast());
        ffi::Py_DECREF(base.cast());
    }
    Ok(coroutine)
}

fn make_class(py: Python<'_>) -> PyResult<Py<PyAny>> {
    let base = py.get_type::<Coroutine>();
    // SAFETY: attached; PyO3's classes have this slot. It is repeated, as a derived class would get a slower one.
    let dealloc = unsafe { ffi::PyType_GetSlot(base.as_type_ptr(), ffi::Py_tp_dealloc) };
    let slot = |slot: c_int, pfunc: *mut c_void| ffi::PyType_Slot { slot, pfunc };
    let mut slots = [slot(ffi::Py_tp_dealloc, dealloc), slot(PY_AM_SEND, am_send as *mut c_void), slot(0, null_mut())];
    let mut spec = ffi::PyType_Spec {
        name: c"caio._native.OperationCoroutine".as_ptr(),
        // As large as the base's.
        basicsize: 0,
        itemsize: 0,
        flags: ffi::Py_TPFLAGS_DEFAULT as _,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: attached; the specification is complete, its slots are of the right types and end with a zero.
    unsafe {
        let class = ffi::PyType_FromSpecWithBases(&mut spec, base.as_ptr());
        Ok(Bound::from_owned_ptr_or_err(py, class)?.unbind())
    }
}

unsafe extern "C" fn am_send(
    object: *mut ffi::PyObject,
    sent: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> ffi::PySendResult {
    // SAFETY: the interpreter calls it attached, for an instance of the class, with a place for the result.
    unsafe {
        Python::attach_unchecked(|py| {
            let coroutine = Borrowed::from_ptr(py, object).cast_unchecked::<Coroutine>();
            let (how, value) = match send(&coroutine, sent == ffi::Py_None()) {
                Ok(Step::Yield(value)) => (ffi::PySendResult::PYGEN_NEXT, value.into_ptr()),
                Ok(Step::Return(value)) => (ffi::PySendResult::PYGEN_RETURN, value.into_ptr()),
                Err(error) => {
                    error.restore(py);
                    (ffi::PySendResult::PYGEN_ERROR, null_mut())
                }
            };
            *result = value;
            how
        })
    }
}

fn send(coroutine: &Bound<'_, Coroutine>, none: bool) -> PyResult<Step> {
    if !none && coroutine.get().is_new() {
        return Err(PyTypeError::new_err("can't send non-None value to a just-started coroutine"));
    }
    Coroutine::step(coroutine)
}
