//! `Context` of the native implementations, the low level: submit operations, handle their completions.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard};

use pyo3::exceptions::{PyOverflowError, PyRuntimeError, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::core::Core;
use crate::delivery;
use crate::finalize;
use crate::flavor::{Flavor, forked};
use crate::in_flight::operation_user_data;
use crate::io::Io;
use crate::operation::{LinuxOperation, Operation, ThreadOperation, UringOperation};
use crate::raw::*;
use crate::reaper;
use crate::system;

mod classes;
mod events;

pub use classes::{LinuxContext, ThreadContext, UringContext, any};

/// Base of the native Context classes.
#[pyclass(subclass, frozen, weakref, module = "caio._native")]
pub struct BaseContext {
    pub core: Arc<Core>,
    /// Claimed operations that the next flush submits (linux_uring).
    queued: Mutex<Vec<Py<Operation>>>,
    /// Events that poll() has taken and process_events() has not handled yet.
    taken: Mutex<Vec<Completion>>,
    /// Events since the last poll(), as an eventfd would count them.
    unread: AtomicU64,
    /// Threads in process_events().
    waiting: AtomicUsize,
    closed: AtomicBool,
}

impl BaseContext {
    pub fn new(py: Python<'_>, options: Options) -> PyResult<Self> {
        let core = py.detach(|| Core::new(options)).map_err(|errno| not_created(py, errno))?;
        Ok(Self {
            core: Arc::new(core),
            queued: Mutex::default(),
            taken: Mutex::default(),
            unread: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        })
    }

    fn queued(&self) -> MutexGuard<'_, Vec<Py<Operation>>> {
        self.queued.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Completion>> {
        self.taken.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn failure(&self, py: Python<'_>, errno: Errno) -> PyErr {
        self.core.flavor.failure(py, errno)
    }

    /// Whether an operation may be submitted here.
    fn accepts(&self, object: &Bound<'_, PyAny>) -> bool {
        match self.core.flavor {
            Flavor::Uring => object.is_instance_of::<UringOperation>(),
            Flavor::Linux => object.is_instance_of::<LinuxOperation>(),
            Flavor::Thread => object.is_instance_of::<ThreadOperation>(),
        }
    }

    /// Converts all arguments before any operation is claimed.
    fn operations<'py>(&self, args: &Bound<'py, PyTuple>) -> PyResult<Vec<Bound<'py, Operation>>> {
        let checked = args.iter().enumerate().map(|(index, object)| {
            if self.accepts(&object) {
                return Ok(object.cast_into::<Operation>()?);
            }
            let module = self.core.flavor.module();
            Err(PyTypeError::new_err(format!("argument {} is not a {module}.Operation: {}", index + 1, object.repr()?)))
        });
        checked.collect()
    }

    /// Submits claimed operations. Returns how many were accepted, and why the rest was not.
    fn send(&self, operations: &[Bound<'_, Operation>]) -> (usize, Option<Errno>) {
        let Some(first) = operations.first() else { return (0, None) };
        let py = first.py();
        let describe =
            |operation: &Bound<'_, Operation>| operation.get().io.request(py, operation_user_data(operation));
        let ops: Vec<_> = operations.iter().map(describe).collect();
        let mut in_flight = self.core.operations();
        operations.iter().for_each(|operation| in_flight.insert(operation.clone().unbind()));
        drop(in_flight);
        let (mut sent, mut reason) = (0, None);
        while sent < ops.len() && reason.is_none() {
            // SAFETY: the set in flight keeps the operation, and with it the memory, until the event is handled.
            match unsafe { self.core.ctx.submit(&ops[sent..]) } {
                Ok(count) => sent += count,
                Err(errno) => reason = Some(errno),
            }
        }
        let mut in_flight = self.core.operations();
        let refused: Vec<_> = operations[sent..].iter().map(|operation| in_flight.remove(operation.get())).collect();
        drop(in_flight);
        drop(refused);
        (sent, reason)
    }

    /// Claims and submits operations; returns how many.
    fn submit_now(this: &Bound<'_, Self>, operations: Vec<Bound<'_, Operation>>) -> PyResult<u32> {
        let (py, context) = (this.py(), this.get());
        let checks_descriptors = context.core.flavor == Flavor::Linux;
        let is_open = |io: &Io| system::is_open_for(io.fd.handle, io.reads(), io.writes());
        let bad = |operation: &Bound<'_, Operation>| checks_descriptors && !is_open(&operation.get().io);
        let good = operations.iter().position(bad).unwrap_or(operations.len());
        if good == 0 && !operations.is_empty() {
            return Err(context.failure(py, Errno(libc::EBADF)));
        }
        let claim = |operation: &Bound<'_, Operation>| operation.get().claim(Some(this.clone().unbind()));
        let claimed: Vec<_> = operations.into_iter().take(good).filter(claim).collect();
        let (sent, reason) = context.send(&claimed);
        for operation in &claimed[sent..] {
            operation.get().unclaim();
        }
        match reason {
            Some(Errno(libc::EAGAIN)) if context.core.flavor == Flavor::Thread => Err(PyRuntimeError::new_err(
                format!("thread pool queue full: {} operations are in flight", context.core.max_requests),
            )),
            None | Some(Errno(libc::EAGAIN)) => Ok(sent as u32),
            Some(errno) => Err(context.failure(py, errno)),
        }
    }

    /// Claims operations for the next flush.
    fn enqueue(this: &Bound<'_, Self>, operations: &[Bound<'_, Operation>]) -> PyResult<u32> {
        let context = this.get();
        let mut accepted = 0;
        for operation in operations {
            let outstanding = context.queued().len() + context.core.operations().len();
            if outstanding >= context.core.max_requests as usize {
                return Err(PyOverflowError::new_err(format!(
                    "the submission queue is full: {} operations are not complete",
                    context.core.max_requests
                )));
            }
            if operation.get().claim(Some(this.clone().unbind())) {
                context.queued().push(operation.clone().unbind());
                accepted += 1;
            }
        }
        Ok(accepted)
    }

    /// Submits what is queued. What does not fit stays queued.
    fn send_queued(&self, py: Python<'_>) -> PyResult<()> {
        let queued: Vec<_> = self.queued().drain(..).map(|operation| operation.into_bound(py)).collect();
        let (sent, reason) = self.send(&queued);
        let rest = queued.into_iter().skip(sent).map(Bound::unbind);
        self.queued().splice(0..0, rest);
        match reason {
            None | Some(Errno(libc::EAGAIN)) => Ok(()),
            Some(errno) => Err(self.failure(py, errno)),
        }
    }

    fn repr(slf: &Bound<'_, Self>) -> String {
        let core = &slf.get().core;
        let kind = core.flavor;
        let more = match kind {
            Flavor::Uring => format!(", sqpoll={}", u32::from(core.sqpoll)),
            Flavor::Linux => String::new(),
            Flavor::Thread => format!(", pool_size={}", core.pool_size),
        };
        format!("<{}.Context at {:p}: max_requests={}{more}>", kind.module(), slf.as_ptr(), core.max_requests)
    }
}

