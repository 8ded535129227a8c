//! What must be done after a change of the state, without its lock: system calls that may take long or wake somebody.

use super::Shared;
use super::pool::Staffing;
use super::state::State;
use crate::backend::Flush;

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
}
