//! Which workers there are and what they take next. Threads start one by one, under load only: who takes an operation
//! and leaves others behind wakes or starts the next worker.

use std::time::Duration;

use super::slab::{Class, List, Place, Slab};
use super::spin;
use crate::op::Op;

/// Workers unless the caller says otherwise: cold reads gain up to here and lose beyond.
pub const DEFAULT_WORKERS: u32 = 32;

/// Writes that take no longer, on average, are not worth another worker's waking.
const BRISK_WRITE: Duration = Duration::from_micros(100);

/// Reads that take no longer come from the page cache: the fastest disks take thrice that. And so much for each KiB.
const BRISK_READ: Duration = Duration::from_micros(20);
const COPY_KIB: Duration = Duration::from_nanos(200);

/// An operation that takes just as long as a brisk one may.
const LONGEST: u64 = 1024;

/// Writes until one worker is let alone again, doubled with each time that it was in vain, so often.
const RETRY_AFTER: u32 = 64;
const RAREST: u32 = 6;

/// More threads than any machine has use for; keeps sums in range.
const MOST_WORKERS: u32 = 1 << 20;

pub struct Pool {
    fast: List,
    slow: List,
    /// Whose turn it is when both queues have some.
    slow_next: bool,
    limit: u32,
    /// Workers that exist or are being started.
    live: u32,
    /// Workers asleep for want of work, and nobody has woken them yet.
    idle: u32,
    /// Workers that were woken and have not looked at the queues yet.
    woken: u32,
    /// Workers without work that look at the queues in a moment.
    looking: u32,
    /// Workers that were started and have not looked at the queues yet.
    starting: u32,
    /// Workers on an operation of the fast class.
    fast_running: u32,
    /// Workers on an operation of the slow class.
    slow_running: u32,
    /// A worker waits busily for work.
    spinning: bool,
    /// Syncs that let writes go first.
    held_back: u32,
    /// A worker sleeps lightly, to step in should what others wait for be held up.
    sentinel: bool,
    /// Operations ended while it slept last.
    lively: bool,
    /// It was called to work and has not come yet.
    called: u32,
    /// It must look anew how long it may sleep.
    rouse: bool,
    /// Chains that went on in workers, while that has not stopped.
    chains: u32,
    /// What an operation took of late, when few workers were at it; [`LONGEST`] is as long as it may.
    pace: u64,
    /// So many workers at once for brisk ones of the kind that was last seen.
    width: u32,
    /// Writes since one worker was last let alone with them, and how often that was in vain.
    untried: u32,
    retries: u32,
    /// Operations of the fast class that ended.
    ended: u64,
    /// Workers inside an open that waits for somebody else; they do not count against the limit.
    lent: u32,
    /// After a thread could not be had: operations to be done before the next is asked for, unless there is none at all.
    pause: u32,
}

/// What whoever queued or took an operation must do once the lock is free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Staffing {
    Enough,
    Wake,
    Start,
    /// Only the sentinel is free.
    CallSentinel,
}

impl Pool {
    pub fn new(limit: u32) -> Self {
        let (fast, slow) = (List::new(), List::new());
        Self {
            fast,
            slow,
            slow_next: false,
            limit: limit.clamp(1, MOST_WORKERS),
            live: 0,
            idle: 0,
            woken: 0,
            looking: 0,
            starting: 0,
            fast_running: 0,
            slow_running: 0,
            spinning: false,
            held_back: 0,
            sentinel: false,
            lively: false,
            called: 0,
            rouse: false,
            chains: 0,
            pace: 0,
            width: 1,
            untried: 0,
            retries: 0,
            ended: 0,
            lent: 0,
            pause: 0,
        }
    }

    pub fn queue(&mut self, slab: &mut Slab, index: u32, class: Class) {
        slab[index].place = Place::Queued(class);
        self.list(class).push_back(slab, index);
    }

    /// The next member of a chain whose last member just ended: it runs next, where its data is warm.
    pub fn queue_first(&mut self, slab: &mut Slab, index: u32, class: Class) {
        slab[index].place = Place::Queued(class);
        self.list(class).push_front(slab, index);
    }

