//! Blocking calls for operations that nothing can try without the risk of waiting: the poller has a kernel thread make them,
//! which a cancel interrupts, or, where io_uring is forbidden, a thread of their own, which may be left behind.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::Shared;
use super::slab::{Place, Token};
use super::state::{By, State, stopped_result};
use super::watches::{Table, Waiting};
use crate::error::{Errno, Result};
use crate::exec::blocking::{Scratch, failed_result, remaining};
use crate::exec::detached::DetachedCall;
use crate::exec::interruptible::{CallRing, Ended};
use crate::exec::nonblocking::Method;
use crate::fork_list::{ForkList, Listed};
use crate::op::Op;
use crate::sys::rw::{self, Transfer};
use crate::sys::{file_kind, thread};

/// The calls that a kernel thread makes for one poller.
pub struct Calls {
    ring: Option<Listed<CallRing>>,
    /// A filter or an administrator forbids io_uring.
    forbidden: bool,
    running: Table<u64, Call>,
}

struct Call {
    waiting: Waiting,
    /// It was asked to stop.
    stop: Option<Errno>,
    /// When it is to be interrupted, and again if it does not hear of that.
    interrupt: Option<Instant>,
}

/// What becomes of an operation whose call has ended.
pub enum Next {
    Result(Token, i64),
    /// It waits on.
    Wait(Waiting),
    /// It is called once more, for as long as it takes.
    Call(Waiting),
    /// The ring refuses it: a thread of its own makes the call.
    Detach(Waiting),
}

/// The flags that change nothing where a transfer may wait; but only files with vectored calls of their own know them.
const TERMINAL_FLAGS: u32 = (libc::RWF_HIPRI | libc::RWF_DSYNC | libc::RWF_SYNC | libc::RWF_APPEND) as u32;

/// io_uring knows these flags of the descriptor as the plain call does.
fn suits_the_ring(op: &Op) -> bool {
    let flags = op.sys_flags & !libc::RWF_HIPRI as u32;
    flags == 0 || flags & !TERMINAL_FLAGS == 0 && file_kind::is_terminal(op.fd)
}

/// Whether the plain call answers an operation that cannot be tried, ready or not: flags that its descriptor does not know, a
/// write to what is never ready for one.
pub fn answer_at_once(op: &Op) -> bool {
    !suits_the_ring(op) || !op.code.reads() && !rw::is_ready(op.fd, false) && !file_kind::may_be_eventfd(op.fd)
}

impl Calls {
    pub fn new() -> Self {
        Self { ring: None, forbidden: false, running: Table::default() }
    }

    /// Makes the ring, if there is none: its descriptor, to be watched.
    pub fn open(&mut self, fds: &Arc<ForkList>) -> Option<RawFd> {
        if self.ring.is_some() || self.forbidden {
            return None;
        }
        match CallRing::open().and_then(|ring| fds.hold(ring)) {
            Ok(ring) => Some(self.ring.insert(ring).as_raw_fd()),
            // Without a descriptor or memory left now, the next one may have more luck.
            Err(errno) => {
                self.forbidden = !matches!(errno.0, libc::EMFILE | libc::ENFILE | libc::ENOMEM);
                None
            }
        }
    }

    /// Begins a call; gives the operation back if that cannot be done here.
    pub fn begin(
        &mut self,
        waiting: Waiting,
        patient: bool,
        scratch: &mut Scratch,
    ) -> std::result::Result<(), Waiting> {
        // A write moves what fits; for more room it waits only with FULL.
        const SOON: Duration = Duration::from_millis(1);
        let limited = !waiting.reads() && !waiting.op.full && !patient;
        let interrupt = limited.then(|| Instant::now() + SOON);
        let Some(ring) = self
            .ring
            .as_mut()
            .filter(|_| !self.forbidden && suits_the_ring(&waiting.op) && !answer_at_once(&waiting.op))
        else {
            return Err(waiting);
        };
        // A ring that does not poll refuses this flag, which means nothing here.
        let rest = remaining(&waiting.op, waiting.moved, scratch)
            .map(|rest| Transfer { flags: rest.flags & !libc::RWF_HIPRI as u32, ..rest });
        let Ok(rest) =
            rest.and_then(|rest| self.running.try_reserve(1).map(|()| rest).map_err(|_| Errno(libc::ENOMEM)))
        else {
            return Err(waiting);
        };
        if ring.begin(waiting.token.0, &rest).is_err() {
            // What the kernel did not take stays in the ring, and must never start.
            self.forbidden = true;
            return Err(waiting);
        }
        self.running.insert(waiting.token.0, Call { waiting, stop: None, interrupt });
        Ok(())
    }

    /// Interrupts a call for good, if there is one.
    pub fn stop(&mut self, token: Token, errno: Errno) {
        if let Some(call) = self.running.get_mut(&token.0) {
            call.stop = Some(errno);
            call.interrupt = Some(Instant::now());
        }
    }

