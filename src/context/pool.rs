//! Which workers there are and what they take next. Threads start one by one, under load only: who takes an operation
//! and leaves others behind wakes or starts the next worker.

use super::slab::{Class, List, Place, Slab};

/// Workers unless the caller says otherwise: cold reads gain up to here and lose beyond.
pub const DEFAULT_WORKERS: u32 = 32;

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
    /// Workers that were started and have not looked at the queues yet.
    starting: u32,
    /// Workers on an operation of the slow class.
    slow_running: u32,
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
            starting: 0,
            slow_running: 0,
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
        let slow = !self.slow.is_empty() && self.slow_room() > 0 && (self.slow_next || self.fast.is_empty());
        self.slow_next = !slow;
        let index = self.list(if slow { Class::Slow } else { Class::Fast }).pop_front(slab)?;
        self.slow_running += u32::from(slow);
        slab[index].place = Place::Running;
        Some(index)
    }

    pub fn done(&mut self, class: Class) {
        self.slow_running -= u32::from(class == Class::Slow);
        self.pause = self.pause.saturating_sub(1);
    }

    /// Any queued operation, for when nobody can run it.
    pub fn drain(&mut self, slab: &mut Slab) -> Option<u32> {
        self.fast.pop_front(slab).or_else(|| self.slow.pop_front(slab))
    }

    /// Whether a worker must be woken or started for what is queued. Counts it as done.
    pub fn staff(&mut self) -> Staffing {
        if self.runnable() <= self.woken + self.starting {
            Staffing::Enough
        } else if self.idle > 0 {
            self.idle -= 1;
            self.woken += 1;
            Staffing::Wake
        } else if self.live < self.limit + self.lent && (self.pause == 0 || self.live == 0) {
            self.live += 1;
            self.starting += 1;
            Staffing::Start
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
        self.fast.len() + self.slow.len().min(self.slow_room())
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
