//! What a context's lock guards, and how an operation gets from place to place. No system call that can block is made
//! here; what such a call is needed for leaves as [`Chores`] and is done once the lock is free.

use std::os::fd::RawFd;
use std::sync::Arc;

use super::deadline::Deadlines;
use super::poller::Ends;
use super::pool::{Pool, Staffing};
use super::slab::{Class, List, NONE, Place, Slab, Token};
use super::spin::Spin;
use super::submit::Batch;
use super::sync_group::Group;
use super::sync_pace::SyncPace;
use super::workers::Worker;
use super::{Counters, Shared};
use crate::backend::{Flush, Native};
use crate::completion::{Completions, Event, Sink};
use crate::error::{Errno, Result};
use crate::op::{Code, Op};
use crate::route::{Held, HitRate, Router};
use crate::sys::epoll::Epoll;
use crate::sys::mem::room;
use crate::sys::timerfd;

pub const CANCELED: Errno = Errno(libc::ECANCELED);

pub struct State {
    pub slab: Slab,
    pub done: Completions,
    pub counters: Counters,
    pub pool: Pool,
    pub native: Native,
    /// Operations that wait for room in the kernel's queue.
    backlog: List,
    deadlines: Deadlines,
    /// Places that submits under way have set aside; part of `counters.inflight`.
    pub set_aside: u32,
    /// Syncs that run or are queued, and who waits for them.
    pub syncs: Vec<Group>,
    pub sync_pace: SyncPace,
    /// The poller, once there is one.
    pub poller: Option<Arc<Ends>>,
    /// Stream operations on their way to the poller.
    pub inbox: List,
    /// Stream operations that the poller must stop.
    pub stopped: Vec<Token>,
    /// The poller has to look here.
    poke: bool,
    /// It was told so.
    pub poked: bool,
    /// The time that the poller's timer is set to.
    armed: Option<u64>,
    pub workers: Vec<Worker>,
    /// How waiting busily for work went.
    pub idle_spin: Spin,
    /// How waiting busily for events went.
    pub event_spin: Spin,
    pub worker_ids: u64,
    hit_rate: Arc<HitRate>,
    held: Arc<Held>,
    /// The context is being freed.
    pub closing: bool,
    /// Scratch memory of submits, used again.
    #[allow(clippy::vec_box)] // moved in and out at every submit
    pub spare: Vec<Box<Batch>>,
    /// Edge-triggered watchers of the descriptor, used again.
    pub spare_epolls: Vec<Epoll>,
}

/// Who finished an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    Submit,
    Kernel,
    Worker,
}

/// What is to be done once the lock is free.
pub struct Chores {
    /// The descriptor must be told of events.
    notice: bool,
    staffing: Staffing,
    flush: Flush,
    /// Look again afterwards: operations wait for the room that the flush makes.
    again: bool,
    poke: bool,
    /// A worker waits busily for what was queued.
    nudge: bool,
}

impl State {
    pub fn new(max_requests: u32, workers: u32, done: Completions, native: Native, router: &Router) -> Result<Self> {
        const EARLY: usize = 64;
        let mut spare = room(EARLY)?;
        spare.push(Batch::new()?);
        Ok(Self {
            slab: Slab::new(max_requests as usize)?,
            done,
            counters: Counters::default(),
            pool: Pool::new(workers),
            native,
            backlog: List::new(),
            deadlines: Deadlines::default(),
            set_aside: 0,
            syncs: room(EARLY)?,
            sync_pace: SyncPace::default(),
            poller: None,
            inbox: List::new(),
            stopped: room(EARLY)?,
            poke: false,
            poked: false,
            armed: None,
            workers: room(workers.min(EARLY as u32) as usize)?,
            idle_spin: Spin::default(),
            event_spin: Spin::default(),
            worker_ids: 0,
            hit_rate: router.hit_rate(),
            held: router.held(),
            closing: false,
            spare,
            spare_epolls: Vec::new(),
        })
    }

    /// Notes an event, counts it, and frees the slot; then the chain goes on or breaks.
    pub fn finish(&mut self, index: u32, result: i64, by: By) {
        let slot = &self.slab[index];
        let (op, next) = (slot.op, slot.next);
        self.note(&op, result, by);
        self.slab.release(index);
        if next != NONE {
            if op.succeeded_in_full(result) && !self.closing {
                self.start(next);
            } else {
                self.break_chain(next, CANCELED);
            }
        }
    }

