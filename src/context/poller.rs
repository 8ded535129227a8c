//! One thread per context, started when first needed, that watches pipes, sockets, terminals and devices for operations and
//! the clock for timeouts. Its attempts never wait.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use super::Shared;
use super::calls::{self, Calls, Next};
use super::slab::{Place, Token};
use super::state::{By, State, stopped_result};
use super::watches::{Waiting, Watches};
use crate::error::{Errno, Result};
use crate::exec::blocking::Scratch;
use crate::exec::nonblocking::{self, Attempt, Method};
use crate::fork_list::Listed;
use crate::op::Op;
use crate::sync::Mutex;
use crate::sys::epoll::{Epoll, Ready};
use crate::sys::eventfd::EventFd;
use crate::sys::mem::room;
use crate::sys::timerfd::TimerFd;
use crate::sys::{rw, thread};

const NO_MEMORY: Errno = Errno(libc::ENOMEM);

/// How others reach the poller.
pub struct PollerHandle {
    pub timer: Listed<TimerFd>,
    poke: Listed<EventFd>,
    handle: Mutex<Option<thread::Handle>>,
}

impl PollerHandle {
    /// Ends the thread; the context is closing and has no operation left.
    pub fn end(&self) {
        self.poke.signal();
        if let Some(handle) = self.handle.lock().take() {
            handle.join();
        }
    }
}

impl Shared {
    /// Starts the poller if there is none; false if it cannot be had.
    pub fn ensure_poller(&self) -> bool {
        let _one_at_a_time = self.poller_start.lock();
        self.state.lock().poller.is_some() || self.start_poller().is_ok()
    }

    fn start_poller(&self) -> Result<()> {
        let watches = Watches::new(self.fds.hold(Epoll::new()?)?);
        let (timer, poke) = (self.fds.hold(TimerFd::new()?)?, self.fds.hold(EventFd::new()?)?);
        let ends = Arc::new(PollerHandle { timer, poke, handle: Mutex::new(None) });
        for fd in [ends.timer.as_raw_fd(), ends.poke.as_raw_fd()] {
            watches.add_own(fd)?;
        }
        let shared = self.this.upgrade().ok_or(Errno(libc::EAGAIN))?;
        let poller = Poller::new(shared, ends.clone(), watches)?;
        let handle = thread::spawn(c"caio-poller", move || poller.run())?;
        *ends.handle.lock() = Some(handle);
        self.state.lock().poller = Some(ends);
        Ok(())
    }

    pub fn poke(&self) {
        let ends = self.state.lock().poller.clone();
        if let Some(ends) = ends {
            ends.poke.signal();
        }
    }
}

/// Its queues are used again and again, so that nothing is allocated per operation. An operation for which they cannot grow
/// ends with ENOMEM.
struct Poller {
    shared: Arc<Shared>,
    ends: Arc<PollerHandle>,
    watches: Watches,
    calls: Calls,
    arrivals: VecDeque<Waiting>,
    /// Descriptors to whose readers, if true, or writers a thread of its own came back.
    returned: Vec<(RawFd, bool)>,
    leaving: Leaving,
    scratch: Scratch,
}

/// Operations that the poller is done with, until it sends them off together.
struct Leaving(Vec<(Token, i64)>);

/// What becomes of an operation that was tried.
enum Tried {
    Done(i64),
    NotReady,
    /// Only a blocking call brings it on.
    Call,
}

impl Poller {
    fn new(shared: Arc<Shared>, ends: Arc<PollerHandle>, watches: Watches) -> Result<Self> {
        Ok(Self {
            shared,
            ends,
            watches,
            calls: Calls::new(),
            arrivals: VecDeque::new(),
            returned: Vec::new(),
            leaving: Leaving::new()?,
            scratch: Scratch::default(),
        })
    }

    fn run(mut self) {
        let mut ready = Ready::default();
        loop {
            let interrupt = self.calls.interrupt_due();
            self.watches.wait(&mut ready, interrupt);
            if self.fetch_news() {
                return;
            }
            self.end_calls();
            while let Some((fd, reads)) = self.returned.pop() {
                self.watches.attach(fd, reads);
                self.serve(fd, false);
            }
            while let Some(waiting) = self.arrivals.pop_front() {
                self.arrive(waiting);
            }
            while let Some(stopped) = self.shared.with(State::next_to_stop) {
                self.stop(stopped);
            }
            for fd in ready.fds() {
                self.serve(fd, true);
            }
            self.leaving.send_off(&self.shared);
        }
    }

    /// Takes what others left for the poller since it last looked; true if the context has ended.
    fn fetch_news(&mut self) -> bool {
        let Self { shared, ends, arrivals, returned, .. } = self;
        shared.with(|state| {
            ends.poke.clear();
            state.poked = false;
            state.expire();
            while let Some(index) = state.inbox.pop_front(&mut state.slab) {
                if arrivals.try_reserve(1).is_err() {
                    state.finish_stopped(index, NO_MEMORY);
                    continue;
                }
                let slot = &mut state.slab[index];
                slot.place = Place::Stream;
                let (op, moved, method) = (slot.op, slot.moved, Method::Unknown);
                arrivals.push_back(Waiting { token: state.slab.token(index), op, moved, method });
            }
            std::mem::swap(returned, &mut state.returned);
            state.is_over()
        })
    }

