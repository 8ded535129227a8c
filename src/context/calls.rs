//! Blocking calls, for operations on descriptors where every attempt may wait. A kernel thread of an io_uring makes
//! such a call, and a cancel interrupts it. Where io_uring is forbidden, the call is detached: it runs on a thread of
//! its own, for which `caio_ctx_free` does not wait.

use std::sync::Weak;
use std::time::{Duration, Instant};

use super::Shared;
use super::report::Fallback;
use super::state::{By, State, stopped_result};
use super::waiting::{Tried, Waiting};
use super::watches::Table;
use crate::error::{Errno, Result};
use crate::exec::blocking::{Scratch, failed_result, remaining};
use crate::exec::detached::DetachedCall;
use crate::exec::nonblocking::Method;
use crate::fork_list::Listed;
use crate::op::Op;
use crate::slab::{Place, Token};
use crate::sys::fd::{AsRawFd, RawFd};
use crate::sys::interruptible::{CallRing, Ended, TELLS_WHAT_MOVED};
use crate::sys::rw::{self, Transfer, flags};
use crate::sys::{file_kind, thread};

/// The calls that io_uring makes for one poller.
pub struct Calls {
    ring: Option<Listed<CallRing>>,
    /// A filter or the administrator forbids io_uring, or the ring failed.
    forbidden: bool,
    running: Table<u64, Call>,
}

struct Call {
    waiting: Waiting,
    /// The errno for the result, if the operation must stop.
    stop: Option<Errno>,
    /// When to interrupt the call. The poller repeats it until the call ends.
    interrupt: Option<Instant>,
    /// Calls before this one that moved nothing.
    tries: u32,
}

/// What to do with an operation whose call has ended.
pub enum Next {
    Result(Token, i64),
    /// Wait for readiness again.
    Wait(Waiting),
    /// Call once more, after this many calls that moved nothing.
    Call(Waiting, u32),
    /// The ring refuses the call: detach it.
    Detach(Waiting),
}

/// Whether io_uring does what the plain call does. It skips a transfer of 0 bytes, and ignores the harmless flags where
/// the plain call refuses them.
fn suits_the_ring(op: &Op) -> bool {
    let flags = op.sys_flags & !flags::POLLED;
    let flags_suit = flags == 0 || flags & !flags::HARMLESS == 0 && file_kind::supports_flags(op.fd);
    flags_suit && !is_empty(op)
}

/// Whether the plain call returns immediately, even if the descriptor is not ready. It does for unsupported flags, for
/// most transfers of 0 bytes, for a write to a file that is never ready for writing, and for a read of a terminal with
/// VMIN 0, where VTIME bounds the wait.
pub fn returns_at_once(op: &Op) -> bool {
    if is_empty(op) {
        return !op.code.reads() || !file_kind::waits_for_empty_read(op.fd);
    }
    let without_readiness = if op.code.reads() {
        file_kind::reads_without_input(op.fd)
    } else {
        !rw::is_ready(op.fd, false) && !file_kind::waits_to_write(op.fd)
    };
    without_readiness || !suits_the_ring(op)
}

fn is_empty(op: &Op) -> bool {
    op.len == 0 && !op.code.vectored()
}

impl Calls {
    pub fn new() -> Self {
        Self { ring: None, forbidden: false, running: Table::default() }
    }

    /// Opens the ring, if there is none, and returns its descriptor for the poller to watch.
    pub fn open(&mut self, shared: &Shared) -> Option<RawFd> {
        if self.ring.is_some() || self.forbidden {
            return None;
        }
        match shared.fds.hold(CallRing::open) {
            Ok(ring) => Some(self.ring.insert(ring).as_raw_fd()),
            // A lack of descriptors or memory may be temporary, so the next call tries again.
            Err(errno) => {
                self.forbidden = !matches!(errno.0, libc::EMFILE | libc::ENFILE | libc::ENOMEM);
                let text = "the kernel cannot end calls that wait for streams, so that each of them has a thread";
                shared.report.fell_back(Fallback::Calls, format_args!("{text}: {errno}"));
                None
            }
        }
    }

