//! Worker threads: each takes operations, runs their plain system calls without the lock, and records the results.

mod detached;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::detached::{DetachedTask, Returned};
use super::Shared;
use super::probes;
use super::report::Fallback;
use super::state::{By, State, stopped_result};
use super::sync_group::PATIENCE;
use crate::error::{Errno, Result};
use crate::exec::blocking::{self, Scratch};
use crate::exec::copying::{self, Copied};
use crate::exec::nonblocking;
use crate::fork_list::Entry;
use crate::op::{Code, Op, Role};
use crate::slab::{Class, NONE, Place, Token};
use crate::sync::MutexGuard;
use crate::sys::fd::RawFd;
use crate::sys::file_kind::{self, FileKind};
use crate::sys::{fs, rw, thread};

/// A worker thread that has no work for this long exits.
const IDLE: Duration = Duration::from_secs(5);

/// A thread of the pool. It exists from the decision to start it.
pub struct Worker {
    id: u64,
    pub handle: Option<thread::Handle>,
    /// Inside a detached call, for which `caio_ctx_free` does not wait.
    pub detached: bool,
}

/// An operation that a worker thread runs.
struct Task {
    token: Token,
    class: Class,
    op: Op,
    moved: u64,
    paths: Vec<u8>,
    refused: Option<Errno>,
    /// The place in the list of a descriptor that its chain opened, and that it closes.
    chain_file: Option<Entry>,
    begun: Instant,
}

impl Shared {
    /// Starts a worker thread that the pool has counted already.
    pub fn start_worker(&self) {
        let Some(shared) = self.this.upgrade() else { return };
        let (id, listed) = self.state.lock().new_worker();
        let started = listed.and_then(|()| thread::spawn(c"caio-worker", move || work(shared, id)));
        let mut state = self.state.lock();
        match started {
            Ok(handle) => {
                if let Some(worker) = state.worker(id) {
                    worker.handle = Some(handle);
                }
            }
            Err(errno) => {
                state.pool.not_started();
                state.remove_worker(id);
                drop(state);
                self.report.fell_back(Fallback::Worker, format_args!("a worker thread cannot start: {errno}"));
                self.close_without_workers();
                self.with_worker(State::fail_without_workers);
            }
        }
    }

    /// Takes a worker thread's result and returns its next operation; None if the thread must exit.
    fn next_task(&self, id: u64, mut done: Option<(Task, Outcome)>) -> Option<Task> {
        let (mut timed_out, mut may_spin) =
            (false, done.as_ref().is_some_and(|(task, _)| !task.op.code.reads() && task.class == Class::Fast));
        let mut looks_again = false;
        loop {
            // One clock reading serves as the end of this operation and the start of the next.
            let now = Instant::now();
            let mut state = self.state.lock();
            if std::mem::take(&mut looks_again) {
                state.pool.looks();
            }
            state.next_in_chain = NONE;
            if let Some((task, outcome)) = done.take() {
                let leftover = state.settle(id, task, outcome, now);
                self.finished.advance();
                if let Some(leftover) = leftover {
                    drop(state);
                    match leftover {
                        Leftover::Unwanted(fd) => drop(fs::close(fd)),
                        Leftover::Refused(code, errno) => self.report.opcode_refused(code, errno),
                    }
                    state = self.state.lock();
                }
            }
            let next = if state.pool.overstaffed() { None } else { state.take_task(now) };
            let leaves = next.is_none() && (state.closing || timed_out || state.pool.overstaffed());
            if leaves {
                state.remove_worker(id);
            }
            looks_again = next.is_none() && !leaves;
            if looks_again {
                state.pool.looks_soon();
            }
            // It signals the descriptor in a moment, for these events too.
            let is_brief = next.as_ref().is_some_and(|task| task.op.brief);
            let will_watch = looks_again && state.pool.takes_sentinel();
            let chores = state.chores_of_worker(will_watch || is_brief);
            if looks_again && chores.is_nothing() {
                state.pool.looks();
                looks_again = false;
                if std::mem::take(&mut may_spin) && state.idle_spin.is_worth_a_try() && state.pool.spins() {
                    self.spin_for_work(state);
                } else {
                    timed_out = self.sleep(state);
                }
                continue;
            }
            drop(state);
            self.run(chores, false);
            if !looks_again {
                return next;
            }
        }
    }

    /// Spins for work. The next operation often comes soon, and waking a thread takes longer than most writes.
    fn spin_for_work(&self, state: MutexGuard<State>) {
        const LONGEST: Duration = Duration::from_micros(50);
        let seen = self.queued.current();
        drop(state);
        self.queued.spin_until(seen, 1, LONGEST);
        let mut state = self.state.lock();
        state.pool.spun();
        state.idle_spin.ended(self.queued.current() != seen);
    }

