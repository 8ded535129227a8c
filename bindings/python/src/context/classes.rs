//! The Context classes of the implementations, as Python sees them.

use std::sync::atomic::Ordering;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::{BaseContext, not_created};
use crate::delivery;
use crate::flavor::Flavor;
use crate::in_flight::operation_user_data;
use crate::operation::{LinuxOperation, UringOperation};
use crate::raw::*;

/// The Context class of one implementation.
macro_rules! context_class {
    ($name:ident, $module:literal, $doc:literal, { $($methods:tt)* }) => {
        #[doc = $doc]
        #[pyclass(name = "Context", module = $module, extends = BaseContext, frozen)]
        pub struct $name;

        impl $name {
            fn base<'a, 'py>(slf: &'a Bound<'py, Self>) -> &'a Bound<'py, BaseContext> {
                slf.as_super()
            }

            pub fn init(py: Python<'_>, options: Options) -> PyResult<PyClassInitializer<Self>> {
                Ok(PyClassInitializer::from(BaseContext::new(py, options)?).add_subclass(Self))
            }
        }

        #[pymethods]
        impl $name {
            $($methods)*
        }
    };
}

context_class!(UringContext, "caio.linux_uring", "Operations through io_uring (implementation \"uring\").", {
    #[new]
    #[pyo3(signature = (max_requests=0, sqpoll=None))]
    fn new(py: Python<'_>, max_requests: i64, sqpoll: Option<&Bound<'_, PyAny>>) -> PyResult<PyClassInitializer<Self>> {
        let sqpoll = sqpoll.map_or(Ok(false), |asked| asked.is_truthy())?;
        let max_requests = requests(py, Flavor::Uring, max_requests)?;
        Self::init(py, Options { backend: Backend::Uring, max_requests, sqpoll, ..Options::default() })
    }

    /// 1 if a kernel thread polls the submission queue.
    #[getter]
    fn sqpoll(slf: &Bound<'_, Self>) -> u32 {
        u32::from(Self::base(slf).get().core.sqpoll)
    }

    #[getter]
    fn fileno(slf: &Bound<'_, Self>) -> PyResult<i32> {
        fileno(Self::base(slf))
    }

    /// Claims operations, which `flush` submits; returns how many.
    #[pyo3(signature = (*operations))]
    fn submit(slf: &Bound<'_, Self>, operations: &Bound<'_, PyTuple>) -> PyResult<u32> {
        let context = Self::base(slf);
        let operations = context.get().operations(operations)?;
        BaseContext::enqueue(context, &operations)
    }

    /// Submits the claimed operations, and handles completions; returns how many.
    fn flush(slf: &Bound<'_, Self>) -> PyResult<usize> {
        Self::base(slf).get().flush(slf.py())
    }

    /// How many completions arrived since the last call. Raises BlockingIOError if none did.
    fn poll(slf: &Bound<'_, Self>) -> PyResult<u64> {
        Self::base(slf).get().poll(slf.py())
    }

    #[pyo3(signature = (max_requests=512, min_requests=0, timeout=0))]
    fn process_events(slf: &Bound<'_, Self>, max_requests: i64, min_requests: i64, timeout: i64) -> PyResult<usize> {
        let context = Self::base(slf).get();
        let (most, least, timeout_ns) = context.process_arguments(max_requests, min_requests, timeout)?;
        context.process(slf.py(), most, least, timeout_ns)
    }

    /// Cancels an operation. Always 0.
    fn cancel(slf: &Bound<'_, Self>, operation: &Bound<'_, UringOperation>) -> i32 {
        let context = Self::base(slf).get();
        context.core.ctx.cancel(operation_user_data(operation.as_super())).ok();
        context.unread.fetch_add(1, Ordering::Relaxed);
        0
    }
});

