//! Submitting: one operation when its coroutine is awaited, the queue when there is room, a chain as a whole.

use super::*;
use crate::in_flight::coroutine_user_data;
use crate::pace::Verdict;

impl LoopState {
    /// Starts an operation. If it completes immediately, its result is returned.
    pub fn begin(slf: &Bound<'_, Self>, coroutine: &Bound<'_, Coroutine>) -> PyResult<Begun> {
        let this = slf.get();
        this.check_loop(slf.py())?;
        let mut locked = this.locked();
        this.check_open(&locked)?;
        let idle = locked.in_flight.is_empty() && !locked.in_turn;
        let likely = locked.cached && coroutine.get().io().reads();
        let now = !this.deferred && (idle || likely);
        if now && locked.queue.is_empty() && locked.in_flight.len() < this.core.max_requests as usize {
            locked.in_flight.insert(coroutine.clone().unbind());
            drop(locked);
            return Self::submit_one(slf, coroutine);
        }
        coroutine.get().advance(Phase::Queued);
        locked.queue.push_back(coroutine.clone().unbind());
        drop(locked);
        Self::schedule_unless_in_turn(slf)?;
        Ok(Begun::Pending)
    }

    /// Starts a chain.
    pub fn begin_chain(slf: &Bound<'_, Self>, coroutines: Vec<Py<Coroutine>>) -> PyResult<()> {
        let this = slf.get();
        this.check_loop(slf.py())?;
        this.check_open(&this.locked())?;
        for coroutine in &coroutines {
            coroutine.get().join_chain()?;
        }
        Self::send(slf, coroutines, true)?;
        Self::schedule_unless_in_turn(slf)
    }

    /// Submits one operation by itself, as it may complete immediately. It is in flight already.
    fn submit_one(slf: &Bound<'_, Self>, coroutine: &Bound<'_, Coroutine>) -> PyResult<Begun> {
        let (py, this) = (slf.py(), slf.get());
        coroutine.get().advance(Phase::InFlight);
        let user_data = coroutine_user_data(coroutine);
        let op = coroutine.get().io().to_op(py, user_data);
        let mut events = Events::<32>::new();
        // SAFETY: the set in flight keeps the coroutine, and with it the memory, until the event is handled.
        let accepted = unsafe { this.core.ctx.submit_poll(&[op], &mut events) };
        let (mine, others): (Vec<_>, Vec<_>) =
            events.iter().partition(|event| accepted.is_ok() && event.user_data == user_data);
        this.handle(py, others);
        if accepted.is_err() || !mine.is_empty() {
            let held = this.locked().in_flight.remove(coroutine.get());
            drop(held);
        }
        match (accepted, mine.first()) {
            (Ok(_), Some(event)) => Self::completed_immediately(slf, coroutine, event.result),
            (Ok(_), None) => {
                this.note_pending(coroutine.get().io().reads());
                Self::watch(slf)?;
                if !this.locked().woken.is_empty() {
                    Self::schedule_unless_in_turn(slf)?;
                }
                Ok(Begun::Pending)
            }
            (Err(Errno(libc::EAGAIN)), _) => {
                // The library's context has other users.
                this.locked().queue.push_front(coroutine.clone().unbind());
                coroutine.get().advance(Phase::Queued);
                Self::retry_soon(slf)?;
                Ok(Begun::Pending)
            }
            (Err(errno), _) => Err(this.failure(py, errno)),
        }
    }

    fn note_pending(&self, reads: bool) {
        if reads {
            self.locked().cached = false;
        }
    }

    fn completed_immediately(slf: &Bound<'_, Self>, coroutine: &Bound<'_, Coroutine>, result: i64) -> PyResult<Begun> {
        let mut locked = slf.get().locked();
        if coroutine.get().io().reads() {
            locked.cached = true;
        }
        let others_wait = !locked.paused.is_empty();
        let verdict = locked.pace.verdict(others_wait);
        let wakes = !locked.woken.is_empty();
        drop(locked);
        if verdict == Verdict::Pause {
            coroutine.get().pause(slf.py(), result);
            slf.get().locked().paused.push_back(coroutine.clone().unbind());
        }
        if verdict != Verdict::Continue || wakes {
            Self::schedule_unless_in_turn(slf)?;
        }
        Ok(if verdict == Verdict::Pause { Begun::Pending } else { Begun::Done(result) })
    }