    /// Sleeps until there may be work; true if there was none for [`IDLE`].
    fn sleep(&self, mut state: MutexGuard<State>) -> bool {
        if state.pool.takes_sentinel() {
            self.sleep_as_sentinel(state);
            return false;
        }
        state.pool.sleeps();
        let (mut state, timed_out) = self.work.wait_for(state, IDLE);
        state.pool.wakes();
        timed_out
    }

    /// Sleeps for a short time, then checks whether operations or signals of the descriptor are delayed.
    fn sleep_as_sentinel(&self, mut state: MutexGuard<State>) {
        let (ended, rounds) = (state.pool.sentinel_comes(), state.done.signal_rounds());
        let patience = state.patience();
        let (mut state, timed_out) = self.watch.wait_for(state, patience);
        state.pool.sentinel_goes(ended, timed_out && patience == PATIENCE);
        state.lose_patience();
        // A thread woke the sentinel for this, or no thread signalled the descriptor during its sleep.
        if !timed_out || state.done.signal_rounds() == rounds {
            state.done.mark_urgent();
        }
    }

    /// Runs an operation that `caio_ctx_free` waits for.
    fn run_task(&self, task: &Task, scratch: &mut Scratch) -> Outcome {
        if let Some(errno) = task.refused {
            return Outcome::Result(errno.as_result());
        }
        if let Some(entry) = task.chain_file {
            let closed = self.close_chain_file(task.op.fd, entry);
            return Outcome::Result(closed.map_or_else(Errno::as_result, |value| value as i64));
        }
        if task.op.code.copies() {
            return self.run_copy(task, scratch);
        }
        if task.op.code.transfers() && !task.op.storage && nonblocking::may_wait(&task.op) {
            return if self.ensure_poller() {
                Outcome::Stream(task.moved)
            } else if self.wait_without_poller(task.token, task.op, task.moved) {
                // No descriptor is left for a poller, but this operation needs none.
                Outcome::Detached
            } else {
                Outcome::Result(Errno(libc::EAGAIN).as_result())
            };
        }
        let stopped = || self.stop_errno(task.token);
        Outcome::Result(blocking::run(&task.op, task.moved, &task.paths, scratch, stopped))
    }

    /// Runs a copy. The poller waits for its descriptors, if it can.
    fn run_copy(&self, task: &Task, scratch: &mut Scratch) -> Outcome {
        const TICK_MS: i32 = 50;
        let (op, mut moved) = (&task.op, task.moved);
        let _given_back = (op.ioprio != 0).then(|| thread::IoPriority::set(op.ioprio));
        loop {
            let stopped = || self.stop_errno(task.token);
            match copying::run(op, moved, blocking::input(op, &task.paths), scratch, stopped) {
                Copied::Done(result) => return Outcome::Result(result),
                Copied::Waits(total) => moved = total,
            }
            if self.ensure_poller() {
                return Outcome::Stream(moved);
            }
            if let Some(errno) = stopped() {
                return Outcome::Result(stopped_result(op, moved, errno));
            }
            let (fd, reads) = copying::awaited(op);
            rw::becomes_ready(fd, reads, TICK_MS);
        }
    }

    pub fn stop_errno(&self, token: Token) -> Option<Errno> {
        let state = self.state.lock();
        state.slab.find(token).and_then(|index| state.slab[index].stop)
    }
}

/// The outcome of a task.
enum Outcome {
    Result(i64),
    /// The transfer may wait for another process, after this many bytes. It goes to the poller.
    Stream(u64),
    /// A thread of its own has taken it.
    Detached,
    /// A call that `caio_ctx_free` did not wait for has returned.
    Returned(Returned),
}

/// What is left to do for a task, without the lock.
enum Leftover {
    /// No caller gets this new descriptor.
    Unwanted(RawFd),
    /// The kernel's queue alone refused the opcode.
    Refused(Code, Errno),
}

/// The body of a worker thread.
fn work(mut shared: Arc<Shared>, id: u64) {
    let mut scratch = Scratch::default();
    let mut done = None;
    let thread = thread::system_id();
    shared.state.lock().pool.started();
    while let Some(task) = shared.next_task(id, done.take()) {
        let detached = match task.op.code {
            _ if task.refused.is_some() => false,
            code if code.opens_fd() => true,
            // close(2) may linger on a socket and drain a terminal. On a file, it waits for a disk at most.
            Code::Close => !task.op.storage && file_kind::of(task.op.fd) != FileKind::Storage,
            _ => false,
        };
        if detached {
            match DetachedTask::new(shared, id, thread, task).run() {
                Some((context, task, returned)) => {
                    shared = context;
                    done = Some((task, Outcome::Returned(returned)));
                }
                None => return,
            }
        } else {
            let outcome = shared.run_task(&task, &mut scratch);
            done = Some((task, outcome));
        }
    }
}

impl State {
    /// Adds a worker that will be started: its number, and ENOMEM if the list cannot grow.
    fn new_worker(&mut self) -> (u64, Result<()>) {
        self.worker_ids += 1;
        let id = self.worker_ids;
        let listed = self.workers.try_reserve(1).map_err(|_| Errno(libc::ENOMEM));
        (id, listed.map(|()| self.workers.push(Worker { id, handle: None, detached: false })))
    }

