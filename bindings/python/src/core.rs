//! A context of libcaio, and the way back from its events to Python objects.
//!
//! An operation in flight is known to the library by the address of its Python object, to which one reference is held
//! until its event: so the object, and with it the memory, outlives whatever the library does.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::prelude::*;

use crate::delivery::Delivery;
use crate::flavor::Flavor;
use crate::operation::Operation;
use crate::raw::*;
use crate::request::Request;

/// What Python's contexts of both kinds share.
pub struct Core {
    pub ctx: Ctx,
    pub flavor: Flavor,
    pub max_requests: u32,
    pub pool_size: u32,
    pub sqpoll: bool,
    /// The threads that run callbacks (thread_aio).
    pub delivery: Delivery,
    /// Operations of the low level in flight.
    pub low_inflight: AtomicUsize,
}

/// Python's object for an operation in flight.
pub enum InFlight {
    Low(Py<Operation>),
    Async(Py<Request>),
}

/// Which kind it is stands in the address's lowest bit.
pub const LOW: u64 = 1;

impl InFlight {
    /// Gives the library a reference.
    pub fn into_user_data(self) -> u64 {
        match self {
            Self::Low(operation) => operation.into_ptr() as u64 | LOW,
            Self::Async(request) => request.into_ptr() as u64,
        }
    }

    /// Takes the reference back: once for each event.
    ///
    /// # Safety
    /// From [`Self::into_user_data`], and not taken back before.
    pub unsafe fn from_user_data(py: Python<'_>, user_data: u64) -> Self {
        let ptr = (user_data & !LOW) as *mut pyo3::ffi::PyObject;
        // SAFETY: the caller's promise: an object of that type with a reference that is ours.
        unsafe {
            let object = Bound::from_owned_ptr(py, ptr);
            if user_data & LOW != 0 {
                Self::Low(object.cast_into_unchecked().unbind())
            } else {
                Self::Async(object.cast_into_unchecked().unbind())
            }
        }
    }
}

impl Core {
    pub fn new(options: Options) -> Result<Self> {
        if options.backend == CAIO_BACKEND_URING {
            return Self::uring(options);
        }
        Self::with(options)
    }

    /// On io_uring, which would have its kernel threads make buffered writes, one after the other: the library's own make
    /// them in less time, but if a backend is named it leaves them to that.
    fn uring(options: Options) -> Result<Self> {
        match Self::with(Options { backend: CAIO_BACKEND_AUTO, ..options }) {
            Ok(core) if core.flavor == Flavor::Uring => Ok(core),
            _ => Self::with(options),
        }
    }

    fn with(options: Options) -> Result<Self> {
        let ctx = Ctx::new(options)?;
        let flavor = Flavor::of_backend(ctx.backend()?);
        let max_requests = ctx.max_requests()?;
        Ok(Self {
            ctx,
            flavor,
            max_requests,
            pool_size: options.threads,
            sqpoll: options.sqpoll && flavor == Flavor::Uring && crate::info::_sqpoll_allowed(),
            delivery: Delivery::default(),
            low_inflight: AtomicUsize::new(0),
        })
    }

    /// Tells the object of an event what became of it. True if it was of the low level, so that a callback ran.
    pub fn deliver(&self, py: Python<'_>, event: caio_event) -> bool {
        // SAFETY: an event of this context, and each comes once.
        let object = unsafe { InFlight::from_user_data(py, event.user_data) };
        let low = matches!(object, InFlight::Low(_));
        self.deliver_object(py, object, event.result);
        low
    }

    pub fn deliver_object(&self, py: Python<'_>, object: InFlight, result: i64) {
        match object {
            InFlight::Low(operation) => {
                // Relaxed: a hint for threads that wonder whether to wait.
                self.low_inflight.fetch_sub(1, Ordering::Relaxed);
                operation.get().complete(py, result);
            }
            InFlight::Async(request) => request.get().complete_elsewhere(py, result),
        }
    }
}