    /// Submits what is queued, as long as there is room.
    pub(super) fn send_queued(slf: &Bound<'_, Self>) -> PyResult<()> {
        loop {
            let coroutines = slf.get().next_batch();
            let count = coroutines.len();
            if count == 0 || Self::send(slf, coroutines, false)? < count {
                return Ok(());
            }
        }
    }

    fn next_batch(&self) -> Vec<Py<Coroutine>> {
        let mut dropped = Vec::new();
        let mut batch = Vec::new();
        let mut locked = self.locked();
        let room = (self.core.max_requests as usize).saturating_sub(locked.in_flight.len());
        while batch.len() < room.min(BATCH) {
            match locked.queue.pop_front() {
                Some(coroutine) if coroutine.get().phase() == Phase::Queued => batch.push(coroutine),
                Some(coroutine) => dropped.push(coroutine),
                None => break,
            }
        }
        drop(locked);
        drop(dropped);
        batch
    }

    /// Submits a batch, or a chain; returns how many were accepted. The others go back to the queue.
    fn send(slf: &Bound<'_, Self>, coroutines: Vec<Py<Coroutine>>, chain: bool) -> PyResult<usize> {
        let (py, this) = (slf.py(), slf.get());
        let ops = this.prepare(py, &coroutines, chain);
        let mut events = Events::<BATCH>::new();
        // SAFETY: the set in flight keeps each coroutine, and with it the memory, until its event is handled.
        let accepted = unsafe { this.core.ctx.submit_poll(&ops, &mut events) };
        let sent = accepted.map_or(0, |count| count as usize);
        let reads = coroutines.first().is_some_and(|coroutine| coroutine.get().io().reads());
        let mut locked = this.locked();
        let refused: Vec<_> = coroutines[sent..].iter().map(|each| locked.in_flight.remove(each.get())).collect();
        if reads {
            locked.cached = events.iter().count() >= sent.div_ceil(2);
        }
        drop(locked);
        drop(refused);
        this.handle(py, events.iter());
        if sent > 0 {
            Self::watch(slf)?;
        }
        let rest = coroutines.into_iter().skip(sent);
        match accepted {
            Err(errno) if errno.0 != libc::EAGAIN || chain => {
                let error = this.failure(py, errno);
                rest.for_each(|coroutine| Coroutine::give_up(coroutine.bind(py)));
                return Err(error);
            }
            _ => Self::put_back(slf, rest)?,
        }
        Ok(sent)
    }

    /// Counts them as in flight, and describes them to the library.
    fn prepare(&self, py: Python<'_>, coroutines: &[Py<Coroutine>], chain: bool) -> Vec<caio_op> {
        let last = coroutines.len().saturating_sub(1);
        let mut locked = self.locked();
        let describe = |(index, coroutine): (usize, &Py<Coroutine>)| {
            coroutine.get().advance(Phase::InFlight);
            locked.in_flight.insert(coroutine.clone_ref(py));
            let mut op = coroutine.get().io().to_op(py, coroutine_user_data(coroutine.bind(py)));
            if chain && index < last {
                op.flags |= CAIO_FLAG_LINK;
            }
            op
        };
        coroutines.iter().enumerate().map(describe).collect()
    }

    fn put_back(slf: &Bound<'_, Self>, rest: impl Iterator<Item = Py<Coroutine>>) -> PyResult<()> {
        let rest: Vec<_> = rest.filter(|coroutine| coroutine.get().advance(Phase::Queued)).collect();
        if rest.is_empty() {
            return Ok(());
        }
        let mut locked = slf.get().locked();
        for coroutine in rest.into_iter().rev() {
            locked.queue.push_front(coroutine);
        }
        let no_event_will_come = locked.in_flight.is_empty();
        drop(locked);
        if no_event_will_come { Self::retry_soon(slf) } else { Ok(()) }
    }
}