    /// Starts a call in the ring; gives the operation back if that is not possible.
    pub fn begin(&mut self, waiting: Waiting, tries: u32, scratch: &mut Scratch) -> std::result::Result<(), Waiting> {
        // Without FULL, a write moves only what fits now. The call would wait for more room, so it is interrupted soon.
        // If a call moved nothing, its time was too short or there is no room, so the next one gets twice the time.
        const SOON: Duration = Duration::from_millis(1);
        const ENOUGH: u32 = 8;
        let limited = TELLS_WHAT_MOVED && !waiting.reads() && !waiting.op.full && tries < ENOUGH;
        let interrupt = limited.then(|| Instant::now() + SOON * (1 << tries));
        let Some(ring) = self
            .ring
            .as_mut()
            .filter(|_| !self.forbidden && suits_the_ring(&waiting.op) && !returns_at_once(&waiting.op))
        else {
            return Err(waiting);
        };
        if self.running.try_reserve(1).is_err() {
            return Err(waiting);
        }
        let begun = match waiting.copy() {
            Some(copy) => ring.begin_copy(waiting.token.0, &copy),
            None => match remaining(&waiting.op, waiting.moved, scratch) {
                // RWF_HIPRI has no effect on streams, but a ring without IORING_SETUP_IOPOLL refuses it.
                Ok(rest) => ring.begin(waiting.token.0, &Transfer { flags: rest.flags & !flags::POLLED, ..rest }),
                Err(_) => return Err(waiting),
            },
        };
        if let Err(errno) = begun {
            // The entry is still in the ring and must never start, so the ring is not submitted again. A lack of memory or
            // threads may be temporary.
            self.forbidden = !matches!(errno.0, libc::ENOMEM | libc::EAGAIN);
            return Err(waiting);
        }
        self.running.insert(waiting.token.0, Call { waiting, stop: None, interrupt, tries });
        Ok(())
    }

    /// Stops a call, if there is one: its operation ends with `errno`, or with the bytes that it moved.
    pub fn stop(&mut self, token: Token, errno: Errno) {
        if let Some(call) = self.running.get_mut(&token.0) {
            call.stop = Some(errno);
            call.interrupt = Some(Instant::now());
        }
    }

    /// Interrupts the calls that are due, and returns the time until the next one is.
    pub fn interrupt_due(&mut self) -> Option<Duration> {
        // An interrupt has no effect on a call that does not sleep yet.
        const AGAIN: Duration = Duration::from_millis(20);
        let Self { ring: Some(ring), running, .. } = self else { return None };
        let now = Instant::now();
        let due = |(token, call): (&u64, &mut Call)| {
            let at = call.interrupt.as_mut()?;
            if *at <= now {
                ring.cancel(*token);
                *at = now + AGAIN;
            }
            Some(*at - now)
        };
        running.iter_mut().filter_map(due).min()
    }

    /// What to do with the next operation whose call has ended.
    pub fn next(&mut self) -> Option<Next> {
        loop {
            match self.ring.as_mut()?.pop()? {
                Ended::Call(token, result) => {
                    if let Some(call) = self.running.remove(&token) {
                        return Some(call.next(result));
                    }
                }
                Ended::CancelMissed(token) => {
                    if self.running.contains_key(&token) {
                        self.ring.as_mut()?.cancel(token);
                    }
                }
            }
        }
    }
}

