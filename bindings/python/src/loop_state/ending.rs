//! The end of a loop state: its context is closed or dropped, or its loop is gone, while operations are in flight.
//!
//! Their memory stays in use until their events. The loop collects these as long as a task waits for one of them; else a
//! thread of ours does ([`reaper`]), as the loop may never run again.

use super::*;
use crate::descriptor::Descriptor;
use crate::in_flight::{Submitted, coroutine_user_data};
use crate::io::Io;
use crate::reaper;

impl LoopState {
    /// Accepts no more operations. Those in flight go on if the loop is running, else they are cancelled.
    pub fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        this.locked().closed = true;
        if this.forks != finalize::forks() {
            this.forget_parents_operations();
            return Ok(());
        }
        let Some(running) = this.ask_loop(py, "is_running") else {
            Self::abandon(slf);
            return Ok(());
        };
        if !running && !this.locked().is_idle() {
            this.cancel_all(py);
            return Self::hand_over(slf);
        }
        if running && !this.runs_here(py) {
            return Self::schedule_threadsafe(slf);
        }
        Self::wind_down(slf)
    }

    /// After each change: once a closed context has no task that waits, the loop is left alone.
    pub(super) fn wind_down(slf: &Bound<'_, Self>) -> PyResult<()> {
        let locked = slf.get().locked();
        let (closed, idle, awaited) = (locked.closed, locked.is_idle(), locked.closed && locked.is_awaited());
        drop(locked);
        match (closed, idle) {
            (true, true) => slf.get().unwatch(slf.py()),
            (true, false) if !awaited => Self::hand_over(slf),
            _ => Ok(()),
        }
    }

    /// Cancels an operation whose coroutine was given up.
    pub fn cancel(slf: &Bound<'_, Self>, coroutine: &Bound<'_, Coroutine>) {
        slf.get().cancel_steps(coroutine);
        if let Err(error) = Self::wind_down(slf) {
            error.write_unraisable(slf.py(), None);
        }
    }

    /// Closes a descriptor that no task wants. Without a loop that could submit it, the coroutine closes it when dropped.
    pub fn close_later(slf: &Bound<'_, Self>, fd: i32) {
        let (py, this) = (slf.py(), slf.get());
        let locked = this.locked();
        let orphaned = locked.loop_gone || locked.reaping;
        drop(locked);
        let Ok(coroutine) =
            crate::send::new(py, Coroutine::queued(slf.clone().unbind(), Io::close(Descriptor::of_library(fd))))
        else {
            return;
        };
        if orphaned {
            return;
        }
        this.locked().queue.push_back(coroutine);
        let scheduled =
            if this.runs_here(py) { Self::schedule_unless_in_turn(slf) } else { Self::schedule_threadsafe(slf) };
        if scheduled.is_err() {
            let queue = std::mem::take(&mut this.locked().queue);
            drop(queue);
        }
    }

    /// The loop is gone: tasks cannot be woken, so that all operations are cancelled.
    pub(super) fn abandon(slf: &Bound<'_, Self>) {
        let (py, this) = (slf.py(), slf.get());
        let mut locked = this.locked();
        (locked.loop_gone, locked.watched) = (true, false);
        if this.forks != finalize::forks() {
            drop(locked);
            return this.forget_parents_operations();
        }
        let never_submitted = (std::mem::take(&mut locked.queue), std::mem::take(&mut locked.paused));
        let woken = std::mem::take(&mut locked.woken);
        drop(locked);
        drop((never_submitted, woken));
        for coroutine in this.cancel_all(py) {
            coroutine.get().let_go();
        }
        // It fails only where it talks to the loop, which it does no more.
        Self::hand_over(slf).ok();
    }

    /// Returns the coroutines of what was in flight.
    fn cancel_all(&self, py: Python<'_>) -> Vec<Py<Coroutine>> {
        let in_flight: Vec<_> = self.locked().in_flight.iter().map(|coroutine| coroutine.clone_ref(py)).collect();
        for coroutine in &in_flight {
            self.cancel_steps(coroutine.bind(py));
        }
        in_flight
    }

    fn cancel_steps(&self, coroutine: &Bound<'_, Coroutine>) {
        for step in 0..coroutine.get().operations() {
            // It may be complete.
            self.core.ctx.cancel(coroutine_user_data(coroutine, step)).ok();
        }
    }

    /// From here on a thread collects the events, not the loop.
    fn hand_over(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let mut locked = this.locked();
        if locked.in_flight.is_empty() && !locked.is_awaited() {
            let given_up = (std::mem::take(&mut locked.queue), std::mem::take(&mut locked.paused));
            drop(locked);
            drop(given_up);
            return this.unwatch(py);
        }
        if locked.in_flight.is_empty() || std::mem::replace(&mut locked.reaping, true) {
            return Ok(());
        }
        drop(locked);
        let state = slf.clone().unbind();
        let started = !finalize::is_ending()
            && reaper::start(this.core.clone(), move |py, events| Self::reap(state.bind(py), events));
        if !started {
            this.locked().reaping = false;
            return Ok(());
        }
        this.unwatch(py)
    }

    /// The thread's work. True if these events were the last.
    fn reap(slf: &Bound<'_, Self>, events: &[Completion]) -> bool {
        let (py, this) = (slf.py(), slf.get());
        this.handle(py, events.iter().copied());
        let mut locked = this.locked();
        let (last, loop_gone) = (locked.in_flight.is_empty(), locked.loop_gone);
        let tasks_wait = !locked.woken.is_empty() || !locked.queue.is_empty();
        locked.reaping = !last;
        drop(locked);
        // It fails if the loop is closed: then no task waits.
        if tasks_wait && (loop_gone || Self::schedule_threadsafe(slf).is_err()) {
            let woken = std::mem::take(&mut this.locked().woken);
            drop(woken);
        }
        last
    }

    /// In a child of fork(2): the kernel uses the parent's memory, not this copy, and events come to the parent alone.
    fn forget_parents_operations(&self) {
        let mut locked = self.locked();
        let in_flight = std::mem::take(&mut locked.in_flight);
        let waiting = (std::mem::take(&mut locked.queue), std::mem::take(&mut locked.paused));
        drop(locked);
        drop((in_flight, waiting));
    }
}
