//! The worker threads of a context: how many there are, and what they do next. They start one by one, under load only: a
//! thread that takes an operation and leaves others behind wakes or starts the next worker.

mod pacing;
mod queue;
mod sentinel;

use std::time::Duration;

use self::pacing::Pacing;
use self::queue::{Limits, Queue};
use self::sentinel::Sentinel;
use crate::op::Op;
use crate::slab::{Class, Slab};

/// The default limit: cold reads become faster up to here, and slower beyond.
pub const DEFAULT_WORKERS: u32 = 32;

/// The workers that one thread wakes at once. They wake others.
const AT_ONCE: u32 = 4;

/// More threads than any machine has use for; keeps sums in range.
const MOST_WORKERS: u32 = 1 << 20;

pub struct Pool {
    queue: Queue,
    pacing: Pacing,
    sentinel: Sentinel,
    limit: u32,
    /// Workers that exist or are being started.
    live: u32,
    /// Workers that sleep and that no thread has woken yet.
    idle: u32,
    /// Workers that were woken and have not looked at the queue yet.
    woken: u32,
    /// Workers without work that will look at the queue in a moment.
    looking: u32,
    /// Workers that were started and have not looked at the queue yet.
    starting: u32,
    /// A worker spins for work.
    spinning: bool,
    /// Workers inside an open that blocks; they do not count against the limit.
    lent: u32,
    /// After a thread could not be started: operations that must end before the next attempt, unless no worker is left.
    pause: u32,
}

/// What a thread that queued or took an operation must do once the lock is free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Staffing {
    Enough,
    /// Wake this many workers.
    Wake(u32),
    Start,
    /// Only the sentinel is idle.
    CallSentinel,
}

impl Pool {
    pub fn new(limit: u32) -> Self {
        Self {
            queue: Queue::new(),
            pacing: Pacing::new(),
            sentinel: Sentinel::default(),
            limit: limit.clamp(1, MOST_WORKERS),
            live: 0,
            idle: 0,
            woken: 0,
            looking: 0,
            starting: 0,
            spinning: false,
            lent: 0,
            pause: 0,
        }
    }

    pub fn queue(&mut self, slab: &mut Slab, index: u32, class: Class) {
        self.queue.push_back(slab, index, class);
    }

    /// The next member of a chain whose last member just ended: it runs next, where its data is warm.
    pub fn queue_first(&mut self, slab: &mut Slab, index: u32, class: Class) {
        self.queue.push_front(slab, index, class);
    }

    pub fn unqueue(&mut self, slab: &mut Slab, index: u32, class: Class) {
        self.queue.remove(slab, index, class);
    }

    /// An operation for the calling worker, which it must give back with [`Self::done`].
    pub fn take(&mut self, slab: &mut Slab) -> Option<u32> {
        self.queue.take(slab, self.limits())
    }

    /// The same, if it is `index` and may start.
    pub fn take_this(&mut self, slab: &mut Slab, index: u32) -> Option<u32> {
        self.queue.take_this(slab, index, self.limits())
    }

    pub fn done(&mut self, class: Class) {
        self.pause = self.pause.saturating_sub(1);
        self.queue.done(class);
    }

    /// Any queued operation, for when no worker can run it.
    pub fn drain(&mut self, slab: &mut Slab) -> Option<u32> {
        self.queue.drain(slab)
    }

    /// Slow operations leave a quarter of the workers free for the others.
    fn limits(&self) -> Limits {
        let slow = (self.limit - (self.limit / 4).max(1)).max(1) + self.lent;
        Limits { fast: self.pacing.limit(), slow }
    }

    fn ready(&self) -> u32 {
        self.queue.ready(self.limits())
    }

    /// How long an operation of the fast class took.
    pub fn took(&mut self, op: &Op, time: Duration) {
        self.pacing.took(op.code.reads() || op.code.opens_fd(), op.len, time);
    }

    /// How many short-running operations are queued or running.
    pub fn short_running(&self) -> u32 {
        if self.pacing.is_short_running() { self.queue.fast() } else { 0 }
    }

