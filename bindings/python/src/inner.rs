//! One event loop's requests: submitted, kept count of, and their tasks woken.
//!
//! All of it happens on the loop's thread, but for what another thread finds complete. No Python code runs while the
//! state is locked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::core::{Core, InFlight};
use crate::finalize;
use crate::flavor::{Flavor, forked};
use crate::pace::{Pace, Step};
use crate::raw::*;
use crate::reaper;
use crate::request::{Phase, Request};
use crate::waiter::Wake;

mod reader;

pub use reader::Reader;

/// An event loop's share of a context.
pub struct Inner {
    pub core: Arc<Core>,
    event_loop: Py<PyAny>,
    reader: PyOnceLock<Py<Reader>>,
    /// The loop has asyncio's attribute for the thread that it runs in.
    tells_thread: bool,
    /// How often this process was forked off when the context was made.
    forks: u32,
    /// All that one turn of the loop asks for is submitted together, after it.
    deferred: bool,
    state: Mutex<State>,
}

struct State {
    /// Accepted by the library, event not seen.
    inflight: u32,
    /// In the order of their submission.
    queue: VecDeque<Py<Request>>,
    /// Complete, and not woken yet.
    woken: Vec<Wake>,
    /// Complete too, but others come first.
    resting: VecDeque<Py<Request>>,
    /// The reader is at work: what it wakes need not submit at once, as it does that afterwards for all of them.
    in_reader: bool,
    /// The reader will be called by the loop's queue.
    scheduled: bool,
    /// The loop watches the descriptor.
    watched: bool,
    /// Reads have lately been finished at once.
    cached: bool,
    closed: bool,
    pace: Pace,
}

impl State {
    /// Nobody waits for anything here.
    fn is_idle(&self) -> bool {
        self.inflight == 0 && self.queue.is_empty() && self.resting.is_empty()
    }
}

/// What became of a request that was begun.
pub enum Begun {
    Done(i64),
    Pending,
}

/// How many events one look takes, and how many operations one submission.
const BATCH: usize = 128;