    fn worker(&mut self, id: u64) -> Option<&mut Worker> {
        self.workers.iter_mut().find(|worker| worker.id == id)
    }

    fn remove_worker(&mut self, id: u64) {
        self.pool.leaves();
        self.workers.retain(|worker| worker.id != id);
    }

    /// The next member of the chain whose last member this thread ran, or else another operation.
    fn take_task(&mut self, now: Instant) -> Option<Task> {
        let next = std::mem::replace(&mut self.next_in_chain, NONE);
        let index = self.pool.take_this(&mut self.slab, next).or_else(|| self.pool.take(&mut self.slab))?;
        self.sync_starts(index);
        let closes = self.slab[index].op.role == Role::Closes;
        let chain_file = if closes { self.take_file(index) } else { None };
        let token = self.slab.token(index);
        let slot = &mut self.slab[index];
        probes::begun(self.done.fd(), &slot.op, slot.moved);
        Some(Task {
            token,
            class: slot.op.class(),
            op: slot.op,
            moved: slot.moved,
            paths: std::mem::take(&mut slot.paths),
            refused: slot.refused,
            chain_file,
            begun: now,
        })
    }

    /// Takes a task back; returns its slot, if the operation has not completed.
    fn give_back(&mut self, task: &mut Task) -> Option<u32> {
        self.pool.done(task.class);
        let index = self.slab.find(task.token)?;
        self.slab[index].paths = std::mem::take(&mut task.paths);
        Some(index)
    }

    /// Records the outcome of a task.
    fn settle(&mut self, id: u64, mut task: Task, outcome: Outcome, now: Instant) -> Option<Leftover> {
        if task.class == Class::Fast {
            self.pool.took(&task.op, now - task.begun);
        }
        if let Outcome::Returned(returned) = outcome {
            return self.attach(id, task, returned).map(Leftover::Unwanted);
        }
        let index = self.give_back(&mut task)?;
        let mut refused = None;
        match outcome {
            Outcome::Result(result) => {
                refused = self.slab[index].native_errno.filter(|errno| errno.as_result() != result);
                if refused.is_some() {
                    self.native.refuse(task.op.code);
                }
                self.sync_ends(index, result, now - task.begun, now);
                self.finish(index, result, By::Worker);
            }
            Outcome::Detached | Outcome::Returned(_) => {}
            Outcome::Stream(moved) => {
                self.slab[index].moved = moved;
                match self.slab[index].stop {
                    Some(errno) => self.finish_stopped(index, errno),
                    None => self.send_to_poller(index),
                }
            }
        }
        refused.map(|errno| Leftover::Refused(task.op.code, errno))
    }

    /// After a detached call: completes the operation if it has not, and makes the thread one of the pool again.
    fn attach(&mut self, id: u64, mut task: Task, returned: Returned) -> Option<RawFd> {
        let Returned { answer, lent, storage, brief, unlisted: _unlisted } = returned;
        if lent {
            self.pool.unlend();
        }
        if let Some(worker) = self.worker(id) {
            worker.detached = false;
        }
        let opened = answer.ok().filter(|_| task.op.code.opens_fd()).map(|fd| fd as RawFd);
        let index = self.give_back(&mut task).filter(|index| !self.closing || self.waits_for(*index));
        // The operation may have completed with another result.
        let Some(index) = index else { return opened };
        (self.slab[index].op.storage, self.slab[index].op.brief) = (storage, brief);
        self.finish(index, answer.map_or_else(Errno::as_result, |value| value as i64), By::Worker);
        None
    }

    /// Marks a worker thread as detached. False if the operation has completed instead, because it was stopped.
    fn detach_worker(&mut self, id: u64, thread: i32, token: Token, place: Place) -> bool {
        let Some(index) = self.slab.find(token) else { return false };
        if let Some(errno) = self.slab[index].stop {
            self.finish(index, errno.as_result(), By::Worker);
            return false;
        }
        (self.slab[index].place, self.slab[index].thread) = (place, thread);
        if let Some(worker) = self.worker(id) {
            worker.detached = true;
        }
        true
    }

    /// Whether `caio_ctx_free` waits for an operation whose thread has returned from its call. If not, it no longer
    /// counts as in flight.
    fn waits_for(&mut self, index: u32) -> bool {
        let running = self.slab[index].place == Place::Running;
        if !running {
            self.slab[index].place = Place::Opening;
        }
        running
    }

    /// No worker thread could be started. If there is none, each queued operation fails, once.
    fn fail_without_workers(&mut self) {
        if self.pool.live() > 0 {
            return;
        }
        while let Some(index) = self.pool.drain(&mut self.slab) {
            self.sync_is_off(index);
            self.finish(index, Errno(libc::EAGAIN).as_result(), By::Worker);
        }
    }
}