impl Call {
    fn next(self, result: Result<u64>) -> Next {
        let Self { mut waiting, stop, interrupt, tries } = self;
        let (token, op) = (waiting.token, waiting.op);
        match (after(&op, &mut waiting.moved, result), stop) {
            (After::Done(result), _) => Next::Result(token, result),
            (_, Some(errno)) => Next::Result(token, stopped_result(&op, waiting.moved, errno)),
            (After::Nothing, None) if interrupt.is_some() => Next::Call(waiting, tries + 1),
            (After::Refused, None) if waiting.source.is_some() => {
                Next::Result(token, failed_result(&op, waiting.moved, result.err().unwrap_or(Errno(libc::EIO))))
            }
            (After::Refused, None) => Next::Detach(waiting),
            (After::Nothing | After::More, None) => {
                waiting.method = Method::Unknown;
                Next::Wait(waiting)
            }
        }
    }
}

enum After {
    Done(i64),
    /// FULL is not satisfied yet.
    More,
    /// The call moved nothing, and its errno is not the operation's.
    Nothing,
    /// The ring, and not the file, may have refused the call.
    Refused,
}

/// What the result of a call means for its operation.
fn after(op: &Op, moved: &mut u64, result: Result<u64>) -> After {
    match result {
        Ok(more) => {
            *moved += more;
            if more > 0 && op.full && *moved < op.wanted() { After::More } else { After::Done(*moved as i64) }
        }
        Err(Errno(libc::EINTR | libc::ECANCELED | libc::EAGAIN)) => After::Nothing,
        // A filter refuses the opcode. An error of the file itself is final, because a second call may take a record.
        Err(Errno(libc::EACCES | libc::EPERM | libc::ENOSYS)) => After::Refused,
        Err(errno) => After::Done(failed_result(op, *moved, errno)),
    }
}

impl Shared {
    /// Starts a thread for a call that nothing can interrupt. False if that fails.
    fn spawn_detached(&self, token: Token, op: Op, moved: u64) -> bool {
        let shared = self.this.clone();
        // Dropping the handle detaches the thread: no thread joins it.
        thread::spawn(c"caio-call", move || run_detached(&shared, token, op, moved)).is_ok()
    }

    /// Starts a thread that waits for an operation as the poller would, if the poller has no descriptors. False if that
    /// fails.
    pub fn wait_without_poller(&self, token: Token, op: Op, moved: u64) -> bool {
        let shared = self.this.clone();
        let wait = move || {
            let mut waiting = Waiting::new(token, op, moved);
            match wait_alone(&shared, &mut waiting) {
                None => run_detached(&shared, token, op, waiting.moved),
                Some(result) => {
                    if let Some(shared) = shared.upgrade() {
                        shared.with_worker(|state| state.finish_waited(token, result));
                    }
                }
            }
        };
        thread::spawn(c"caio-wait", wait).is_ok()
    }

    /// Starts a detached call, which nothing can stop, on a thread of its own.
    pub fn call_detached(&self, waiting: Waiting) {
        let Waiting { token, op, moved, .. } = waiting;
        if !self.with(|state| state.take_from_poller(token)) {
            return;
        }
        if !self.spawn_detached(token, op, moved) {
            self.with(|state| {
                state.tell_poller_of_return(&op);
                if let Some(index) = state.slab.find(token) {
                    state.finish(index, failed_result(&op, moved, Errno(libc::EAGAIN)), By::Worker);
                }
            });
        }
    }
}

/// Waits with poll(2), which needs no descriptor. It wakes now and then, as nothing else tells it to stop. Returns the
/// result; None if the operation needs a blocking call.
fn wait_alone(shared: &Weak<Shared>, waiting: &mut Waiting) -> Option<i64> {
    const TICK_MS: i32 = 50;
    let (mut scratch, mut woken) = (Scratch::default(), false);
    loop {
        let tried = if woken { waiting.attempt_again(&mut scratch) } else { waiting.attempt(&mut scratch) };
        match tried {
            Tried::Done(result) => return Some(result),
            Tried::Call => return None,
            // A worker thread waits for a copy itself.
            Tried::NotReady | Tried::Resume => {}
        }
        if let Some(errno) = shared.upgrade()?.stop_errno(waiting.token) {
            return Some(stopped_result(&waiting.op, waiting.moved, errno));
        }
        woken = rw::becomes_ready(waiting.op.fd, waiting.reads(), TICK_MS);
    }
}

