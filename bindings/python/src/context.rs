//! `Context` of the native implementations, the low level: submit operations, handle their completions.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use pyo3::exceptions::{PyBlockingIOError, PyOverflowError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::core::{Core, InFlight};
use crate::delivery;
use crate::flavor::{Flavor, forked};
use crate::operation::{LinuxOperation, Operation, ThreadOperation, UringOperation};
use crate::raw::*;

/// What the Context classes of the native implementations have in common.
#[pyclass(subclass, frozen, weakref, module = "caio._native")]
pub struct Context {
    pub core: Arc<Core>,
    /// Claimed operations that wait for a flush (linux_uring).
    queued: Mutex<Vec<Py<Operation>>>,
    /// Events that poll() has taken and process_events() has not handled yet.
    taken: Mutex<Vec<caio_event>>,
    /// What an event counter would show: events since the last poll().
    unread: AtomicU64,
    /// Threads in process_events().
    waiting: AtomicUsize,
    closed: AtomicBool,
}

const MOST_EVENTS: usize = 512;

impl Context {
    pub fn new(py: Python<'_>, options: Options) -> PyResult<Self> {
        let core = py.detach(|| Core::new(options)).map_err(|errno| cannot_be_had(py, errno))?;
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

    fn taken(&self) -> MutexGuard<'_, Vec<caio_event>> {
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

    /// All arguments as operations, before any of them is touched.
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

    /// Hands claimed operations to the library, as many as go; says how many went, and why not the rest.
    fn send(&self, operations: &[Bound<'_, Operation>]) -> (usize, Option<Errno>) {
        let Some(first) = operations.first() else { return (0, None) };
        let py = first.py();
        let ops: Vec<_> = operations
            .iter()
            .map(|operation| {
                let user_data = InFlight::Low(operation.clone().unbind()).into_user_data();
                operation.get().io.to_op(py, user_data)
            })
            .collect();
        // Relaxed: a hint (see Core::low_inflight).
        self.core.low_inflight.fetch_add(ops.len(), Ordering::Relaxed);
        let (mut sent, mut reason) = (0, None);
        while sent < ops.len() && reason.is_none() {
            // SAFETY: the reference in `user_data` keeps the operation, and with it the memory, until the event.
            match unsafe { self.core.ctx.submit(&ops[sent..]) } {
                Ok(count) => sent += count as usize,
                Err(errno) => reason = Some(errno),
            }
        }
        self.core.low_inflight.fetch_sub(ops.len() - sent, Ordering::Relaxed);
        for op in &ops[sent..] {
            // SAFETY: these were not accepted, so there will be no event.
            drop(unsafe { InFlight::from_user_data(py, op.user_data) });
        }
        (sent, reason)
    }

    /// Claims operations and starts them; says how many.
    fn submit_now(this: &Bound<'_, Self>, operations: Vec<Bound<'_, Operation>>) -> PyResult<u32> {
        let (py, context) = (this.py(), this.get());
        let checks_descriptors = context.core.flavor == Flavor::Linux;
        let bad = |operation: &Bound<'_, Operation>| checks_descriptors && !is_open(operation.get().io.fd);
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
                format!("the queue is full: {} operations are in flight", context.core.max_requests),
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
            let outstanding = context.queued().len() + context.core.low_inflight.load(Ordering::Relaxed);
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

    /// Hands what is queued to the library. What does not fit stays queued.
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

    /// Tells objects of events; counts those of the low level.
    fn deliver_all(&self, py: Python<'_>, events: impl Iterator<Item = caio_event>) -> usize {
        let delivered: Vec<_> = events.collect();
        delivered.into_iter().filter(|event| self.core.deliver(py, *event)).count()
    }

    /// Handles what is complete, at most `most`; sleeps until there are `least` or the time is over.
    fn process(&self, py: Python<'_>, most: usize, least: usize, timeout_ns: i64) -> PyResult<usize> {
        let mut done = self.handle_taken(py, most);
        let deadline = Deadline::after(timeout_ns);
        // Relaxed: a hint for flush(), which then leaves completions to us.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let result = loop {
            if done >= most {
                break Ok(done);
            }
            let mut events = Events::<64>::new();
            let sleep = least > done && timeout_ns != 0;
            let room = most - done;
            let left = deadline.left();
            let waited = if sleep {
                py.detach(|| self.core.ctx.wait(&mut events, 1, room, left))
            } else {
                self.core.ctx.poll(&mut events, room)
            };
            match waited {
                Ok(()) => {}
                Err(Errno(libc::EINTR)) => {
                    if let Err(error) = py.check_signals() {
                        break Err(error);
                    }
                    continue;
                }
                Err(errno) => break Err(self.failure(py, errno)),
            }
            let got = events.iter().count();
            self.unread.fetch_add(got as u64, Ordering::Relaxed);
            done += self.deliver_all(py, events.iter());
            let over = sleep && deadline.left() == 0;
            if !events.is_full() && (done >= least || timeout_ns == 0 || over) {
                break Ok(done);
            }
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        result
    }

    /// Handles events that poll() has taken.
    fn handle_taken(&self, py: Python<'_>, most: usize) -> usize {
        let mut taken = self.taken();
        let count = taken.len().min(most);
        let events: Vec<_> = taken.drain(..count).collect();
        drop(taken);
        self.deliver_all(py, events.into_iter())
    }

    fn poll(&self, py: Python<'_>) -> PyResult<u64> {
        let mut count = self.unread.swap(0, Ordering::Relaxed);
        loop {
            let mut events = Events::<64>::new();
            self.core.ctx.poll(&mut events, usize::MAX).map_err(|errno| self.failure(py, errno))?;
            count += events.iter().count() as u64;
            self.taken().extend(events.iter());
            if !events.is_full() {
                break;
            }
        }
        if count == 0 { Err(PyBlockingIOError::new_err(())) } else { Ok(count) }
    }

    fn flush(&self, py: Python<'_>) -> PyResult<usize> {
        let mut done = 0;
        loop {
            self.send_queued(py)?;
            // Relaxed: a hint. Who waits gets the completions.
            if self.waiting.load(Ordering::Relaxed) > 0 {
                return Ok(done);
            }
            let now = self.process(py, usize::MAX, 0, 0)?;
            done += now;
            if now == 0 || self.queued().is_empty() {
                return Ok(done);
            }
        }
    }

    /// Checks what process_events() is given, and converts it.
    fn process_arguments(&self, most: i64, least: i64, timeout: i64) -> PyResult<(usize, usize, i64)> {
        const LIMIT: i64 = 1 << 20;
        let most = if most == 0 { MOST_EVENTS as i64 } else { most };
        if self.core.flavor == Flavor::Linux && !(0..=LIMIT).contains(&most) {
            return Err(PyOverflowError::new_err(format!("max_requests ({most}) is above {LIMIT}")));
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let too_many = || PyValueError::new_err(format!("min_requests ({least}) is not in 0..max_requests ({most})"));
        let least = usize::try_from(least).map_err(|_| too_many())?;
        if least > most {
            return Err(too_many());
        }
        let timeout_ns = if timeout < 0 { -1 } else { timeout.saturating_mul(1_000_000_000) };
        Ok((most, least, timeout_ns))
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

/// When to stop waiting.
struct Deadline(Option<std::time::Instant>);

impl Deadline {
    fn after(timeout_ns: i64) -> Self {
        let timeout = u64::try_from(timeout_ns).ok().map(std::time::Duration::from_nanos);
        Self(timeout.and_then(|timeout| std::time::Instant::now().checked_add(timeout)))
    }

    /// Nanoseconds; negative for ever.
    fn left(&self) -> i64 {
        self.0.map_or(-1, |at| {
            let left = at.saturating_duration_since(std::time::Instant::now());
            i64::try_from(left.as_nanos()).unwrap_or(i64::MAX)
        })
    }
}

fn is_open(fd: i32) -> bool {
    // SAFETY: only asks.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// The exception for a context that cannot be made.
fn cannot_be_had(py: Python<'_>, errno: Errno) -> PyErr {
    if errno.0 == libc::EOWNERDEAD {
        return forked();
    }
    let made = py.import("caio._errors").and_then(|errors| errors.call_method1("no_context", (errno.0, errno.text())));
    made.map_or_else(|error| error, PyErr::from_value)
}

#[pymethods]
impl Context {
    #[getter]
    fn max_requests(&self) -> u32 {
        self.core.max_requests
    }

    /// Counters since the context was made.
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
        Ok(())
    }

    fn __clear__(&self) {
        let queued = std::mem::take(&mut *self.queued());
        for operation in &queued {
            operation.get().unclaim();
        }
        drop(queued);
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        delivery::orphan(&self.core);
    }
}

/// The Context class of one implementation.
macro_rules! context_class {
    ($name:ident, $module:literal, $doc:literal, { $($methods:tt)* }) => {
        #[doc = $doc]
        #[pyclass(name = "Context", module = $module, extends = Context, frozen)]
        pub struct $name;

        impl $name {
            fn base<'a, 'py>(slf: &'a Bound<'py, Self>) -> &'a Bound<'py, Context> {
                slf.as_super()
            }

            pub fn init(py: Python<'_>, options: Options) -> PyResult<PyClassInitializer<Self>> {
                Ok(PyClassInitializer::from(Context::new(py, options)?).add_subclass(Self))
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
        Self::init(py, Options { backend: CAIO_BACKEND_URING, max_requests, threads: 0, sqpoll })
    }

    /// 1 if a kernel thread takes submissions.
    #[getter]
    fn sqpoll(slf: &Bound<'_, Self>) -> u32 {
        u32::from(Self::base(slf).get().core.sqpoll)
    }

    #[getter]
    fn fileno(slf: &Bound<'_, Self>) -> PyResult<i32> {
        fileno(Self::base(slf))
    }

    /// Claims operations; `flush` starts them. Returns how many.
    #[pyo3(signature = (*operations))]
    fn submit(slf: &Bound<'_, Self>, operations: &Bound<'_, PyTuple>) -> PyResult<u32> {
        let context = Self::base(slf);
        let operations = context.get().operations(operations)?;
        Context::enqueue(context, &operations)
    }

    /// Starts what was submitted, and handles what is complete. Returns how many completions that were.
    fn flush(slf: &Bound<'_, Self>) -> PyResult<usize> {
        Self::base(slf).get().flush(slf.py())
    }

    /// How many completions were signalled since it was last called. BlockingIOError if none.
    fn poll(slf: &Bound<'_, Self>) -> PyResult<u64> {
        Self::base(slf).get().poll(slf.py())
    }

    #[pyo3(signature = (max_requests=512, min_requests=0, timeout=0))]
    fn process_events(slf: &Bound<'_, Self>, max_requests: i64, min_requests: i64, timeout: i64) -> PyResult<usize> {
        let context = Self::base(slf).get();
        let (most, least, timeout_ns) = context.process_arguments(max_requests, min_requests, timeout)?;
        context.process(slf.py(), most, least, timeout_ns)
    }

    /// Asks for an operation to stop. Always 0.
    fn cancel(slf: &Bound<'_, Self>, operation: &Bound<'_, UringOperation>) -> i32 {
        let context = Self::base(slf).get();
        context.core.ctx.cancel(low_user_data(operation.as_super()));
        context.unread.fetch_add(1, Ordering::Relaxed);
        0
    }
});

context_class!(LinuxContext, "caio.linux_aio", "Operations through the kernel's AIO (implementation \"linux\").", {
    #[new]
    #[pyo3(signature = (max_requests=0))]
    fn new(py: Python<'_>, max_requests: i64) -> PyResult<PyClassInitializer<Self>> {
        let max_requests = requests(py, Flavor::Linux, max_requests)?;
        Self::init(py, Options { backend: CAIO_BACKEND_LINUX, max_requests, threads: 0, sqpoll: false })
    }

    #[getter]
    fn fileno(slf: &Bound<'_, Self>) -> PyResult<i32> {
        fileno(Self::base(slf))
    }

    /// Starts operations; returns how many there was room for.
    #[pyo3(signature = (*operations))]
    fn submit(slf: &Bound<'_, Self>, operations: &Bound<'_, PyTuple>) -> PyResult<u32> {
        let context = Self::base(slf);
        let operations = context.get().operations(operations)?;
        Context::submit_now(context, operations)
    }

    /// How many completions were signalled since it was last called. BlockingIOError if none.
    fn poll(slf: &Bound<'_, Self>) -> PyResult<u64> {
        Self::base(slf).get().poll(slf.py())
    }

    #[pyo3(signature = (max_requests=512, min_requests=0, timeout=0))]
    fn process_events(slf: &Bound<'_, Self>, max_requests: i64, min_requests: i64, timeout: i64) -> PyResult<usize> {
        let context = Self::base(slf).get();
        let (most, least, timeout_ns) = context.process_arguments(max_requests, min_requests, timeout)?;
        context.process(slf.py(), most, least, timeout_ns)
    }

    /// Asks for an operation to stop. ValueError if it is not in flight here.
    fn cancel(slf: &Bound<'_, Self>, operation: &Bound<'_, LinuxOperation>) -> PyResult<i32> {
        let context = Self::base(slf);
        let operation = operation.as_super();
        if !operation.get().is_in_flight_in(context) {
            return Err(PyValueError::new_err("the operation is not in flight in this context [EINVAL]"));
        }
        context.get().core.ctx.cancel(low_user_data(operation));
        Ok(0)
    }
});

context_class!(ThreadContext, "caio.thread_aio", "Operations by worker threads (implementation \"thread\").", {
    #[new]
    #[pyo3(signature = (max_requests=0, pool_size=0))]
    fn new(py: Python<'_>, max_requests: i64, pool_size: i64) -> PyResult<PyClassInitializer<Self>> {
        const MOST_REQUESTS: i64 = 65535;
        const MOST_THREADS: i64 = 128;
        if max_requests >= MOST_REQUESTS {
            return Err(PyValueError::new_err(format!("max_requests ({max_requests}) must be below {MOST_REQUESTS}")));
        }
        if !(0..=MOST_THREADS).contains(&pool_size) {
            return Err(PyValueError::new_err(format!("pool_size ({pool_size}) must be at most {MOST_THREADS}")));
        }
        let max_requests = requests(py, Flavor::Thread, max_requests)?;
        let threads = if pool_size == 0 { 8 } else { pool_size as u32 };
        Self::init(py, Options { backend: CAIO_BACKEND_THREAD, max_requests, threads, sqpoll: false })
    }

    #[getter]
    fn pool_size(slf: &Bound<'_, Self>) -> u32 {
        Self::base(slf).get().core.pool_size
    }

    /// Starts operations. Returns how many. RuntimeError if there is no room; those before it go on.
    #[pyo3(signature = (*operations))]
    fn submit(slf: &Bound<'_, Self>, operations: &Bound<'_, PyTuple>) -> PyResult<u32> {
        let context = Self::base(slf);
        let operations = context.get().operations(operations)?;
        if context.get().closed.load(Ordering::Relaxed) {
            return Err(PyRuntimeError::new_err("the context is closed"));
        }
        let accepted = Context::submit_now(context, operations);
        // Relaxed: our own doing.
        if context.get().core.low_inflight.load(Ordering::Relaxed) > 0 {
            delivery::ensure(&context.get().core);
        }
        accepted
    }

    /// Does nothing: what runs in a thread goes on. Always 0.
    #[pyo3(signature = (*_operations))]
    fn cancel(&self, _operations: &Bound<'_, PyTuple>) -> i32 {
        0
    }

    /// From here on submit raises RuntimeError. What was submitted goes on.
    fn close(slf: &Bound<'_, Self>) {
        Self::base(slf).get().closed.store(true, Ordering::Relaxed);
    }
});

/// The number by which the library knows an operation while it is in flight.
fn low_user_data(operation: &Bound<'_, Operation>) -> u64 {
    operation.as_ptr() as u64 | crate::core::LOW
}

fn fileno(context: &Bound<'_, Context>) -> PyResult<i32> {
    let context_ref = context.get();
    context_ref.core.ctx.eventfd().map_err(|errno| context_ref.failure(context.py(), errno))
}

/// A context of whichever implementation the options lead to.
pub fn any(py: Python<'_>, options: Options) -> PyResult<Py<PyAny>> {
    let context = Context::new(py, options)?;
    crate::info::wrap(py, context)
}

/// max_requests as the library takes it.
fn requests(py: Python<'_>, flavor: Flavor, asked: i64) -> PyResult<u32> {
    // What the kernel takes at most, and the library.
    const MOST: i64 = 65535;
    if asked == 0 {
        return Ok(flavor.default_requests());
    }
    if !(1..=MOST).contains(&asked) {
        let too_many_for_this_machine = flavor == Flavor::Linux && asked > 0;
        let errno = if too_many_for_this_machine { libc::EAGAIN } else { libc::EINVAL };
        return Err(cannot_be_had(py, Errno(errno)));
    }
    Ok(asked as u32)
}
