//! Submitting: one operation when its coroutine is awaited, the queue when there is room, a chain as a whole.

use super::*;
use crate::chain::MOST_STEPS;
use crate::in_flight::{Submitted, address, step};
use crate::pace::Verdict;

impl LoopState {
    /// Starts an operation. If it completes immediately, its result is returned.
    pub fn begin(slf: &Bound<'_, Self>, coroutine: &Bound<'_, Coroutine>) -> PyResult<Begun> {
        let this = slf.get();
        this.check_loop(slf.py())?;
        let mut locked = this.locked();
        this.check_open(&locked)?;
        let idle = locked.in_flight.is_empty() && !locked.in_turn;
        let likely = locked.expects(coroutine.get().io().kind());
        let now = !this.deferred && (idle || likely);
        if now && locked.queue.is_empty() && this.room(&locked) >= coroutine.get().operations() {
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
        let mut ops = [Request::new(Code::Nop); MOST_STEPS];
        let count = Coroutine::describe(coroutine, &mut ops);
        let mut events = room::<32>();
        // SAFETY: the set in flight keeps the coroutine, and with it the memory, until the event is handled.
        let (accepted, events) = unsafe { this.core.ctx.submit_poll(&ops[..count], &mut events) };
        let is_mine = |event: &Completion| accepted.is_ok() && address(event.user_data) == ops[0].user_data;
        let (mine, others): (Vec<_>, Vec<_>) = events.iter().copied().partition(is_mine);
        this.handle(py, others);
        let note = |event: Completion| Coroutine::note_event(coroutine, step(event.user_data), event.result);
        let result = mine.into_iter().filter_map(note).fold(None, |_, result| Some(result));
        if accepted.is_err() || result.is_some() {
            let held = this.locked().in_flight.remove(coroutine.get());
            drop(held);
        }
        match (accepted, result) {
            (Ok(_), Some(result)) => Self::completed_immediately(slf, coroutine, result),
            (Ok(_), None) => {
                this.locked().note_immediate(coroutine.get().io().kind(), false);
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

    /// How many operations the library's context still accepts.
    fn room(&self, locked: &Locked) -> usize {
        (self.core.max_requests as usize).saturating_sub(locked.in_flight.operations())
    }

    fn completed_immediately(slf: &Bound<'_, Self>, coroutine: &Bound<'_, Coroutine>, result: i64) -> PyResult<Begun> {
        let mut locked = slf.get().locked();
        locked.note_immediate(coroutine.get().io().kind(), true);
        let others_wait = !locked.paused.is_empty();
        let verdict = locked.pace.verdict(others_wait);
        let wakes = !locked.woken.is_empty();
        drop(locked);
        if verdict == Verdict::Pause {
            coroutine.get().pause(result);
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
        let mut room = self.room(&locked).min(BATCH);
        while let Some(coroutine) = locked.queue.pop_front() {
            let wanted = coroutine.get().phase() == Phase::Queued;
            match room.checked_sub(coroutine.get().operations()) {
                _ if !wanted => dropped.push(coroutine),
                Some(rest) => {
                    room = rest;
                    batch.push(coroutine);
                }
                None => {
                    locked.queue.push_front(coroutine);
                    break;
                }
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
        let mut events = room::<BATCH>();
        // SAFETY: the set in flight keeps each coroutine, and with it the memory, until its event is handled.
        let (accepted, events) = unsafe { this.core.ctx.submit_poll(&ops, &mut events) };
        let sent = whole(&coroutines, accepted.unwrap_or(0));
        let kind = coroutines.first().map_or(Kind::Other, |coroutine| coroutine.get().io().kind());
        let mut locked = this.locked();
        let refused: Vec<_> = coroutines[sent..].iter().map(|each| locked.in_flight.remove(each.get())).collect();
        locked.note_immediate(kind, events.len() >= sent.div_ceil(2));
        drop(locked);
        drop(refused);
        this.handle(py, events.iter().copied());
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
    fn prepare(&self, py: Python<'_>, coroutines: &[Py<Coroutine>], chain: bool) -> Vec<Request> {
        let mut described = Vec::with_capacity(coroutines.len());
        let mut ops = [Request::new(Code::Nop); MOST_STEPS];
        let mut locked = self.locked();
        for (index, coroutine) in coroutines.iter().enumerate() {
            coroutine.get().advance(Phase::InFlight);
            locked.in_flight.insert(coroutine.clone_ref(py));
            let count = Coroutine::describe(coroutine.bind(py), &mut ops);
            if chain && index + 1 < coroutines.len() {
                ops[count - 1].link = true;
            }
            described.extend_from_slice(&ops[..count]);
        }
        described
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

/// How many of the coroutines have all of their operations among the first `accepted`. The library splits no chain.
fn whole(coroutines: &[Py<Coroutine>], accepted: usize) -> usize {
    let mut rest = accepted;
    let fits = |coroutine: &&Py<Coroutine>| {
        let left = rest.checked_sub(coroutine.get().operations());
        rest = left.unwrap_or(0);
        left.is_some()
    };
    coroutines.iter().take_while(fits).count()
}
