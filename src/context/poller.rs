//! The poller: one thread per context, started when first needed. It waits for the readiness of pipes, sockets,
//! terminals and devices, and for timeouts. Its attempts at transfers never wait.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Shared;
use super::calls::{Calls, Next};
use super::report::Fallback;
use super::state::{By, State, stopped_result};
use super::waiting::{Tried, Waiting};
use super::watches::Watches;
use crate::error::{Errno, Result};
use crate::exec::blocking::Scratch;
use crate::fork_list::Listed;
use crate::op::Op;
use crate::slab::{Place, Token};
use crate::sync::Mutex;
use crate::sys::fd::{AsRawFd, RawFd};
use crate::sys::interruptible::COPIES;
use crate::sys::mem::room;
use crate::sys::pollable::Pollable;
use crate::sys::readiness::{REPORTS_ONCE, Readiness, Ready};
use crate::sys::timer::Timer;
use crate::sys::{Signal, thread};

const NO_MEMORY: Errno = Errno(libc::ENOMEM);

/// How other threads reach the poller.
pub struct PollerHandle {
    pub timer: Listed<Timer>,
    poke: Listed<Pollable>,
    thread: Mutex<Option<thread::Handle>>,
}

impl PollerHandle {
    /// Ends the thread. The context is being freed and has no operation left.
    pub fn end(&self) {
        self.poke.signal();
        if let Some(thread) = self.thread.lock().take() {
            thread.join();
        }
    }
}

impl Shared {
    /// Starts the poller if there is none; false if that fails.
    pub fn ensure_poller(&self) -> bool {
        let _one_at_a_time = self.poller_start.lock();
        self.state.lock().poller.is_some()
            || self.start_poller().inspect_err(|errno| self.tell_of_no_poller(*errno)).is_ok()
    }

    #[cold]
    fn tell_of_no_poller(&self, errno: Errno) {
        let text = "the poller cannot start, so a thread waits for each stream, and no timeout works";
        self.report.fell_back(Fallback::Poller, format_args!("{text}: {errno}"));
    }

    fn start_poller(&self) -> Result<()> {
        let watches = Watches::new(self.fds.hold(Readiness::new)?);
        let (timer, poke) = (self.fds.hold(Timer::new)?, self.fds.hold(Pollable::new)?);
        let handle = Arc::new(PollerHandle { timer, poke, thread: Mutex::new(None) });
        watches.add_timer(&handle.timer)?;
        watches.add_own(handle.poke.as_raw_fd())?;
        let shared = self.this.upgrade().ok_or(Errno(libc::EAGAIN))?;
        let poller = Poller::new(shared, handle.clone(), watches)?;
        let thread = thread::spawn(c"caio-poller", move || poller.run())?;
        *handle.thread.lock() = Some(thread);
        self.state.lock().poller = Some(handle);
        Ok(())
    }

    /// Wakes the poller, if there is one.
    pub fn poke(&self) {
        let handle = self.state.lock().poller.clone();
        if let Some(handle) = handle {
            handle.poke.signal();
        }
    }
}

/// The poller's own data. It reuses its queues, so that it allocates nothing per operation after warm-up. If a queue
/// cannot grow, the operation fails with ENOMEM.
struct Poller {
    shared: Arc<Shared>,
    handle: Arc<PollerHandle>,
    watches: Watches,
    calls: Calls,
    incoming: VecDeque<Waiting>,
    /// Descriptors whose detached call has returned, with true if that was a read.
    returned: Vec<(RawFd, bool)>,
    results: Results,
    scratch: Scratch,
}

/// Results of operations, which the poller publishes together. None for a copy, with which a worker thread goes on.
struct Results(Vec<(Token, Option<i64>)>);

impl Poller {
    fn new(shared: Arc<Shared>, handle: Arc<PollerHandle>, watches: Watches) -> Result<Self> {
        Ok(Self {
            shared,
            handle,
            watches,
            calls: Calls::new(),
            incoming: VecDeque::new(),
            returned: Vec::new(),
            results: Results::new()?,
            scratch: Scratch::default(),
        })
    }