context_class!(LinuxContext, "caio.linux_aio", "Operations through the kernel's AIO (implementation \"linux\").", {
    #[new]
    #[pyo3(signature = (max_requests=0))]
    fn new(py: Python<'_>, max_requests: i64) -> PyResult<PyClassInitializer<Self>> {
        let max_requests = requests(py, Flavor::Linux, max_requests)?;
        Self::init(py, Options { backend: Backend::Linux, max_requests, ..Options::default() })
    }

    #[getter]
    fn fileno(slf: &Bound<'_, Self>) -> PyResult<i32> {
        fileno(Self::base(slf))
    }

    /// Submits operations; returns how many there was room for.
    #[pyo3(signature = (*operations))]
    fn submit(slf: &Bound<'_, Self>, operations: &Bound<'_, PyTuple>) -> PyResult<u32> {
        let context = Self::base(slf);
        let operations = context.get().operations(operations)?;
        BaseContext::submit_now(context, operations)
    }

    /// How many completions arrived since the last call. Raises BlockingIOError if none did.
    fn poll(slf: &Bound<'_, Self>) -> PyResult<u64> {
        Self::base(slf).get().poll(slf.py())
    }

    #[pyo3(signature = (max_requests=512, min_requests=0, timeout=0))]
    fn process_events(slf: &Bound<'_, Self>, max_requests: i64, min_requests: i64, timeout: i64) -> PyResult<usize> {
        let context = Self::base(slf).get();
        let (most, least, timeout_ns) = context.process_arguments(max_requests, min_requests, timeout)?;
        context.process(slf.py(), most, least, timeout_ns)
    }

    /// Cancels an operation. Raises ValueError if it is not in flight in this context.
    fn cancel(slf: &Bound<'_, Self>, operation: &Bound<'_, LinuxOperation>) -> PyResult<i32> {
        let context = Self::base(slf);
        let operation = operation.as_super();
        if !operation.get().is_in_flight_in(context) {
            return Err(PyValueError::new_err("the operation is not in flight in this context [EINVAL]"));
        }
        // It may be complete.
        context.get().core.ctx.cancel(operation_user_data(operation)).ok();
        Ok(0)
    }
});

context_class!(ThreadContext, "caio.thread_aio", "Operations by worker threads (implementation \"thread\").", {
    #[new]
    #[pyo3(signature = (max_requests=0, pool_size=0))]
    fn new(py: Python<'_>, max_requests: i64, pool_size: i64) -> PyResult<PyClassInitializer<Self>> {
        const MOST_REQUESTS: i64 = 65535;
        const MOST_THREADS: i64 = 128;
        if !(0..MOST_REQUESTS).contains(&max_requests) {
            return Err(PyValueError::new_err(format!("max_requests ({max_requests}) must be below {MOST_REQUESTS}")));
        }
        if !(0..=MOST_THREADS).contains(&pool_size) {
            return Err(PyValueError::new_err(format!("pool_size ({pool_size}) must be at most {MOST_THREADS}")));
        }
        let max_requests = requests(py, Flavor::Thread, max_requests)?;
        let threads = if pool_size == 0 { 8 } else { pool_size as u32 };
        Self::init(py, Options { backend: Backend::Thread, max_requests, threads, ..Options::default() })
    }

    #[getter]
    fn pool_size(slf: &Bound<'_, Self>) -> u32 {
        Self::base(slf).get().core.pool_size
    }

    /// Submits operations; returns how many. Raises RuntimeError if there is no room; the operations before stay submitted.
    #[pyo3(signature = (*operations))]
    fn submit(slf: &Bound<'_, Self>, operations: &Bound<'_, PyTuple>) -> PyResult<u32> {
        let context = Self::base(slf);
        let operations = context.get().operations(operations)?;
        if context.get().closed.load(Ordering::Relaxed) {
            return Err(PyRuntimeError::new_err("the context is closed"));
        }
        let accepted = BaseContext::submit_now(context, operations);
        if !context.get().core.operations().is_empty() {
            delivery::ensure(&context.get().core);
        }
        accepted
    }

    /// Does nothing: a running operation is not cancelled. Always 0.
    #[pyo3(signature = (*_operations))]
    fn cancel(&self, _operations: &Bound<'_, PyTuple>) -> i32 {
        0
    }

    /// Accepts no more operations: submit raises RuntimeError. Those in flight go on.
    fn close(slf: &Bound<'_, Self>) {
        Self::base(slf).get().closed.store(true, Ordering::Relaxed);
    }
});

fn fileno(context: &Bound<'_, BaseContext>) -> PyResult<i32> {
    let context_ref = context.get();
    context_ref.core.ctx.descriptor().map_err(|errno| context_ref.failure(context.py(), errno))
}

/// A context of the implementation that the options result in.
pub fn any(py: Python<'_>, options: Options) -> PyResult<Py<PyAny>> {
    let context = BaseContext::new(py, options)?;
    crate::info::wrap(py, context)
}

/// max_requests for the library; 0 means the default.
fn requests(py: Python<'_>, flavor: Flavor, asked: i64) -> PyResult<u32> {
    // The largest value that the kernel and the library accept.
    const MOST: i64 = 65535;
    if asked == 0 {
        return Ok(flavor.default_requests());
    }
    if !(1..=MOST).contains(&asked) {
        let too_many_for_this_machine = flavor == Flavor::Linux && asked > 0;
        let errno = if too_many_for_this_machine { libc::EAGAIN } else { libc::EINVAL };
        return Err(not_created(py, Errno(errno)));
    }
    Ok(asked as u32)
}