    /// Interrupts the calls whose time has come; says how long until the next one's has.
    pub fn interrupt_due(&mut self) -> Option<Duration> {
        // The first time, it may not have been asleep yet.
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

    /// An operation whose call has ended.
    pub fn next(&mut self) -> Option<Next> {
        loop {
            match self.ring.as_mut()?.pop()? {
                Ended::Call(token, result) => {
                    if let Some(call) = self.running.remove(&token) {
                        return Some(call.ended(result));
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
    fn ended(self, result: Result<u64>) -> Next {
        let Self { mut waiting, stop, interrupt } = self;
        let (token, op) = (waiting.token, waiting.op);
        match (after(&op, &mut waiting.moved, result), stop) {
            (After::Done(result), _) => Next::Result(token, result),
            (_, Some(errno)) => Next::Result(token, stopped_result(&op, waiting.moved, errno)),
            (After::Nothing, None) if interrupt.is_some() => Next::Call(waiting),
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
    /// FULL wants more.
    More,
    /// Nothing was moved, and nothing is wrong.
    Nothing,
    /// By the ring, not by the file.
    Refused,
}

/// What the end of a call means for its operation.
fn after(op: &Op, moved: &mut u64, result: Result<u64>) -> After {
    match result {
        Ok(more) => {
            *moved += more;
            if more > 0 && op.full && *moved < op.wanted() { After::More } else { After::Done(*moved as i64) }
        }
        Err(Errno(libc::EINTR | libc::ECANCELED | libc::EAGAIN)) => After::Nothing,
        Err(Errno(libc::EINVAL | libc::EOPNOTSUPP | libc::EACCES | libc::EPERM | libc::ENOSYS)) => After::Refused,
        Err(errno) => After::Done(failed_result(op, *moved, errno)),
    }
}

impl Shared {
    /// Has a thread of its own make a call that nothing can stop.
    pub fn call_detached(&self, waiting: Waiting) {
        let Waiting { token, op, moved, .. } = waiting;
        if !self.with(|state| state.detaches(token)) {
            return;
        }
        let shared = self.this.clone();
        // Nobody joins it: it may be left behind.
        if thread::spawn(c"caio-call", move || call_apart(&shared, token, op, moved)).is_err() {
            self.with(|state| {
                state.tell_poller_of_return(&op);
                if let Some(index) = state.slab.find(token) {
                    state.finish(index, failed_result(&op, moved, Errno(libc::EAGAIN)), By::Worker);
                }
            });
        }
    }
}

/// The life of that thread. While it is inside the call, it holds nothing of the context, nor of the caller's.
fn call_apart(shared: &Weak<Shared>, token: Token, op: Op, moved: u64) {
    let ends = |result| {
        if let Some(shared) = shared.upgrade() {
            shared.with_worker(|state| state.detached_ends(token, moved, result, &op));
        }
    };
    let mut call = match DetachedCall::prepare(&op, moved) {
        Ok(call) => call,
        Err(errno) => return ends(Err(errno)),
    };
    let thread = thread::system_id();
    if !shared.upgrade().is_some_and(|shared| shared.with_worker(|state| state.departs(token, thread))) {
        return ends(Err(Errno(libc::ECANCELED)));
    }
    let result = call.run();
    // Once it is back it is waited for, and may touch the caller's memory.
    if shared.upgrade().is_some_and(|shared| shared.with_worker(|state| state.returns(token))) {
        ends(result.and_then(|count| call.deliver(count).map(|()| count)));
    }
}

impl State {
    /// An operation leaves the poller for a thread of its own. False if it ended instead.
    fn detaches(&mut self, token: Token) -> bool {
        let Some(index) = self.slab.find(token) else { return false };
        if self.slab[index].place == Place::Stopping {
            self.stopping.remove(&mut self.slab, index);
        }
        self.slab[index].place = Place::Running;
        true
    }

    /// Its thread enters a call that it may be left in. False if it is to stop instead.
    fn departs(&mut self, token: Token, thread: i32) -> bool {
        let Some(index) = self.slab.find(token).filter(|index| self.slab[*index].stop.is_none()) else { return false };
        (self.slab[index].place, self.slab[index].thread) = (Place::Detached, thread);
        true
    }

    /// It has left the call. False if the context does not wait for it any more.
    pub fn returns(&mut self, token: Token) -> bool {
        let Some(index) = self.slab.find(token) else { return false };
        let place = if self.closing { Place::Opening } else { Place::Running };
        self.slab[index].place = place;
        !self.closing
    }

    /// A call in a thread of its own has ended.
    fn detached_ends(&mut self, token: Token, mut moved: u64, result: Result<u64>, op: &Op) {
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
                self.send_to_poller(index);
            }
        }
    }

    /// Others may wait for the same descriptor until this call is back.
    fn tell_poller_of_return(&mut self, op: &Op) {
        // Without memory, the poller looks when the descriptor is ready again.
        if self.returned.try_reserve(1).is_ok() {
            self.returned.push((op.fd, op.code.reads()));
            self.poke = true;
        }
    }
}