    fn run(mut self) {
        let mut ready = Ready::default();
        loop {
            let interrupt = self.calls.interrupt_due();
            self.watches.wait(&mut ready, interrupt);
            if self.take_messages() {
                return;
            }
            self.finish_calls();
            while let Some((fd, reads)) = self.returned.pop() {
                self.watches.attach(fd, reads);
                self.retry(fd, false);
            }
            while let Some(waiting) = self.incoming.pop_front() {
                self.start(waiting);
            }
            while let Some(stopped) = self.shared.with(State::next_to_stop) {
                self.stop(stopped);
            }
            for fd in ready.fds() {
                self.retry(fd, true);
            }
            self.results.publish(&self.shared);
        }
    }

    /// Takes what other threads have left for the poller; true if the poller must end.
    fn take_messages(&mut self) -> bool {
        let Self { shared, handle, incoming, returned, .. } = self;
        shared.with(|state| {
            handle.poke.clear();
            state.poked = false;
            state.expire();
            while let Some(index) = state.inbox.pop_front(&mut state.slab) {
                if incoming.try_reserve(1).is_err() {
                    state.finish_stopped(index, NO_MEMORY);
                    continue;
                }
                let slot = &mut state.slab[index];
                slot.place = Place::Stream;
                let (op, moved) = (slot.op, slot.moved);
                incoming.push_back(Waiting::new(state.slab.token(index), op, moved));
            }
            std::mem::swap(returned, &mut state.returned);
            state.is_over()
        })
    }

    /// Tries an operation, and waits for its descriptor if it is not ready.
    fn start(&mut self, mut waiting: Waiting) {
        let (token, fd, reads) = (waiting.token, waiting.op.fd, waiting.reads());
        match waiting.attempt(&mut self.scratch) {
            Tried::Done(result) => return self.results.add(&self.shared, token, result),
            Tried::Resume => return self.results.resume(&self.shared, token),
            Tried::Call if !self.watches.has_detached(fd, reads) => return self.call(waiting, 0),
            Tried::Call | Tried::NotReady => {}
        }
        let without_memory = stopped_result(&waiting.op, waiting.moved, NO_MEMORY);
        if self.watches.queue(waiting).is_err() {
            self.watches.settle(fd).ok();
            return self.results.add(&self.shared, token, without_memory);
        }
        let Err(errno) = self.watches.settle(fd) else { return };
        let Some(unwatched) = self.watches.take_last(fd, reads) else { return };
        self.watches.settle(fd).ok();
        match errno.0 {
            // epoll does not support this kind of descriptor.
            libc::EPERM if unwatched.source.is_some() && !COPIES => self.results.resume(&self.shared, token),
            libc::EPERM => self.call(unwatched, 0),
            _ => {
                let result = stopped_result(&unwatched.op, unwatched.moved, errno);
                self.results.add(&self.shared, token, result);
            }
        }
    }

    fn stop(&mut self, (token, op, errno): (Token, Op, Errno)) {
        let waiting = match op.code.copies() {
            false => self.watches.take(op.fd, op.code.reads(), token),
            true => {
                let source = self.watches.take(op.fd, true, token);
                source.or_else(|| self.watches.take(op.mode as i32, false, token))
            }
        };
        let Some(waiting) = waiting else {
            return self.calls.stop(token, errno);
        };
        // If this fails, epoll still reports readiness that no operation waits for, which is harmless.
        self.watches.settle(waiting.op.fd).ok();
        self.results.add(&self.shared, token, stopped_result(&op, waiting.moved, errno));
    }

