//! A context of libcaio, shared by the Python objects that use it.

use std::sync::{Mutex, MutexGuard};

use pyo3::prelude::*;

use crate::coroutine::Coroutine;
use crate::delivery::Delivery;
use crate::flavor::Flavor;
use crate::in_flight::{Completed, InFlight};
use crate::operation::Operation;
use crate::raw::*;

/// What `Context` and `AsyncioContext` share. `ctx` comes first: it is freed, which waits for what is in flight, before
/// the objects in flight are dropped.
pub struct Core {
    pub ctx: Ctx,
    pub flavor: Flavor,
    pub max_requests: u32,
    pub pool_size: u32,
    pub sqpoll: bool,
    /// The threads that run callbacks (thread_aio).
    pub delivery: Delivery,
    operations: Mutex<InFlight<Operation>>,
}

impl Core {
    pub fn new(options: Options) -> Result<Self> {
        // io_uring's kernel threads make buffered writes one after the other, which takes longer than worker threads do.
        let ctx = Ctx::new(Options { fastest_path: true, ..options })?;
        let flavor = Flavor::of_backend(ctx.backend()?);
        let max_requests = ctx.max_requests()?;
        Ok(Self {
            ctx,
            flavor,
            max_requests,
            pool_size: options.threads,
            sqpoll: options.sqpoll && flavor == Flavor::Uring && crate::info::_sqpoll_allowed(),
            delivery: Delivery::default(),
            operations: Mutex::default(),
        })
    }

    /// The low level's operations in flight.
    pub fn operations(&self) -> MutexGuard<'_, InFlight<Operation>> {
        self.operations.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// For the garbage collector, which must not wait for the lock.
    pub fn try_operations(&self) -> Option<MutexGuard<'_, InFlight<Operation>>> {
        self.operations.try_lock().ok()
    }

    /// Reports an event to its Python object.
    pub fn deliver(&self, py: Python<'_>, event: Completion) {
        // SAFETY: an event of this context, which comes once; its object is in a set until it is handled.
        let completed = unsafe { Completed::of_event(py, event) };
        self.deliver_to(py, completed, event.result);
    }

    pub fn deliver_to(&self, py: Python<'_>, completed: Completed, result: i64) {
        match completed {
            Completed::Low(operation) => {
                let held = self.operations().remove(operation.get());
                drop(held);
                operation.get().complete(py, result);
            }
            Completed::Async(coroutine, step) => Coroutine::complete_elsewhere(coroutine.bind(py), step, result),
        }
    }
}