    /// The event of an operation that has no slot any more.
    pub fn note(&mut self, op: &Op, result: i64, by: By) {
        self.counters.completed += 1;
        match by {
            _ if result == CANCELED.as_result() => self.counters.cancelled += 1,
            By::Submit => self.counters.done_inline += 1,
            By::Kernel => self.counters.done_native += 1,
            By::Worker => self.counters.done_worker += 1,
        }
        let opened = op.code == Code::Openat && result >= 0;
        self.done.push(Event { user_data: op.user_data, result }, opened);
    }

    /// `first`, a waiting member, and those behind it never start.
    fn break_chain(&mut self, first: u32, errno: Errno) {
        let (mut index, mut errno) = (first, errno);
        while index != NONE {
            let (op, next) = (self.slab[index].op, self.slab[index].next);
            self.sync_came(index, &op);
            self.note(&op, errno.as_result(), By::Worker);
            self.slab.release(index);
            (index, errno) = (next, CANCELED);
        }
    }

    /// A waiting member's turn has come. Workers run chains, so that they go on without anybody polling.
    fn start(&mut self, index: u32) {
        self.slab[index].before = NONE;
        self.begin_deadline(index);
        if !self.joins_sync(index) {
            let class = class_of(&self.slab[index].op);
            self.pool.queue_first(&mut self.slab, index, class);
        }
        let op = self.slab[index].op;
        self.sync_came(index, &op);
    }

    pub fn send_to_worker(&mut self, index: u32) {
        if self.joins_sync(index) {
            return;
        }
        let class = class_of(&self.slab[index].op);
        self.pool.queue(&mut self.slab, index, class);
    }

    /// Sends an operation to a worker after another way said that it cannot.
    fn retry_on_worker(&mut self, index: u32) {
        self.slab[index].retried = true;
        self.counters.retried += 1;
        self.send_to_worker(index);
    }

    pub fn send_to_poller(&mut self, index: u32) {
        self.slab[index].place = Place::Stream;
        self.inbox.push_back(&mut self.slab, index);
        self.poke = true;
        if let Some(errno) = self.slab[index].stop {
            self.stop_stream(index, errno);
        }
    }

    pub fn send_to_native(&mut self, index: u32) {
        let token = self.slab.token(index).0;
        let slot = &mut self.slab[index];
        if self.native.push(token, &slot.op, slot.moved) {
            slot.place = Place::Native;
            slot.held = slot.op.code.transfers() && self.held.comes(slot.op.fd, slot.op.code.reads());
        } else if self.native.works() {
            slot.place = Place::Backlog;
            self.backlog.push_back(&mut self.slab, index);
        } else {
            self.send_to_worker(index);
        }
    }

    /// Starts the clock of an operation that has a timeout. CLOSE is left alone: of its results only ECANCELED means that
    /// the number is still open.
    pub fn begin_deadline(&mut self, index: u32) {
        let Op { timeout_ns: timeout, code, .. } = self.slab[index].op;
        if timeout == 0 || code == Code::Close {
            return;
        }
        let at = timerfd::now().saturating_add(timeout);
        self.deadlines.add(at, self.slab.token(index), &self.slab);
        if self.armed.is_none_or(|armed| at < armed) {
            self.arm();
        }
    }

    /// Sets the timer to the earliest deadline.
    fn arm(&mut self) {
        self.armed = self.deadlines.first();
        if let Some(poller) = &self.poller {
            poller.timer.arm(self.armed);
        }
    }

    /// Stops the operations whose time is over.
    pub fn expire(&mut self) {
        let now = timerfd::now();
        while let Some(token) = self.deadlines.expired(now) {
            if let Some(index) = self.slab.find(token) {
                self.stop(index, Errno(libc::ETIMEDOUT));
            }
        }
        self.arm();
    }

    /// Asks for an operation to stop, with `errno` as its result if that is in time.
    pub fn stop(&mut self, index: u32, errno: Errno) {
        let slot = &mut self.slab[index];
        let again = slot.stop.is_some();
        let errno = *slot.stop.get_or_insert(errno);
        match slot.place {
            Place::Free | Place::Running | Place::Opening => {}
            Place::Waiting => {
                let before = slot.before;
                self.slab[before].next = NONE;
                self.break_chain(index, errno);
            }
            Place::Queued(class) => {
                self.pool.unqueue(&mut self.slab, index, class);
                self.sync_is_off(index);
                self.finish_stopped(index, errno);
            }
            Place::Grouped => {
                self.leaves_sync(index);
                self.finish_stopped(index, errno);
            }
            Place::Backlog => {
                self.backlog.remove(&mut self.slab, index);
                self.finish_stopped(index, errno);
            }
            Place::OpeningBlocked => self.finish(index, errno.as_result(), By::Worker),
            // The poller was told: that often, and others could ask faster than it answers.
            Place::Stream if again => {}
            Place::Stream => self.stop_stream(index, errno),
            Place::Native => self.native.cancel(self.slab.token(index).0),
        }
    }