    /// An operation is tried at once, then watched for.
    fn arrive(&mut self, mut waiting: Waiting) {
        let (token, fd, reads) = (waiting.token, waiting.op.fd, waiting.reads());
        match attempt(&mut waiting, &mut self.scratch) {
            Tried::Done(result) => return self.leaving.add(&self.shared, token, result),
            Tried::Call if !self.watches.has_detached(fd, reads) => return self.call(waiting, false),
            Tried::Call | Tried::NotReady => {}
        }
        let without_memory = stopped_result(&waiting.op, waiting.moved, NO_MEMORY);
        if self.watches.queue(waiting).is_err() {
            self.watches.settle(fd).ok();
            return self.leaving.add(&self.shared, token, without_memory);
        }
        let Err(errno) = self.watches.settle(fd) else { return };
        let Some(unwatched) = self.watches.take_last(fd, reads) else { return };
        self.watches.settle(fd).ok();
        match errno.0 {
            // Its kind cannot be watched.
            libc::EPERM => self.call(unwatched, false),
            _ => {
                let result = stopped_result(&unwatched.op, unwatched.moved, errno);
                self.leaving.add(&self.shared, token, result);
            }
        }
    }

    fn stop(&mut self, (token, op, errno): (Token, Op, Errno)) {
        let Some(waiting) = self.watches.take(op.fd, op.code.reads(), token) else {
            return self.calls.stop(token, errno);
        };
        // Wider than needed for a moment at worst.
        self.watches.settle(op.fd).ok();
        self.leaving.add(&self.shared, token, stopped_result(&op, waiting.moved, errno));
    }

    /// Tries what waits for a descriptor: it became ready, if `woken`.
    fn serve(&mut self, fd: RawFd, woken: bool) {
        for reads in [true, false] {
            while let Some(first) = self.watches.first(fd, reads) {
                let token = first.token;
                let tried =
                    if woken { attempt_again(first, &mut self.scratch) } else { attempt(first, &mut self.scratch) };
                match tried {
                    Tried::NotReady => break,
                    Tried::Done(result) => {
                        self.watches.take_first(fd, reads);
                        self.leaving.add(&self.shared, token, result);
                    }
                    Tried::Call => {
                        let Some(waiting) = self.watches.take_first(fd, reads) else { break };
                        self.call(waiting, false);
                        if self.watches.has_detached(fd, reads) {
                            break;
                        }
                    }
                }
            }
        }
        self.watches.settle(fd).ok();
    }

    /// Has a blocking call made for an operation.
    fn call(&mut self, waiting: Waiting, patient: bool) {
        if let Some(ring) = self.calls.open(&self.shared.fds) {
            // Else the poller looks at it when something else wakes it.
            self.watches.add_own(ring).ok();
        }
        if let Err(waiting) = self.calls.begin(waiting, patient, &mut self.scratch) {
            self.detach(waiting);
        }
    }

    /// Has a thread of its own make it.
    fn detach(&mut self, waiting: Waiting) {
        let (token, fd, reads) = (waiting.token, waiting.op.fd, waiting.reads());
        match self.watches.detach(fd, reads) {
            Ok(()) => self.shared.call_detached(waiting),
            Err(_) => {
                let result = stopped_result(&waiting.op, waiting.moved, NO_MEMORY);
                self.leaving.add(&self.shared, token, result);
            }
        }
    }

    fn end_calls(&mut self) {
        while let Some(next) = self.calls.next() {
            match next {
                Next::Result(token, result) => self.leaving.add(&self.shared, token, result),
                Next::Wait(waiting) => self.arrive(waiting),
                Next::Call(waiting) => self.call(waiting, true),
                Next::Detach(waiting) => self.detach(waiting),
            }
        }
    }
}

impl Leaving {
    fn new() -> Result<Self> {
        const EARLY: usize = 32;
        room(EARLY).map(Self)
    }

    fn add(&mut self, shared: &Shared, token: Token, result: i64) {
        if self.0.try_reserve(1).is_err() {
            self.send_off(shared);
        }
        self.0.push((token, result));
    }

    /// Sends off what is done here.
    fn send_off(&mut self, shared: &Shared) {
        if self.0.is_empty() {
            return;
        }
        shared.with(|state| {
            for (token, result) in self.0.drain(..) {
                let Some(index) = state.slab.find(token) else { continue };
                if state.slab[index].place == Place::Stopping {
                    state.stopping.remove(&mut state.slab, index);
                }
                state.finish(index, result, By::Worker);
            }
        });
    }
}

fn attempt(waiting: &mut Waiting, scratch: &mut Scratch) -> Tried {
    match nonblocking::attempt(&waiting.op, waiting.moved, scratch, &mut waiting.method) {
        Attempt::Done(result) => Tried::Done(result),
        Attempt::NotReady(moved) => {
            waiting.moved = moved;
            Tried::NotReady
        }
        Attempt::MayWait(moved) => {
            waiting.moved = moved;
            if calls::answer_at_once(&waiting.op) || is_ready(waiting) { Tried::Call } else { Tried::NotReady }
        }
    }
}

/// The same for an operation whose descriptor is said to be ready. If an attempt gets nothing twice though it is, only the
/// plain call knows what that means: a datagram socket that was shut down has an end, but not for an attempt.
fn attempt_again(waiting: &mut Waiting, scratch: &mut Scratch) -> Tried {
    for _ in 0..2 {
        match attempt(waiting, scratch) {
            Tried::NotReady if is_ready(waiting) => {}
            tried => return tried,
        }
    }
    Tried::Call
}

fn is_ready(waiting: &Waiting) -> bool {
    rw::is_ready(waiting.op.fd, waiting.reads())
}

impl State {
    /// An operation with the poller that is to stop, and why.
    fn next_to_stop(&mut self) -> Option<(Token, Op, Errno)> {
        let index = self.stopping.pop_front(&mut self.slab)?;
        let token = self.slab.token(index);
        let slot = &mut self.slab[index];
        slot.place = Place::Stream;
        Some((token, slot.op, slot.stop?))
    }

    /// The context is being freed and has nothing left for the poller.
    fn is_over(&self) -> bool {
        self.closing && self.poller.is_none()
    }
}