    pub fn unqueue(&mut self, slab: &mut Slab, index: u32, class: Class) {
        self.list(class).remove(slab, index);
    }

    /// An operation for the calling worker, which it must give back with [`Self::done`].
    pub fn take(&mut self, slab: &mut Slab) -> Option<u32> {
        let fast = self.fast_room() > 0;
        let slow = self.slow_room() > 0 && !self.slow.is_empty() && (self.slow_next || !fast);
        if !fast && !slow {
            return None;
        }
        self.slow_next = !slow;
        let index = self.list(if slow { Class::Slow } else { Class::Fast }).pop_front(slab)?;
        self.slow_running += u32::from(slow);
        self.fast_running += u32::from(!slow);
        slab[index].place = Place::Running;
        Some(index)
    }

    pub fn done(&mut self, class: Class) {
        self.pause = self.pause.saturating_sub(1);
        match class {
            Class::Slow => self.slow_running -= 1,
            Class::Fast => {
                self.fast_running -= 1;
                self.ended += 1;
            }
        }
    }

    /// How long an operation of the fast class took, by which the next ones are staffed. Many at once wait for each other,
    /// so that only what few workers did counts; and now and then few are let alone to see.
    pub fn took(&mut self, op: &Op, time: Duration) {
        if !self.is_brisk() {
            self.untried += 1;
            if self.untried >> self.retries.min(RAREST) >= RETRY_AFTER {
                (self.untried, self.retries) = (0, self.retries + 1);
                self.pace = LONGEST / 2;
            }
            return;
        }
        let reads = op.code.reads();
        let may_take = if reads { BRISK_READ + COPY_KIB * (op.len >> 10).min(1 << 10) as u32 } else { BRISK_WRITE };
        self.width = if reads { spin::cores().saturating_sub(1).max(1) } else { 1 };
        // A single one may have been interrupted for long.
        let pace = (time.as_nanos() as u64 * LONGEST / may_take.as_nanos() as u64).min(LONGEST * 4);
        self.pace = (self.pace * 7 + pace) / 8;
        if self.pace < LONGEST / 4 {
            self.retries = 0;
        }
    }

    /// Operations that the page cache does in a few microseconds: a worker that wakes for one takes longer. Writes go one
    /// after the other (the file systems lock the file), reads on as many processors as the caller leaves.
    fn is_brisk(&self) -> bool {
        self.pace < LONGEST
    }

    /// How many operations the worker on brisk work has before it.
    pub fn brisk_work(&self) -> u32 {
        if self.is_brisk() { self.fast.len() + self.fast_running } else { 0 }
    }

    /// Work waits for the worker on brisk work, syncs for writes, or chains go on without the descriptor's hearing of each
    /// step: somebody must look whether they are held up.
    fn wants_sentinel(&self) -> bool {
        const OFTEN: u32 = 8;
        self.held_back > 0 || self.chains >= OFTEN || self.has_brisk_backlog()
    }

    fn has_brisk_backlog(&self) -> bool {
        self.is_brisk() && self.fast_running > 0 && !self.fast.is_empty()
    }

    /// A sync lets writes go first; the sentinel's sleep may have become too long for that.
    pub fn holds_back(&mut self, rouse: bool) {
        self.held_back += 1;
        self.rouse |= rouse;
    }

    pub fn lets_go(&mut self) {
        self.held_back -= 1;
    }

    /// A worker ended an operation, and its chain went on.
    pub fn chain_goes_on(&mut self) {
        self.chains = self.chains.saturating_add(1);
    }

    /// No chain goes on any more.
    pub fn chains_end(&mut self) {
        self.chains = 0;
    }

    /// A worker must become the sentinel.
    fn needs_sentinel(&self) -> bool {
        !self.sentinel && self.wants_sentinel()
    }

    /// A worker that has nothing to do should be the sentinel: also where it was wanted a moment ago, as it will be again.
    pub fn takes_sentinel(&self) -> bool {
        !self.sentinel && (self.lively || self.wants_sentinel())
    }

    pub fn has_sentinel(&self) -> bool {
        self.sentinel
    }