impl Inner {
    pub fn new(core: Arc<Core>, event_loop: Bound<'_, PyAny>, deferred: bool) -> PyResult<Arc<Self>> {
        let deferred = deferred && core.flavor != Flavor::Thread && !core.sqpoll;
        let state = State {
            inflight: 0,
            queue: VecDeque::new(),
            woken: Vec::new(),
            resting: VecDeque::new(),
            in_reader: false,
            scheduled: false,
            watched: false,
            cached: true,
            closed: false,
            pace: Pace::new(),
        };
        let py = event_loop.py();
        let tells_thread = event_loop.hasattr(intern!(py, "_thread_id"))?;
        let inner = Arc::new(Self {
            core,
            event_loop: event_loop.unbind(),
            reader: PyOnceLock::new(),
            tells_thread,
            forks: finalize::forks(),
            deferred,
            state: Mutex::new(state),
        });
        let reader = Py::new(py, Reader { inner: Arc::downgrade(&inner) })?;
        inner.reader.set(py, reader).ok();
        Ok(inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn event_loop<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.event_loop.bind(py)
    }

    pub fn unfinished(&self) -> usize {
        let state = self.state();
        state.inflight as usize + state.queue.len()
    }

    fn failure(&self, py: Python<'_>, errno: Errno) -> PyErr {
        self.core.flavor.failure(py, errno)
    }

    /// Begins a request. What the library finishes at once is returned.
    pub fn begin(&self, request: &Bound<'_, Request>) -> PyResult<Begun> {
        let py = request.py();
        self.check_loop(py)?;
        let mut state = self.state();
        self.check_open(&state)?;
        let idle = state.inflight == 0 && !state.in_reader;
        let likely = state.cached && request.get().io().reads();
        let at_once = !self.deferred && (idle || likely);
        if at_once && state.queue.is_empty() && state.inflight < self.core.max_requests {
            state.inflight += 1;
            drop(state);
            return self.submit_one(request);
        }
        request.get().advance(Phase::Queued);
        state.queue.push_back(request.clone().unbind());
        drop(state);
        self.schedule_unless_in_reader(py)?;
        Ok(Begun::Pending)
    }

    /// Begins requests that depend on each other.
    pub fn begin_chain(&self, py: Python<'_>, requests: Vec<Py<Request>>) -> PyResult<()> {
        self.check_loop(py)?;
        self.check_open(&self.state())?;
        for request in &requests {
            request.get().join_chain()?;
        }
        self.send(py, requests, true)?;
        self.schedule_unless_in_reader(py)
    }

    fn check_open(&self, state: &State) -> PyResult<()> {
        if state.closed { Err(PyRuntimeError::new_err("the context is closed")) } else { Ok(()) }
    }

    /// A context belongs to one loop, in one process.
    fn check_loop(&self, py: Python<'_>) -> PyResult<()> {
        if self.forks != finalize::forks() {
            return Err(forked());
        }
        if self.runs_here(py) {
            return Ok(());
        }
        static RUNNING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let running = RUNNING.import(py, "asyncio", "_get_running_loop")?.call0()?;
        if running.is(self.event_loop(py)) {
            return Ok(());
        }
        let problem = if running.is_none() { "no asyncio loop is running" } else { "another loop is running" };
        Err(PyRuntimeError::new_err(format!(
            "this context belongs to the event loop {}, but {problem}; make a context for each loop",
            self.event_loop(py).repr()?
        )))
    }

    /// Whether the loop says that it runs in this thread: asyncio's do, at less than a call of _get_running_loop costs,
    /// which before Python 3.12 makes a system call.
    fn runs_here(&self, py: Python<'_>) -> bool {
        if !self.tells_thread {
            return false;
        }
        let thread = self.event_loop(py).getattr(intern!(py, "_thread_id")).and_then(|id| id.extract::<u64>());
        // SAFETY: no arguments. It is what threading.get_ident() gives; on musl it is a pointer.
        #[allow(clippy::unnecessary_cast)]
        let here = unsafe { libc::pthread_self() } as u64;
        thread.is_ok_and(|thread| thread == here)
    }

    /// Submits one request by itself, as it may be finished at once.
    fn submit_one(&self, request: &Bound<'_, Request>) -> PyResult<Begun> {
        let py = request.py();
        request.get().advance(Phase::InFlight);
        let user_data = InFlight::Async(request.clone().unbind()).into_user_data();
        let op = request.get().io().to_op(py, user_data);
        let mut events = Events::<32>::new();
        // SAFETY: the reference in `user_data` keeps the request, and with it the memory, until the event.
        let accepted = unsafe { self.core.ctx.submit_poll(&[op], &mut events) };
        let mut mine = None;
        let mut others = Vec::new();
        for event in events.iter() {
            // Not taken for an event of its own: the number would be another's only if its event had come already.
            if accepted.is_ok() && event.user_data == user_data {
                mine = Some(event.result);
            } else {
                others.push(event);
            }
        }
        if accepted.is_err() || mine.is_some() {
            // SAFETY: there is no event of it still to come.
            drop(unsafe { InFlight::from_user_data(py, user_data) });
        }
        self.handle(py, others);
        match (accepted, mine) {
            (Ok(_), Some(result)) => self.finished_at_once(py, request, result),
            (Ok(_), None) => {
                self.note_pending(request.get().io().reads());
                self.watch(py)?;
                if !self.state().woken.is_empty() {
                    self.schedule_unless_in_reader(py)?;
                }
                Ok(Begun::Pending)
            }
            (Err(Errno(libc::EAGAIN)), _) => {
                // Others use the library's context beside us.
                let mut state = self.state();
                state.inflight -= 1;
                state.queue.push_front(request.clone().unbind());
                drop(state);
                request.get().advance(Phase::Queued);
                self.retry_soon(py)?;
                Ok(Begun::Pending)
            }
            (Err(errno), _) => {
                self.state().inflight -= 1;
                Err(self.failure(py, errno))
            }
        }
    }

    fn note_pending(&self, reads: bool) {
        if reads {
            self.state().cached = false;
        }
    }

    fn finished_at_once(&self, py: Python<'_>, request: &Bound<'_, Request>, result: i64) -> PyResult<Begun> {
        let mut state = self.state();
        state.inflight -= 1;
        if request.get().io().reads() {
            state.cached = true;
        }
        let others_rest = !state.resting.is_empty();
        let step = state.pace.step(others_rest);
        let wakes = !state.woken.is_empty();
        drop(state);
        if step == Step::Rest {
            request.get().rest(py, result);
            self.state().resting.push_back(request.clone().unbind());
        }
        if step != Step::GoOn || wakes {
            self.schedule_unless_in_reader(py)?;
        }
        Ok(if step == Step::Rest { Begun::Pending } else { Begun::Done(result) })
    }

    /// Takes completions in: whoever waits for them is to be woken.
    fn handle(&self, py: Python<'_>, events: impl IntoIterator<Item = caio_event>) {
        for event in events {
            // SAFETY: an event of this context, and each comes once.
            match unsafe { InFlight::from_user_data(py, event.user_data) } {
                InFlight::Async(request) if Arc::as_ptr(request.get().inner()) == std::ptr::from_ref(self) => {
                    let wake = request.get().complete(py, event.result);
                    let mut state = self.state();
                    state.inflight -= 1;
                    state.woken.extend(wake);
                }
                other => self.core.deliver_object(py, other, event.result),
            }
        }
    }

    /// Another than the loop's own callback has found a request complete.
    pub fn completed_elsewhere(&self, py: Python<'_>, wake: Option<Wake>) {
        let mut state = self.state();
        state.inflight -= 1;
        state.woken.extend(wake);
        drop(state);
        let scheduled = self.reader(py).and_then(|reader| {
            self.event_loop(py).call_method1(intern!(py, "call_soon_threadsafe"), (reader,)).map(|_| ())
        });
        // The loop is closed: nobody waits.
        drop(scheduled);
    }

    /// Submits what is queued, as far as there is room.
    fn send_queued(&self, py: Python<'_>) -> PyResult<()> {
        loop {
            let requests = self.next_batch();
            let count = requests.len();
            if count == 0 || self.send(py, requests, false)? < count {
                return Ok(());
            }
        }
    }

    fn next_batch(&self) -> Vec<Py<Request>> {
        let mut dropped = Vec::new();
        let mut batch = Vec::new();
        let mut state = self.state();
        let room = (self.core.max_requests - state.inflight.min(self.core.max_requests)) as usize;
        while batch.len() < room.min(BATCH) {
            match state.queue.pop_front() {
                Some(request) if request.get().phase() == Phase::Queued => batch.push(request),
                Some(request) => dropped.push(request),
                None => break,
            }
        }
        drop(state);
        drop(dropped);
        batch
    }

    /// Submits a batch, or a chain; says how many were accepted. What was not goes back to the queue.
    fn send(&self, py: Python<'_>, requests: Vec<Py<Request>>, chain: bool) -> PyResult<usize> {
        let last = requests.len().saturating_sub(1);
        let ops: Vec<_> = requests
            .iter()
            .enumerate()
            .map(|(index, request)| {
                request.get().advance(Phase::InFlight);
                let user_data = InFlight::Async(request.clone_ref(py)).into_user_data();
                let mut op = request.get().io().to_op(py, user_data);
                if chain && index < last {
                    op.flags |= CAIO_FLAG_LINK;
                }
                op
            })
            .collect();
        self.state().inflight += ops.len() as u32;
        let mut events = Events::<BATCH>::new();
        // SAFETY: the reference in each `user_data` keeps its request, and with it the memory, until its event.
        let accepted = unsafe { self.core.ctx.submit_poll(&ops, &mut events) };
        let sent = accepted.map_or(0, |count| count as usize);
        for op in &ops[sent..] {
            // SAFETY: not accepted, so there will be no event.
            drop(unsafe { InFlight::from_user_data(py, op.user_data) });
        }
        let reads = requests.first().is_some_and(|request| request.get().io().reads());
        let mut state = self.state();
        state.inflight -= (ops.len() - sent) as u32;
        if reads {
            state.cached = events.iter().count() >= sent.div_ceil(2);
        }
        drop(state);
        self.handle(py, events.iter());
        self.watch(py)?;
        let rest = requests.into_iter().skip(sent);
        match accepted {
            Err(errno) if errno.0 != libc::EAGAIN || chain => {
                let error = self.failure(py, errno);
                rest.for_each(|request| Request::give_up(request.bind(py)));
                return Err(error);
            }
            _ => self.put_back(py, rest)?,
        }
        Ok(sent)
    }

    fn put_back(&self, py: Python<'_>, rest: impl Iterator<Item = Py<Request>>) -> PyResult<()> {
        let rest: Vec<_> = rest.filter(|request| request.get().advance(Phase::Queued)).collect();
        if rest.is_empty() {
            return Ok(());
        }
        let mut state = self.state();
        for request in rest.into_iter().rev() {
            state.queue.push_front(request);
        }
        let nothing_will_call_us = state.inflight == 0;
        drop(state);
        if nothing_will_call_us { self.retry_soon(py) } else { Ok(()) }
    }

    /// Asks for a request in flight to stop.
    pub fn cancel(&self, request: &Bound<'_, Request>) {
        self.core.ctx.cancel(request.as_ptr() as u64);
    }

    /// Nothing new is accepted. What is in flight goes on while the loop does; else it is stopped as far as it can be.
    pub fn close(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        let mut state = self.state();
        if state.closed && !state.watched {
            return Ok(());
        }
        state.closed = true;
        let idle = state.is_idle();
        drop(state);
        if self.forks != finalize::forks() {
            return Ok(());
        }
        if idle {
            return self.unwatch(py);
        }
        if self.event_loop(py).call_method0(intern!(py, "is_running"))?.is_truthy()? {
            return Ok(());
        }
        self.unwatch(py)?;
        let mut state = self.state();
        let (queue, resting) = (std::mem::take(&mut state.queue), std::mem::take(&mut state.resting));
        drop(state);
        drop((queue, resting));
        self.core.ctx.cancel_all();
        reaper::start(self.clone());
        Ok(())
    }

    /// For the reaper: takes completions in until none is left to come; false if there are.
    pub fn reap(&self, py: Python<'_>, events: &Events<BATCH>) -> bool {
        self.handle(py, events.iter());
        let mut state = self.state();
        let woken = std::mem::take(&mut state.woken);
        let done = state.inflight == 0;
        drop(state);
        drop(woken);
        done
    }
}

pub const REAP_BATCH: usize = BATCH;
