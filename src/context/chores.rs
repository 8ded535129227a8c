//! What must be done after a change of the state, without its lock: system calls that may take long or wake somebody.

use super::Shared;
use super::pool::Staffing;
use super::state::State;
use crate::backend::Flush;

/// What is to be done once the lock is free.
pub struct Chores {
    /// The descriptor must be told of events.
    signal: bool,
    /// It is being told of them, by the caller.
    begun_signal: bool,
    staffing: Staffing,
    flush: Flush,
    /// Look again afterwards: operations wait for the room that the flush makes.
    again: bool,
    poke: bool,
    /// A worker waits busily for what was queued.
    nudge: bool,
    /// The sentinel must look anew.
    rouse: bool,
}

impl State {
    /// Whether there may be something to do.
    #[inline(always)]
    pub fn has_chores(&mut self, silent: bool) -> bool {
        !(silent || self.done.is_empty())
            || self.native.has_unsent()
            || !self.backlog.is_empty()
            || self.pool.is_in_use()
            || self.poke
    }

    /// What the lock's holder must do after giving it back. Unless `silent`, the descriptor hears of new events.
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

    /// The same for a worker, which leaves the kernel's queue alone: io_uring finishes some operations in the thread that
    /// submitted them, and a worker's next system call may be a long, uninterruptible sleep. Whoever pushed flushes.
    pub fn worker_chores(&mut self) -> Chores {
        self.chores_of_worker(false)
    }

    /// If somebody looks that it takes not long, the sentinel or the worker that `will_watch`, the descriptor does not hear
    /// of each step of a chain that goes on.
    pub fn chores_of_worker(&mut self, will_watch: bool) -> Chores {
        let staffing = self.pool.staff();
        let signal = if will_watch || self.pool.has_sentinel() {
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
            chores = state.chores(silent);
        }
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
            Staffing::Wake => self.work.notify_one(),
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