/// The exception when a context cannot be created.
fn not_created(py: Python<'_>, errno: Errno) -> PyErr {
    if errno.0 == libc::EOWNERDEAD {
        return forked();
    }
    let made =
        py.import("caio._errors").and_then(|errors| errors.call_method1("no_context", (number(errno), errno.text())));
    made.map_or_else(|error| error, PyErr::from_value)
}

#[pymethods]
impl BaseContext {
    #[getter]
    fn max_requests(&self) -> u32 {
        self.core.max_requests
    }

    /// Counters since the context was created.
    fn stats(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let stats = self.core.ctx.stats().map_err(|errno| self.failure(py, errno))?;
        crate::info::stats_object(py, self.core.flavor, &stats)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        Self::repr(slf)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        if let Ok(queued) = self.queued.try_lock() {
            for operation in queued.iter() {
                visit.call(operation)?;
            }
        }
        // If a program drops a context and its operations, only they refer to each other. The program collects
        // the events, except for thread_aio, whose threads do: those operations are in use until they complete.
        match self.core.try_operations() {
            Some(operations) if self.core.flavor != Flavor::Thread => operations.traverse(&visit),
            _ => Ok(()),
        }
    }

    fn __clear__(&self) {
        let queued = std::mem::take(&mut *self.queued());
        for operation in &queued {
            operation.get().unclaim();
        }
        drop(queued);
    }
}

impl BaseContext {
    /// The program can collect events no more. A thread does, and runs no callbacks. False if there is no thread.
    fn hand_over(&self, py: Python<'_>) -> bool {
        for event in std::mem::take(&mut *self.taken()) {
            silence(&self.core, py);
            self.core.deliver(py, event);
        }
        if self.core.flavor == Flavor::Thread || self.core.operations().is_empty() {
            return true;
        }
        let operations: Vec<_> = self.core.operations().iter().map(|operation| operation.clone_ref(py)).collect();
        for operation in &operations {
            // It may be complete.
            self.core.ctx.cancel(operation_user_data(operation.bind(py))).ok();
        }
        let core = self.core.clone();
        reaper::start(self.core.clone(), move |py, events| {
            silence(&core, py);
            events.iter().for_each(|event| core.deliver(py, *event));
            core.operations().is_empty()
        })
    }
}

/// Drops the callbacks of all operations in flight.
fn silence(core: &Core, py: Python<'_>) {
    let operations: Vec<_> = core.operations().iter().map(|operation| operation.clone_ref(py)).collect();
    operations.iter().for_each(|operation| operation.get().drop_callback());
}

impl Drop for BaseContext {
    fn drop(&mut self) {
        delivery::orphan(&self.core);
        if finalize::attach(|py| self.hand_over(py)) != Some(true) && !self.core.operations().is_empty() {
            // Leaked: to free it would wait for the operations, here perhaps at the end of the interpreter.
            std::mem::forget(self.core.clone());
        }
    }
}