    fn short_running_wait(&self) -> bool {
        self.pacing.is_short_running() && self.queue.fast_waits()
    }

    /// A sync waits for writes; with `recheck`, for a shorter time than the sentinel sleeps.
    pub fn holds_back(&mut self, recheck: bool) {
        self.sentinel.delays_sync(recheck);
    }

    pub fn lets_go(&mut self) {
        self.sentinel.releases_sync();
    }

    /// A worker ended an operation, and its chain went on.
    pub fn chain_goes_on(&mut self) {
        self.sentinel.chain_goes_on();
    }

    /// No chain goes on any more.
    pub fn chains_end(&mut self) {
        self.sentinel.chains_end();
    }

    /// Whether an idle worker should become the sentinel.
    pub fn takes_sentinel(&self) -> bool {
        self.sentinel.should_post(self.short_running_wait())
    }

    pub fn has_sentinel(&self) -> bool {
        self.sentinel.is_posted()
    }

    /// How many operations have ended, for [`Self::sentinel_goes`].
    pub fn sentinel_comes(&mut self) -> u64 {
        self.sentinel.posts();
        self.queue.fast_ended()
    }

    /// `timed_out`: no thread woke it.
    pub fn sentinel_goes(&mut self, ended: u64, timed_out: bool) {
        let stuck = self.sentinel.wakes(self.queue.fast_ended() != ended, timed_out);
        if stuck && self.short_running_wait() {
            self.pacing.is_stuck();
        }
    }

    /// True if the sentinel must be woken to check again how long it may sleep.
    pub fn rouses_sentinel(&mut self) -> bool {
        self.sentinel.takes_recheck()
    }

    /// True if the calling worker may spin for work; [`Self::spun`] follows.
    pub fn spins(&mut self) -> bool {
        // A counter with `n += u32::from(n == 0)` loses its store when optimized by rustc 1.95 (LLVM 22.1).
        !std::mem::replace(&mut self.spinning, true)
    }

    pub fn spun(&mut self) {
        self.spinning = false;
    }

    pub fn has_work_for_spinner(&self) -> bool {
        self.spinning && self.ready() > 0
    }

    /// Something is queued, or the sentinel may have something to do.
    #[inline(always)]
    pub fn is_in_use(&self) -> bool {
        !self.queue.is_empty() || self.sentinel.has_duties()
    }

    /// Whether a worker must be woken or started for what is queued. Counts it as done.
    #[inline(always)]
    pub fn staff(&mut self) -> Staffing {
        if self.is_in_use() { self.staff_queue() } else { Staffing::Enough }
    }

    fn staff_queue(&mut self) -> Staffing {
        let wanted = self.ready() + u32::from(self.sentinel.is_missing(self.short_running_wait()));
        if wanted == 0 || wanted <= self.on_their_way() {
            Staffing::Enough
        } else if self.idle > 0 {
            // Each one that wakes late delays its operation. Those that are short-running end meanwhile.
            let most = if self.pacing.is_short_running() { 1 } else { AT_ONCE };
            let count = (wanted - self.on_their_way()).min(self.idle).min(most);
            self.idle -= count;
            self.woken += count;
            Staffing::Wake(count)
        } else if self.live < self.limit + self.lent && (self.pause == 0 || self.live == 0) {
            self.live += 1;
            self.starting += 1;
            Staffing::Start
        } else if self.sentinel.is_posted() {
            self.sentinel.calls();
            Staffing::CallSentinel
        } else {
            Staffing::Enough
        }
    }

    /// Workers that will look at the queue without being woken.
    fn on_their_way(&self) -> u32 {
        self.woken + self.starting + self.looking + self.sentinel.called() + u32::from(self.spinning)
    }

    /// A worker that was started looks at the queue.
    pub fn started(&mut self) {
        self.starting -= 1;
    }

    /// A worker could not be started: those that live do its work. Another attempt at once would fail too.
    pub fn not_started(&mut self) {
        const PAUSE: u32 = 64;
        self.starting -= 1;
        self.pause = PAUSE;
    }