/// The body of that thread. During the call, it holds no reference to the context, nor to the caller's memory.
fn run_detached(shared: &Weak<Shared>, token: Token, op: Op, moved: u64) {
    let finish = |result| {
        if let Some(shared) = shared.upgrade() {
            shared.with_worker(|state| state.finish_detached(token, moved, result, &op));
        }
    };
    let mut call = match DetachedCall::prepare(&op, moved) {
        Ok(call) => call,
        Err(errno) => return finish(Err(errno)),
    };
    let thread = thread::system_id();
    if !shared.upgrade().is_some_and(|shared| shared.with_worker(|state| state.enter_call(token, thread))) {
        return finish(Err(Errno(libc::ECANCELED)));
    }
    let result = call.run();
    // From here on, `caio_ctx_free` waits for this thread, so it may use the caller's memory.
    if shared.upgrade().is_some_and(|shared| shared.with_worker(|state| state.leave_call(token))) {
        finish(result.and_then(|count| call.deliver(count).map(|()| count)));
    }
}

impl State {
    fn finish_waited(&mut self, token: Token, result: i64) {
        if let Some(index) = self.slab.find(token) {
            self.finish(index, result, By::Worker);
        }
    }

    /// Moves an operation from the poller to a thread of its own. False if it has completed.
    fn take_from_poller(&mut self, token: Token) -> bool {
        let Some(index) = self.slab.find(token) else { return false };
        if self.slab[index].place == Place::Stopping {
            self.stopping.remove(&mut self.slab, index);
        }
        self.slab[index].place = Place::Running;
        true
    }

    /// The thread enters its call, and from now on `caio_ctx_free` does not wait for it. False if the operation must
    /// stop.
    fn enter_call(&mut self, token: Token, thread: i32) -> bool {
        let Some(index) = self.slab.find(token).filter(|index| self.slab[*index].stop.is_none()) else { return false };
        (self.slab[index].place, self.slab[index].thread) = (Place::Detached, thread);
        true
    }

    /// The thread has left its call. False if the context is being freed, and so does not wait for the thread.
    fn leave_call(&mut self, token: Token) -> bool {
        let Some(index) = self.slab.find(token) else { return false };
        let place = if self.closing { Place::Opening } else { Place::Running };
        self.slab[index].place = place;
        !self.closing
    }

    /// Finishes or continues an operation whose detached call has ended.
    fn finish_detached(&mut self, token: Token, mut moved: u64, result: Result<u64>, op: &Op) {
        self.tell_poller_of_return(op);
        let Some(index) = self.slab.find(token) else { return };
        let stop = self.slab[index].stop;
        match (after(op, &mut moved, result), stop) {
            (After::Done(result), _) => self.finish(index, result, By::Worker),
            (_, Some(errno)) => {
                self.slab[index].moved = moved;
                self.finish_stopped(index, errno);
            }
            (After::Refused, None) => {
                let errno = result.err().unwrap_or(Errno(libc::EIO));
                self.finish(index, failed_result(op, moved, errno), By::Worker);
            }
            (After::More | After::Nothing, None) => {
                self.slab[index].moved = moved;
                if self.poller.is_some() { self.send_to_poller(index) } else { self.send_to_worker(index) }
            }
        }
    }

    /// Tells the poller that a detached call has returned. Other operations on its descriptor may wait for that.
    fn tell_poller_of_return(&mut self, op: &Op) {
        // Without memory for this, the poller retries them when the descriptor becomes ready again.
        if self.returned.try_reserve(1).is_ok() {
            self.returned.push((op.fd, op.code.reads()));
            self.poke = true;
        }
    }
}