    fn stop_stream(&mut self, index: u32, errno: Errno) {
        self.slab[index].stop = Some(errno);
        self.stopped.push(self.slab.token(index));
        self.poke = true;
    }

    pub fn finish_stopped(&mut self, index: u32, errno: Errno) {
        let slot = &self.slab[index];
        let result = stopped_result(&slot.op, slot.moved, errno);
        self.finish(index, result, By::Worker);
    }

    /// Takes in all that the kernel finished, without clearing the descriptor, which may show it for a while.
    /// True if there was something.
    pub fn reap(&mut self) -> bool {
        let any = self.native.has_completions() && self.reap_all();
        if any {
            self.done.is_stale();
        }
        any
    }

    /// Clears the descriptor and takes in all that the kernel finished.
    pub fn clear_and_reap(&mut self) {
        self.done.clear();
        if self.reap_all() && !self.native.signals_first() {
            self.done.is_stale();
        }
    }

    fn reap_all(&mut self) -> bool {
        let mut any = false;
        while let Some((token, result)) = self.native.pop() {
            any = true;
            if let Some(index) = self.slab.find(Token(token)) {
                self.native_done(index, result);
            }
        }
        any
    }

    fn native_done(&mut self, index: u32, result: i64) {
        let (op, moved, stop, retried) = {
            let slot = &mut self.slab[index];
            // In nobody's hands until it goes on somewhere.
            slot.place = Place::Running;
            if std::mem::take(&mut slot.held) {
                self.held.goes(slot.op.fd);
            }
            (slot.op, slot.moved, slot.stop, slot.retried)
        };
        if let Ok(more) = u64::try_from(result) {
            return self.native_moved(index, &op, moved, more);
        }
        let errno = Errno(-result as i32);
        if errno.0 == libc::EAGAIN {
            self.hit_rate.miss();
        }
        match stop {
            Some(wish) if matches!(errno.0, libc::ECANCELED | libc::EINTR | libc::EAGAIN) => {
                self.finish(index, stopped_result(&op, moved, wish), By::Kernel);
            }
            _ if !retried && worth_a_second_way(errno) => self.retry_on_worker(index),
            _ => self.finish(index, crate::backend::threads::ended(&op, moved, errno), By::Kernel),
        }
    }

    fn native_moved(&mut self, index: u32, op: &Op, moved: u64, more: u64) {
        let total = moved + more;
        let done = more == 0 || !op.code.transfers() || total >= op.wanted();
        // Kernel AIO was told not to wait, so that a short read may only be the end of what was cached; io_uring gives up
        // what a thread left half done when it exited.
        let may_be_short = total < op.wanted()
            && match self.native {
                Native::Aio(_) => op.code.reads(),
                Native::Uring(_) => op.code.transfers() && more > 0,
                Native::None => false,
            };
        if !may_be_short && (done || !op.full) {
            return self.finish(index, total as i64, By::Kernel);
        }
        self.slab[index].moved = total;
        match self.slab[index].stop {
            Some(errno) => self.finish_stopped(index, errno),
            None if op.code.vectored() || matches!(self.native, Native::Aio(_)) => self.retry_on_worker(index),
            None => self.send_to_native(index),
        }
    }

    /// Moves events out as `caio_ctx_poll` does. The caller's chores tell the descriptor what is left.
    pub fn take(&mut self, sink: &mut impl Sink) -> u32 {
        if self.native.is_muted() {
            // Of these the descriptor has not heard.
            self.reap_all();
            self.native.unmute();
        }
        if self.native.has_completions() || self.done.clear_is_due(sink.room()) {
            self.clear_and_reap();
        }
        let count = self.done.take(sink);
        self.counters.inflight -= count;
        count
    }

    /// How many events wait; with none, the descriptor is clear.
    pub fn collect(&mut self) -> usize {
        if self.native.has_completions() || self.done.is_empty() {
            self.clear_and_reap();
        }
        self.done.len()
    }

    /// Pushed, and not handed to the kernel yet.
    pub fn has_unsent(&mut self) -> bool {
        self.native.has_unsent() || !self.backlog.is_empty()
    }

    /// Drops all events and the descriptors in them.
    pub fn discard(&mut self, close: impl FnMut(RawFd)) {
        self.counters.inflight -= self.done.discard(close);
    }