    pub fn sleeps(&mut self) {
        self.idle += 1;
    }

    /// A worker is awake: woken, or by itself. It does not matter which of several sleepers a wake-up was meant for.
    pub fn wakes(&mut self) {
        if self.woken > 0 {
            self.woken -= 1;
        } else {
            self.idle -= 1;
        }
    }

    /// A worker without work has something else to do first; [`Self::looks`] follows.
    pub fn looks_soon(&mut self) {
        self.looking += 1;
    }

    pub fn looks(&mut self) {
        self.looking -= 1;
    }

    pub fn leaves(&mut self) {
        self.live -= 1;
    }

    pub fn live(&self) -> u32 {
        self.live
    }

    pub fn lend(&mut self) {
        self.lent += 1;
    }

    pub fn unlend(&mut self) {
        self.lent -= 1;
    }

    /// More workers than the limit allows, as after a lent one came back.
    pub fn overstaffed(&self) -> bool {
        self.live > self.limit + self.lent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pool with `queued` slow operations in its queue.
    fn pool(limit: u32, queued: u64) -> (Pool, Slab) {
        let (mut pool, mut slab) = (Pool::new(limit), Slab::new(64).unwrap());
        for user_data in 0..queued {
            let index = slab.insert(Op::nop(user_data));
            pool.queue(&mut slab, index, Class::Slow);
        }
        (pool, slab)
    }

    /// Starts a worker, which takes an operation.
    fn start(pool: &mut Pool, slab: &mut Slab) {
        assert_eq!(pool.staff(), Staffing::Start);
        pool.started();
        assert!(pool.take(slab).is_some());
    }

    #[test]
    fn workers_start_one_by_one() {
        let (mut pool, mut slab) = pool(8, 3);
        assert_eq!(pool.staff(), Staffing::Start);
        assert_eq!(Pool::new(8).staff(), Staffing::Enough, "without work none starts");
        pool.started();
        assert!(pool.take(&mut slab).is_some());
        start(&mut pool, &mut slab);
        start(&mut pool, &mut slab);
        assert_eq!((pool.staff(), pool.live()), (Staffing::Enough, 3));
    }

    #[test]
    fn a_sleeping_worker_is_woken_before_another_starts() {
        let (mut pool, mut slab) = pool(8, 2);
        start(&mut pool, &mut slab);
        pool.done(Class::Slow);
        pool.sleeps();
        assert_eq!(pool.staff(), Staffing::Wake(1));
        assert_eq!(pool.staff(), Staffing::Enough, "it is on its way");
        pool.wakes();
        assert!(pool.take(&mut slab).is_some());
        assert_eq!(pool.live(), 1);
    }

    #[test]
    fn slow_operations_leave_workers_free() {
        let (mut pool, mut slab) = pool(8, 8);
        for _ in 0..6 {
            start(&mut pool, &mut slab);
        }
        assert_eq!((pool.staff(), pool.take(&mut slab)), (Staffing::Enough, None));
        let read = slab.insert(Op::nop(100));
        pool.queue(&mut slab, read, Class::Fast);
        assert_eq!(pool.staff(), Staffing::Start);
        assert_eq!(pool.take(&mut slab), Some(read));
    }

    #[test]
    fn an_open_that_blocks_does_not_count_against_the_limit() {
        let (mut pool, mut slab) = pool(1, 2);
        start(&mut pool, &mut slab);
        assert_eq!(pool.staff(), Staffing::Enough);
        pool.lend();
        start(&mut pool, &mut slab);
        pool.unlend();
        assert!(pool.overstaffed());
    }

    #[test]
    fn a_thread_that_cannot_start_is_not_asked_for_again_at_once() {
        let (mut pool, mut slab) = pool(8, 64);
        start(&mut pool, &mut slab);
        assert_eq!(pool.staff(), Staffing::Start);
        pool.not_started();
        pool.leaves();
        assert_eq!(pool.staff(), Staffing::Enough);
        pool.leaves();
        assert_eq!(pool.staff(), Staffing::Start, "no worker is left");
    }
}