    /// Operations that ended so far; for [`Self::sentinel_goes`].
    pub fn sentinel_comes(&mut self) -> u64 {
        self.sentinel = true;
        self.ended
    }

    /// `in_time`: nobody woke it.
    pub fn sentinel_goes(&mut self, ended: u64, in_time: bool) {
        // If there are two of them, which one was called is all the same.
        if self.called > 0 {
            self.called -= 1;
        } else {
            self.sentinel = false;
        }
        self.lively = self.ended != ended;
        if in_time && !self.lively {
            self.chains_end();
            if self.has_brisk_backlog() {
                self.pace = LONGEST;
            }
        }
    }

    /// True if the sentinel must be woken to look anew.
    pub fn rouses_sentinel(&mut self) -> bool {
        std::mem::take(&mut self.rouse) && self.sentinel
    }

    /// True if the calling worker may wait busily for work; [`Self::spun`] afterwards.
    pub fn spins(&mut self) -> bool {
        // A counter with `n += u32::from(n == 0)` loses its store when optimized by rustc 1.95 (LLVM 22.1).
        !std::mem::replace(&mut self.spinning, true)
    }

    pub fn spun(&mut self) {
        self.spinning = false;
    }

    /// A worker that waits busily must be told of work.
    pub fn has_work_for_spinner(&self) -> bool {
        self.spinning && self.runnable() > 0
    }

    /// Any queued operation, for when nobody can run it.
    pub fn drain(&mut self, slab: &mut Slab) -> Option<u32> {
        self.fast.pop_front(slab).or_else(|| self.slow.pop_front(slab))
    }

    /// Something is queued, or somebody may have to look after what is not.
    #[inline(always)]
    pub fn is_in_use(&self) -> bool {
        !self.fast.is_empty() || !self.slow.is_empty() || self.held_back > 0 || self.chains > 0 || self.rouse
    }

    /// Whether a worker must be woken or started for what is queued. Counts it as done.
    pub fn staff(&mut self) -> Staffing {
        let sentinel = u32::from(self.needs_sentinel());
        let wanted = self.runnable() + sentinel;
        if wanted == 0 || wanted <= self.woken + self.starting + self.looking + self.called + u32::from(self.spinning) {
            Staffing::Enough
        } else if self.idle > 0 {
            self.idle -= 1;
            self.woken += 1;
            Staffing::Wake
        } else if self.live < self.limit + self.lent && (self.pause == 0 || self.live == 0) {
            self.live += 1;
            self.starting += 1;
            Staffing::Start
        } else if self.sentinel {
            self.sentinel = false;
            self.called += 1;
            Staffing::CallSentinel
        } else {
            Staffing::Enough
        }
    }

    /// A worker that was started looks at the queues.
    pub fn started(&mut self) {
        self.starting -= 1;
    }

    /// A worker could not be started: those that live do its work. Asking again at once would fail again.
    pub fn not_started(&mut self) {
        const PAUSE: u32 = 64;
        self.starting -= 1;
        self.pause = PAUSE;
    }

    pub fn sleeps(&mut self) {
        self.idle += 1;
    }

    /// A worker is awake again: woken, or by itself. Which of several sleepers a wake-up was meant for is all the same.
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

    /// More workers than the limit allows, as when a lent one came back.
    pub fn overstaffed(&self) -> bool {
        self.live > self.limit + self.lent
    }

    /// Queued operations that a worker may take now.
    fn runnable(&self) -> u32 {
        let slow = self.slow.len();
        self.fast_room() + if slow == 0 { 0 } else { slow.min(self.slow_room()) }
    }

    /// Fast operations that may be begun now.
    fn fast_room(&self) -> u32 {
        let most = if self.is_brisk() { self.width.saturating_sub(self.fast_running) } else { u32::MAX };
        self.fast.len().min(most)
    }

    /// Slow operations leave a quarter of the workers free for the rest.
    fn slow_room(&self) -> u32 {
        let most = (self.limit - (self.limit / 4).max(1)).max(1);
        (most + self.lent).saturating_sub(self.slow_running)
    }

    fn list(&mut self, class: Class) -> &mut List {
        match class {
            Class::Fast => &mut self.fast,
            Class::Slow => &mut self.slow,
        }
    }
}
