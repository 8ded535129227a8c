//! The loop's callback: collects events, wakes their tasks, submits what these ask for next.

use std::time::Instant;

use super::*;
use crate::in_flight::Completed;
use crate::pace::BUDGET;

impl LoopState {
    pub(super) fn run_turn(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        let mut locked = this.locked();
        locked.scheduled = false;
        if std::mem::replace(&mut locked.in_turn, true) {
            return Ok(());
        }
        locked.pace.loop_ran();
        drop(locked);
        let more = Self::work(slf);
        this.locked().in_turn = false;
        if !matches!(more, Ok(false)) {
            Self::schedule_unless_in_turn(slf)?;
        }
        Self::wind_down(slf)?;
        more.map(|_| ())
    }

    /// True if work is left when the time is up.
    fn work(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        let started = Instant::now();
        loop {
            let mut events = room::<BATCH>();
            let events = this.core.ctx.poll(&mut events).map_err(|errno| this.failure(py, errno))?;
            this.handle(py, events.iter().copied());
            this.run_wakes(py)?;
            Self::send_queued(slf)?;
            let resumed = this.resume_one(py)?;
            let woken = !this.locked().woken.is_empty();
            if !resumed && !woken && events.len() < BATCH {
                return Ok(false);
            }
            if started.elapsed() > BUDGET {
                return Ok(true);
            }
        }
    }

    /// Handles events: notes which tasks to wake.
    pub(super) fn handle(&self, py: Python<'_>, events: impl IntoIterator<Item = Completion>) {
        for event in events {
            // SAFETY: an event of this context, which comes once; its object is in a set until it is handled.
            match unsafe { Completed::of_event(py, event) } {
                Completed::Async(coroutine, step) if std::ptr::eq(coroutine.get().loop_state(), self) => {
                    if let Some(result) = Coroutine::note_event(coroutine.bind(py), step, event.result) {
                        let wake = coroutine.get().complete(py, result);
                        drop(self.note_complete(coroutine.get(), wake));
                    }
                }
                other => self.core.deliver_to(py, other, event.result),
            }
        }
    }

    /// Another context's thread or callback has handled the event.
    pub fn completed_elsewhere(slf: &Bound<'_, Self>, coroutine: &Coroutine, wake: Option<Wake>) {
        drop(slf.get().note_complete(coroutine, wake));
        // It fails if the loop is closed: then no task waits.
        Self::schedule_threadsafe(slf).ok();
    }

    /// Returns a reference for the caller to drop.
    fn note_complete(&self, coroutine: &Coroutine, wake: Option<Wake>) -> Option<Py<Coroutine>> {
        let mut locked = self.locked();
        locked.woken.extend(wake);
        let held = locked.in_flight.remove(coroutine);
        if locked.reaping && locked.in_flight.is_empty() {
            // The reaper sleeps until then.
            self.core.ctx.wake().ok();
        }
        held
    }

    /// Resumes the task that was paused first. False if none is.
    fn resume_one(&self, py: Python<'_>) -> PyResult<bool> {
        let mut locked = self.locked();
        let Some(coroutine) = locked.paused.pop_front() else { return Ok(false) };
        locked.pace.task_begins();
        drop(locked);
        if let Some(wake) = coroutine.get().resume() {
            drop(coroutine);
            wake.run(py)?;
        }
        Ok(true)
    }

    fn run_wakes(&self, py: Python<'_>) -> PyResult<()> {
        let woken = std::mem::take(&mut self.locked().woken);
        let mut woken = woken.into_iter();
        while let Some(wake) = woken.next() {
            if let Err(error) = wake.run(py) {
                self.locked().woken.extend(woken);
                return Err(error);
            }
        }
        Ok(())
    }
}
