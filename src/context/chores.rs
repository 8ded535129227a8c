//! System calls that follow a change of the state, and that must not run under its lock: they may take long or wake a thread.

use super::Shared;
use super::report::Fallback;
use super::state::State;
use crate::backend::Flush;
use crate::pool::Staffing;

/// The system calls to make once the lock is free.
pub struct Chores {
    /// Signal the descriptor.
    signal: bool,
    /// Finish the signal that was begun.
    begun_signal: bool,
    staffing: Staffing,
    flush: Flush,
    /// Check again afterwards: operations wait for room that the flush makes.
    again: bool,
    poke: bool,
    /// A worker spins for what was queued.
    nudge: bool,
    /// The sentinel must check again how long it may sleep.
    rouse: bool,
}

impl State {
    /// Whether there may be chores.
    #[inline(always)]
    pub fn has_chores(&mut self, silent: bool) -> bool {
        !(silent || self.done.is_empty())
            || self.native.has_unsent()
            || !self.backlog.is_empty()
            || self.pool.is_in_use()
            || self.poke
    }

    /// The chores of the thread that holds the lock. Unless `silent`, it signals the descriptor for new events.
    pub fn chores(&mut self, silent: bool) -> Chores {
        self.refill();
        if silent && self.native.has_unsent() {
            self.native.mute();
        }
        let flush = self.native.flush();
        let staffing = self.pool.staff();
        let begun_signal = !silent && self.done.begin_signal();
        Chores { begun_signal, ..self.chores_beside(false, staffing, flush) }
    }

    /// The same for a worker, which does not flush: io_uring completes some operations in the thread that submitted them,
    /// and the next system call of a worker may be a long, uninterruptible sleep. The thread that pushed flushes.
    pub fn worker_chores(&mut self) -> Chores {
        self.chores_of_worker(false)
    }

    /// If the sentinel or this worker (`checks_soon`) checks again soon, this skips the signals for intermediate steps of a
    /// chain.
    pub fn chores_of_worker(&mut self, checks_soon: bool) -> Chores {
        let staffing = self.pool.staff();
        let signal = if checks_soon || self.pool.has_sentinel() {
            self.done.request_urgent_signal()
        } else {
            self.done.request_signal()
        };
        self.chores_beside(signal, staffing, Flush::Nothing)
    }

    fn chores_beside(&mut self, signal: bool, staffing: Staffing, flush: Flush) -> Chores {
        let poke = std::mem::take(&mut self.poke) && self.poller.is_some() && !std::mem::replace(&mut self.poked, true);
        let nudge = self.pool.has_work_for_spinner();
        Chores {
            signal,
            begun_signal: false,
            staffing,
            again: !flush.is_nothing() && !self.backlog.is_empty(),
            flush,
            poke,
            nudge,
            rouse: self.pool.rouses_sentinel(),
        }
    }
}

impl Chores {
    #[inline(always)]
    pub fn is_nothing(&self) -> bool {
        !self.signal
            && !self.begun_signal
            && self.staffing == Staffing::Enough
            && self.flush.is_nothing()
            && !self.again
            && !self.poke
            && !self.nudge
            && !self.rouse
    }
}

impl Shared {
    /// Changes the state under its lock, then does the chores.
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

    /// As [`Self::with`], but if `silent`, without signalling the descriptor: the caller takes the new events at once.
    pub fn with_silence<R>(&self, silent: bool, work: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let answer = work(&mut state);
        if state.has_chores(silent) {
            let chores = state.chores(silent);
            drop(state);
            self.run(chores, silent);
        }
        answer
    }

    #[inline(always)]
    pub fn run(&self, mut chores: Chores, silent: bool) {
        while !chores.is_nothing() {
            self.run_beside(&chores);
            if !chores.flush.run() && !chores.again {
                return;
            }
            let mut state = self.state.lock();
            state.flushed(chores.flush);
            let failed = !state.native.works();
            chores = state.chores(silent);
            drop(state);
            if failed {
                self.tell_of_no_queue();
            }
        }
    }

    #[cold]
    fn tell_of_no_queue(&self) {
        self.report
            .fell_back(Fallback::Queue, format_args!("the kernel's queue failed: worker threads run all from now on"));
    }

    /// All but the flush.
    fn run_beside(&self, chores: &Chores) {
        if chores.signal {
            self.notifier.signal();
        }
        if chores.begun_signal {
            self.notifier.finish_signal();
        }
        if chores.nudge {
            self.queued.advance();
        }
        match chores.staffing {
            Staffing::Enough => {}
            Staffing::Wake(count) => (0..count).for_each(|_| self.work.notify_one()),
            Staffing::Start => self.start_worker(),
            Staffing::CallSentinel => self.watch.notify_one(),
        }
        if chores.rouse {
            self.watch.notify_one();
        }
        if chores.poke {
            self.poke();
        }
    }
}