    /// Retries the operations that wait for a descriptor. `woken`: epoll reported it ready.
    fn retry(&mut self, fd: RawFd, woken: bool) {
        for reads in [true, false] {
            if !REPORTS_ONCE && self.watches.has_detached(fd, reads) {
                continue;
            }
            while let Some(first) = self.watches.first(fd, reads) {
                let token = first.token;
                let tried =
                    if woken { first.attempt_again(&mut self.scratch) } else { first.attempt(&mut self.scratch) };
                match tried {
                    Tried::NotReady => break,
                    Tried::Resume => {
                        self.watches.take_first(fd, reads);
                        self.results.resume(&self.shared, token);
                    }
                    Tried::Done(result) => {
                        self.watches.take_first(fd, reads);
                        self.results.add(&self.shared, token, result);
                    }
                    Tried::Call => {
                        let Some(waiting) = self.watches.take_first(fd, reads) else { break };
                        self.call(waiting, 0);
                        if self.watches.has_detached(fd, reads) {
                            break;
                        }
                    }
                }
            }
        }
        self.watches.settle(fd).ok();
    }

    /// Starts a blocking call for an operation, in the ring if possible, after `tries` calls that moved nothing.
    fn call(&mut self, waiting: Waiting, tries: u32) {
        if let Some(ring) = self.calls.open(&self.shared) {
            // If this fails, the poller sees the ring's completions when another descriptor wakes it.
            self.watches.add_own(ring).ok();
        }
        match self.calls.begin(waiting, tries, &mut self.scratch) {
            Ok(()) => {}
            Err(copy) if copy.source.is_some() => {
                let result = stopped_result(&copy.op, copy.moved, NO_MEMORY);
                self.results.add(&self.shared, copy.token, result);
            }
            Err(waiting) => self.detach(waiting),
        }
    }

    /// Starts a blocking call on a thread of its own.
    fn detach(&mut self, waiting: Waiting) {
        let (token, fd, reads) = (waiting.token, waiting.op.fd, waiting.reads());
        match self.watches.detach(fd, reads) {
            Ok(()) => self.shared.call_detached(waiting),
            Err(_) => {
                let result = stopped_result(&waiting.op, waiting.moved, NO_MEMORY);
                self.results.add(&self.shared, token, result);
            }
        }
    }

    fn finish_calls(&mut self) {
        while let Some(next) = self.calls.next() {
            match next {
                Next::Result(token, result) => self.results.add(&self.shared, token, result),
                Next::Wait(waiting) => self.start(waiting),
                Next::Call(waiting, tries) => self.call(waiting, tries),
                Next::Detach(waiting) => self.detach(waiting),
            }
        }
    }
}

impl Results {
    fn new() -> Result<Self> {
        const EARLY: usize = 32;
        room(EARLY).map(Self)
    }

    fn add(&mut self, shared: &Shared, token: Token, result: i64) {
        self.push(shared, token, Some(result));
    }

    fn resume(&mut self, shared: &Shared, token: Token) {
        self.push(shared, token, None);
    }

    fn push(&mut self, shared: &Shared, token: Token, result: Option<i64>) {
        if self.0.try_reserve(1).is_err() {
            self.publish(shared);
        }
        self.0.push((token, result));
    }

    /// Completes the operations.
    fn publish(&mut self, shared: &Shared) {
        if self.0.is_empty() {
            return;
        }
        shared.with(|state| {
            for (token, result) in self.0.drain(..) {
                let Some(index) = state.slab.find(token) else { continue };
                if state.slab[index].place == Place::Stopping {
                    state.stopping.remove(&mut state.slab, index);
                }
                match (result, state.slab[index].stop) {
                    (Some(result), _) => state.finish(index, result, By::Worker),
                    (None, Some(errno)) => state.finish_stopped(index, errno),
                    (None, None) => state.send_to_worker(index),
                }
            }
        });
    }
}

impl State {
    /// The next operation that the poller must stop, and the errno for its result.
    fn next_to_stop(&mut self) -> Option<(Token, Op, Errno)> {
        let index = self.stopping.pop_front(&mut self.slab)?;
        let token = self.slab.token(index);
        let slot = &mut self.slab[index];
        slot.place = Place::Stream;
        Some((token, slot.op, slot.stop?))
    }

    /// Whether the context is being freed and has taken the poller's handle.
    fn is_over(&self) -> bool {
        self.closing && self.poller.is_none()
    }
}
