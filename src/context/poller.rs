//! One thread per context, started when first needed, that watches pipes, sockets and terminals for operations and the
//! clock for timeouts. It alone uses its epoll instance, and attempts never wait.

use std::collections::{HashMap, TryReserveError, VecDeque};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use super::Shared;
use super::slab::{Place, Token};
use super::state::{By, State, stopped_result};
use crate::error::{Errno, Result};
use crate::exec::blocking::Scratch;
use crate::exec::nonblocking::{self, Attempt, Way};
use crate::fork_list::Listed;
use crate::op::Op;
use crate::sync::Mutex;
use crate::sys::epoll::{Epoll, Interest, Ready};
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
    /// PollerHandle the thread; the context is closing and has no operation left.
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
        let epoll = self.fds.hold(Epoll::new()?)?;
        let (timer, poke) = (self.fds.hold(TimerFd::new()?)?, self.fds.hold(EventFd::new()?)?);
        let ends = Arc::new(PollerHandle { timer, poke, handle: Mutex::new(None) });
        for fd in [ends.timer.as_raw_fd(), ends.poke.as_raw_fd()] {
            epoll.add(fd, Interest { read: true, write: false })?;
        }
        let shared = self.this.upgrade().ok_or(Errno(libc::EAGAIN))?;
        let poller = Poller::new(shared, ends.clone(), epoll)?;
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

/// Its tables and queues are used again and again, so that nothing is allocated per operation. An operation for which they
/// cannot grow ends with ENOMEM.
struct Poller {
    shared: Arc<Shared>,
    ends: Arc<PollerHandle>,
    epoll: Listed<Epoll>,
    watches: HashMap<RawFd, Watch>,
    spare_watches: Vec<Watch>,
    arrivals: VecDeque<Waiting>,
    leaving: Leaving,
    scratch: Scratch,
}

/// Operations that the poller is done with, until it sends them off together.
struct Leaving(Vec<(Token, Leave)>);

/// The operations that wait for one descriptor.
#[derive(Default)]
struct Watch {
    interest: Interest,
    readers: VecDeque<Waiting>,
    writers: VecDeque<Waiting>,
}

struct Waiting {
    token: Token,
    op: Op,
    moved: u64,
    way: Way,
}

/// What becomes of an operation that leaves the poller.
enum Leave {
    Result(i64),
    /// It cannot be watched, or not be tried without the risk of waiting: that is a worker's.
    Worker(u64),
}

impl Poller {
    fn new(shared: Arc<Shared>, ends: Arc<PollerHandle>, epoll: Listed<Epoll>) -> Result<Self> {
        Ok(Self {
            shared,
            ends,
            epoll,
            watches: HashMap::new(),
            spare_watches: Vec::new(),
            arrivals: VecDeque::new(),
            leaving: Leaving::new()?,
            scratch: Scratch::default(),
        })
    }

    fn run(mut self) {
        let mut ready = Ready::default();
        loop {
            self.epoll.wait(&mut ready);
            if self.fetch_news() {
                return;
            }
            while let Some(waiting) = self.arrivals.pop_front() {
                self.arrive(waiting);
            }
            while let Some(stopped) = self.shared.with(State::next_to_stop) {
                self.stop(stopped);
            }
            for fd in ready.fds() {
                self.serve(fd);
            }
            self.leaving.send_off(&self.shared);
        }
    }