    fn refill(&mut self) {
        while let Some(index) = self.backlog.pop_front(&mut self.slab) {
            let before = self.backlog.len();
            self.send_to_native(index);
            if self.backlog.len() > before {
                // No room: back to the front, where it came from.
                self.backlog.remove(&mut self.slab, index);
                self.backlog.push_front(&mut self.slab, index);
                return;
            }
        }
    }

    /// What the lock's holder must do after giving it back. Unless `silent`, the descriptor hears of new events.
    pub fn chores(&mut self, silent: bool) -> Chores {
        self.refill();
        if silent && self.native.has_unsent() {
            self.native.mute();
        }
        let flush = self.native.flush();
        self.chores_beside(silent, flush)
    }

    /// The same for a worker, which leaves the kernel's queue alone: io_uring finishes some operations in the thread that
    /// submitted them, and a worker's next system call may be a long, uninterruptible sleep. Whoever pushed flushes.
    pub fn worker_chores(&mut self) -> Chores {
        self.chores_beside(false, Flush::Nothing)
    }

    fn chores_beside(&mut self, silent: bool, flush: Flush) -> Chores {
        let notice = !silent && self.done.tell();
        let poke = std::mem::take(&mut self.poke) && self.poller.is_some() && !std::mem::replace(&mut self.poked, true);
        let nudge = self.pool.has_work_for_spinner();
        Chores {
            notice,
            staffing: self.pool.staff(),
            again: !flush.is_nothing() && !self.backlog.is_empty(),
            flush,
            poke,
            nudge,
        }
    }

    /// Hears what the kernel refused.
    fn flushed(&mut self, flush: Flush) {
        let Self { native, slab, pool, counters, held, .. } = self;
        native.flushed(flush, |token| {
            if let Some(index) = slab.find(Token(token)) {
                if std::mem::take(&mut slab[index].held) {
                    held.goes(slab[index].op.fd);
                }
                slab[index].retried = true;
                counters.retried += 1;
                let class = class_of(&slab[index].op);
                pool.queue(slab, index, class);
            }
        });
    }
}

impl Chores {
    pub fn is_nothing(&self) -> bool {
        !self.notice
            && self.staffing == Staffing::Enough
            && self.flush.is_nothing()
            && !self.again
            && !self.poke
            && !self.nudge
    }
}

impl Shared {
    /// Works on the state under its lock, then does the chores that arose.
    pub fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        self.with_silence(false, work)
    }

    /// The same for a worker.
    pub fn with_worker<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let answer = work(&mut state);
        let chores = state.worker_chores();
        drop(state);
        self.run(chores, false);
        answer
    }

    /// As [`Self::with`], but if `silent` the descriptor is not told of new events: the caller takes them at once.
    pub fn with_silence<R>(&self, silent: bool, work: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let answer = work(&mut state);
        let chores = state.chores(silent);
        drop(state);
        self.run(chores, silent);
        answer
    }

    pub fn run(&self, chores: Chores, silent: bool) {
        let mut next = Some(chores);
        while let Some(Chores { notice, staffing, mut flush, again, poke, nudge }) = next.take() {
            if notice {
                self.notice.make();
            }
            if nudge {
                self.queued.bump();
            }
            match staffing {
                Staffing::Enough => {}
                Staffing::Wake => self.work.notify_one(),
                Staffing::Start => self.start_worker(),
            }
            if poke {
                self.poke();
            }
            if flush.run() || again {
                let mut state = self.state.lock();
                state.flushed(flush);
                next = Some(state.chores(silent));
            }
        }
    }

    pub fn stats(&self) -> Counters {
        self.with(|state| {
            state.reap();
            state.counters
        })
    }
}

/// Which workers an operation may take.
pub fn class_of(op: &Op) -> Class {
    let synced = (libc::RWF_DSYNC | libc::RWF_SYNC) as u32;
    match op.code {
        Code::Nop | Code::Read | Code::Readv | Code::Statx => Class::Fast,
        Code::Write | Code::Writev if op.sys_flags & synced == 0 => Class::Fast,
        _ => Class::Slow,
    }
}

/// The result of an operation that was stopped after `moved` bytes. Bytes that left a stream are not dropped.
pub fn stopped_result(op: &Op, moved: u64, errno: Errno) -> i64 {
    if moved > 0 && op.at_current() { moved as i64 } else { errno.as_result() }
}

/// Whether the kernel's queue may mean itself by this error: the submitting thread ended, it would have blocked, it does
/// not know this kind of file. The plain call says what is true, except of the disk, which is not asked twice.
fn worth_a_second_way(errno: Errno) -> bool {
    !matches!(errno.0, libc::EIO | libc::ENOSPC | libc::EDQUOT | libc::EFBIG | libc::EROFS)
}
