//! Worker threads: each takes operations, runs their plain system calls without the lock, and notes the results.

use std::os::fd::AsRawFd;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::Shared;
use super::slab::{Class, Place, Token};
use super::state::{By, CANCELED, State, class_of};
use super::sync_group::PATIENCE;
use crate::error::{Errno, Result};
use crate::exec::blocking::{self, Scratch};
use crate::exec::nonblocking;
use crate::op::{Code, Op};
use crate::sync::MutexGuard;
use crate::sys::{fs, thread};

/// A worker without work for so long ends.
const IDLE: Duration = Duration::from_secs(5);

/// A thread of the pool, from the decision to start it.
pub struct Worker {
    id: u64,
    pub handle: Option<thread::Handle>,
    /// Inside openat(2), where nobody waits for it.
    pub opening: bool,
}

/// An operation in a worker's hands.
struct Task {
    token: Token,
    class: Class,
    op: Op,
    moved: u64,
    paths: Vec<u8>,
    refused: Option<Errno>,
    /// The poller could not try or watch it: make one plain call.
    plain: bool,
    begun: Instant,
}

impl Shared {
    /// Starts a worker that the pool has counted already.
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
            Err(_) => {
                state.pool.not_started();
                state.worker_leaves(id);
                drop(state);
                self.with_worker(State::nobody_works);
            }
        }
    }

    /// Takes in what a worker did and gives it the next operation; None when it should end.
    fn next_task(&self, id: u64, mut done: Option<(Task, Outcome)>) -> Option<Task> {
        let (mut timed_out, mut may_spin) =
            (false, done.as_ref().is_some_and(|(task, _)| !task.op.code.reads() && task.class == Class::Fast));
        let mut looks_again = false;
        loop {
            // The end of one and the beginning of the next.
            let now = Instant::now();
            let mut state = self.state.lock();
            if std::mem::take(&mut looks_again) {
                state.pool.looks();
            }
            if let Some((task, outcome)) = done.take() {
                state.settle(task, outcome, now);
                self.finished.bump();
            }
            let next = if state.pool.overstaffed() { None } else { state.take_task(now) };
            let leaves = next.is_none() && (state.closing || timed_out || state.pool.overstaffed());
            if leaves {
                state.worker_leaves(id);
            }
            looks_again = next.is_none() && !leaves;
            if looks_again {
                state.pool.looks_soon();
            }
            let will_watch = looks_again && state.pool.takes_sentinel();
            let chores = state.chores_of_worker(will_watch);
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

    /// Waits for work without sleeping: its next operation may come any moment, and waking takes longer than most writes.
    fn spin_for_work(&self, state: MutexGuard<State>) {
        const LONGEST: Duration = Duration::from_micros(50);
        let seen = self.queued.now();
        drop(state);
        self.queued.watch(seen, 1, LONGEST);
        let mut state = self.state.lock();
        state.pool.spun();
        state.idle_spin.ended(self.queued.now() != seen);
    }

    /// Sleeps until there may be work; true if there was none for so long that the worker may go.
    fn sleep(&self, mut state: MutexGuard<State>) -> bool {
        if state.pool.takes_sentinel() {
            self.stand_watch(state);
            return false;
        }
        state.pool.sleeps();
        let (mut state, timed_out) = self.work.wait_for(state, IDLE);
        state.pool.wakes();
        timed_out
    }

    /// Sleeps lightly, and then looks after what may be held up.
    fn stand_watch(&self, mut state: MutexGuard<State>) {
        let (ended, tellings) = (state.pool.sentinel_comes(), state.done.tellings());
        let patience = state.patience();
        let (mut state, in_time) = self.watch.wait_for(state, patience);
        state.pool.sentinel_goes(ended, in_time && patience == PATIENCE);
        state.lose_patience();
        // What was not told for so long, or somebody else may not look after.
        if !in_time || state.done.tellings() == tellings {
            state.done.hurry();
        }
    }

    fn run_task(&self, task: &Task, scratch: &mut Scratch) -> Outcome {
        if let Some(errno) = task.refused {
            return Outcome::Result(errno.as_result());
        }
        if task.plain {
            return blocking::run_once(&task.op, task.moved, scratch).map_or_else(Outcome::Result, Outcome::Stream);
        }
        if nonblocking::is_stream(&task.op) {
            let watched = self.ensure_poller();
            return if watched {
                Outcome::Stream(task.moved)
            } else {
                Outcome::Result(Errno(libc::EAGAIN).as_result())
            };
        }
        let stopped = || self.stop_wish(task.token);
        Outcome::Result(blocking::run(&task.op, task.moved, &task.paths, scratch, stopped))
    }

    fn stop_wish(&self, token: Token) -> Option<Errno> {
        let state = self.state.lock();
        state.slab.find(token).and_then(|index| state.slab[index].stop)
    }
}

/// What became of a task.
enum Outcome {
    Result(i64),
    /// It goes to something without positions, after so many bytes: the poller's.
    Stream(u64),
}

/// A worker's life.
fn work(mut shared: Arc<Shared>, id: u64) {
    let mut scratch = Scratch::default();
    let mut done = None;
    shared.state.lock().pool.started();
    while let Some(task) = shared.next_task(id, done.take()) {
        if task.op.code == Code::Openat && task.refused.is_none() {
            match open(shared, id, task) {
                Some(back) => shared = back,
                None => return,
            }
        } else {
            let outcome = shared.run_task(&task, &mut scratch);
            done = Some((task, outcome));
        }
    }
}

/// Runs an OPENAT, which may wait for ever (a FIFO): the thread holds nothing of the context meanwhile, nor of the
/// caller's. None if the context is gone when it comes back.
fn open(shared: Arc<Shared>, id: u64, task: Task) -> Option<Arc<Shared>> {
    // A copy of the directory's descriptor: the caller may close the number once the event is there.
    let copy = if task.op.fd == libc::AT_FDCWD { None } else { fs::duplicate(task.op.fd).ok() };
    let dir = copy.as_ref().map_or(task.op.fd, AsRawFd::as_raw_fd);
    let wanted = shared.with_worker(|state| state.opens(id, task.token, Place::Opening));
    let weak = Arc::downgrade(&shared);
    if !wanted {
        return come_back(&weak, id, task, false, Err(CANCELED));
    }
    drop(shared);

    let path = blocking::first_path(&task.paths);
    let may_block = fs::open_may_block(dir, path, task.op.sys_flags);
    let wanted = !may_block
        || weak.upgrade()?.with_worker(|state| {
            state.pool.lend();
            state.opens(id, task.token, Place::OpeningBlocked)
        });
    let opened = if wanted { fs::openat(dir, path, task.op.sys_flags, task.op.mode) } else { Err(CANCELED) };
    come_back(&weak, id, task, may_block, opened)
}

fn come_back(weak: &Weak<Shared>, id: u64, mut task: Task, lent: bool, opened: Result<u64>) -> Option<Arc<Shared>> {
    let result = opened.map_or_else(Errno::as_result, |fd| fd as i64);
    let shared = weak.upgrade();
    let taken = shared.as_ref().is_some_and(|shared| {
        shared.with_worker(|state| {
            if lent {
                state.pool.unlend();
            }
            if let Some(worker) = state.worker(id) {
                worker.opening = false;
            }
            let index = state.give_back(&mut task).filter(|_| !state.closing);
            if let Some(index) = index {
                state.finish(index, result, By::Worker);
            }
            index.is_some()
        })
    });
    if !taken && result >= 0 {
        // Too late: its event was another, or its context is gone.
        fs::close(result as i32).ok();
    }
    shared
}

impl State {
    /// The number of a worker to be started, and whether there is memory to remember it.
    fn new_worker(&mut self) -> (u64, Result<()>) {
        self.worker_ids += 1;
        let id = self.worker_ids;
        let listed = self.workers.try_reserve(1).map_err(|_| Errno(libc::ENOMEM));
        (id, listed.map(|()| self.workers.push(Worker { id, handle: None, opening: false })))
    }

    fn worker(&mut self, id: u64) -> Option<&mut Worker> {
        self.workers.iter_mut().find(|worker| worker.id == id)
    }

    fn worker_leaves(&mut self, id: u64) {
        self.pool.leaves();
        self.workers.retain(|worker| worker.id != id);
    }

    fn take_task(&mut self, now: Instant) -> Option<Task> {
        let index = self.pool.take(&mut self.slab)?;
        self.sync_starts(index);
        let token = self.slab.token(index);
        let slot = &mut self.slab[index];
        Some(Task {
            token,
            class: class_of(&slot.op),
            op: slot.op,
            moved: slot.moved,
            paths: std::mem::take(&mut slot.paths),
            refused: slot.refused,
            plain: slot.plain,
            begun: now,
        })
    }

    /// Takes a task back: its slot, if the operation has no event yet.
    fn give_back(&mut self, task: &mut Task) -> Option<u32> {
        self.pool.done(task.class);
        let index = self.slab.find(task.token)?;
        self.slab[index].paths = std::mem::take(&mut task.paths);
        Some(index)
    }

    fn settle(&mut self, mut task: Task, outcome: Outcome, now: Instant) {
        if task.class == Class::Fast {
            self.pool.took(&task.op, now - task.begun);
        }
        let Some(index) = self.give_back(&mut task) else { return };
        match outcome {
            Outcome::Result(result) => {
                self.sync_ends(index, result, now - task.begun, now);
                self.finish(index, result, By::Worker);
            }
            Outcome::Stream(moved) => {
                self.slab[index].moved = moved;
                self.slab[index].plain = false;
                match self.slab[index].stop {
                    Some(errno) => self.finish_stopped(index, errno),
                    None => self.send_to_poller(index),
                }
            }
        }
    }

    /// Notes that a worker is about to open, or that this will wait for somebody else. False if the operation was asked
    /// to stop meanwhile: then it has its event, and nobody waits for the worker.
    fn opens(&mut self, id: u64, token: Token, place: Place) -> bool {
        let Some(index) = self.slab.find(token) else { return false };
        if let Some(errno) = self.slab[index].stop {
            self.finish(index, errno.as_result(), By::Worker);
            return false;
        }
        self.slab[index].place = place;
        if let Some(worker) = self.worker(id) {
            worker.opening = true;
        }
        true
    }

    /// No thread could be started, and there is none: what waits for one fails, once.
    fn nobody_works(&mut self) {
        if self.pool.live() > 0 {
            return;
        }
        while let Some(index) = self.pool.drain(&mut self.slab) {
            self.sync_is_off(index);
            self.finish(index, Errno(libc::EAGAIN).as_result(), By::Worker);
        }
    }
}