    /// Takes what others left for the poller since it last looked; true if the context has ended.
    fn fetch_news(&mut self) -> bool {
        let Self { shared, ends, arrivals, .. } = self;
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
                let (op, moved, way) = (slot.op, slot.moved, Way::Unknown { may_reopen: true });
                arrivals.push_back(Waiting { token: state.slab.token(index), op, moved, way });
            }
            state.is_over()
        })
    }

    /// A new operation is tried at once, then watched for.
    fn arrive(&mut self, mut waiting: Waiting) {
        let (token, fd, reads) = (waiting.token, waiting.op.fd, waiting.op.code.reads());
        if let Some(leave) = attempt(&mut waiting, &mut self.scratch) {
            return self.leaving.add(&self.shared, token, leave);
        }
        let without_memory = stopped_result(&waiting.op, waiting.moved, NO_MEMORY);
        if self.queue(waiting).is_err() {
            self.unwatch(fd);
            return self.leaving.add(&self.shared, token, Leave::Result(without_memory));
        }
        let Err(errno) = self.watch(fd) else { return };
        let Some(unwatched) = self.watches.get_mut(&fd).and_then(|watch| watch.queue(reads).pop_back()) else { return };
        self.unwatch(fd);
        let leave = match errno.0 {
            libc::EPERM => Leave::Worker(unwatched.moved),
            _ => Leave::Result(stopped_result(&unwatched.op, unwatched.moved, errno)),
        };
        self.leaving.add(&self.shared, token, leave);
    }

    /// Puts an operation with those that wait for its descriptor.
    fn queue(&mut self, waiting: Waiting) -> std::result::Result<(), TryReserveError> {
        let Self { watches, spare_watches, .. } = self;
        watches.try_reserve(1)?;
        let watch = watches.entry(waiting.op.fd).or_insert_with(|| spare_watches.pop().unwrap_or_default());
        let queue = watch.queue(waiting.op.code.reads());
        queue.try_reserve(1)?;
        queue.push_back(waiting);
        Ok(())
    }

    fn stop(&mut self, (token, op, errno): (Token, Op, Errno)) {
        let Some(watch) = self.watches.get_mut(&op.fd) else { return };
        let queue = watch.queue(op.code.reads());
        let Some(at) = queue.iter().position(|waiting| waiting.token == token) else { return };
        let moved = queue.remove(at).map_or(0, |waiting| waiting.moved);
        self.unwatch(op.fd);
        self.leaving.add(&self.shared, token, Leave::Result(stopped_result(&op, moved, errno)));
    }

    /// Tries what waits for a descriptor that is ready.
    fn serve(&mut self, fd: RawFd) {
        let Self { shared, watches, leaving, scratch, .. } = self;
        let Some(watch) = watches.get_mut(&fd) else { return };
        for queue in [&mut watch.readers, &mut watch.writers] {
            while let Some(first) = queue.front_mut() {
                let Some(leave) = attempt(first, scratch) else { break };
                leaving.add(shared, first.token, leave);
                queue.pop_front();
            }
        }
        self.unwatch(fd);
    }

    /// Watches a descriptor for what its queues wait for.
    fn watch(&mut self, fd: RawFd) -> Result<()> {
        let Some(watch) = self.watches.get_mut(&fd) else { return Ok(()) };
        let interest = Interest { read: !watch.readers.is_empty(), write: !watch.writers.is_empty() };
        if interest == watch.interest {
            return Ok(());
        }
        let new = watch.interest == Interest::default();
        if new { self.epoll.add(fd, interest) } else { self.epoll.modify(fd, interest) }?;
        watch.interest = interest;
        Ok(())
    }

    /// Stops watching for what nobody waits for any more: before the events, after which the number may be another file's.
    fn unwatch(&mut self, fd: RawFd) {
        let Some(watch) = self.watches.get(&fd) else { return };
        if !watch.readers.is_empty() || !watch.writers.is_empty() {
            // Wider than needed for a moment at worst.
            self.watch(fd).ok();
        } else if let Some(mut watch) = self.watches.remove(&fd) {
            if watch.interest != Interest::default() {
                self.epoll.remove(fd);
            }
            watch.interest = Interest::default();
            if self.spare_watches.try_reserve(1).is_ok() {
                self.spare_watches.push(watch);
            }
        }
    }
}

impl Leaving {
    fn new() -> Result<Self> {
        const EARLY: usize = 32;
        room(EARLY).map(Self)
    }

    fn add(&mut self, shared: &Shared, token: Token, leave: Leave) {
        if self.0.try_reserve(1).is_err() {
            self.send_off(shared);
        }
        self.0.push((token, leave));
    }

    /// Sends off what is done here.
    fn send_off(&mut self, shared: &Shared) {
        if self.0.is_empty() {
            return;
        }
        shared.with(|state| {
            for (token, leave) in self.0.drain(..) {
                let Some(index) = state.slab.find(token) else { continue };
                if state.slab[index].place == Place::Stopping {
                    state.stopping.remove(&mut state.slab, index);
                }
                match leave {
                    Leave::Result(result) => state.finish(index, result, By::Worker),
                    Leave::Worker(moved) => {
                        state.slab[index].moved = moved;
                        state.slab[index].plain = true;
                        match state.slab[index].stop {
                            Some(errno) => state.finish_stopped(index, errno),
                            None => state.send_to_worker(index),
                        }
                    }
                }
            }
        });
    }
}

impl Watch {
    fn queue(&mut self, reads: bool) -> &mut VecDeque<Waiting> {
        if reads { &mut self.readers } else { &mut self.writers }
    }
}

/// None while it must go on waiting.
fn attempt(waiting: &mut Waiting, scratch: &mut Scratch) -> Option<Leave> {
    match nonblocking::attempt(&waiting.op, waiting.moved, scratch, &mut waiting.way) {
        Attempt::Done(result) => Some(Leave::Result(result)),
        Attempt::NotReady(moved) => {
            waiting.moved = moved;
            None
        }
        Attempt::MayWait(moved) => {
            waiting.moved = moved;
            // Flags that this descriptor does not know look the same: the plain call says so, ready or not.
            let flagged = waiting.op.sys_flags != 0;
            (flagged || rw::is_ready(waiting.op.fd, waiting.op.code.reads())).then_some(Leave::Worker(moved))
        }
    }
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
