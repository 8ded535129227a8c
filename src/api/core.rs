//! A context below its handle: the core's context, and the operations that it has accepted.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::state::{Completes, Outcome};
use super::table::{Id, Table};
use super::turns::{Turn, Turns};
use crate::backend::Probe;
use crate::completion::{Event, Sink};
#[cfg(not(miri))]
use crate::context::Context as Engine;
use crate::context::{Options, Source};
use crate::error::{Errno, Result};
use crate::op::{Op, SimpleTransfer};
use crate::sync::{Mutex, or_abort};

#[cfg(miri)]
use super::simulated::Engine;

pub struct Core {
    engine: Engine,
    table: Mutex<Table>,
    turns: Turns,
    /// Held while an operation takes events, so that [`Self::end`] does not overtake it.
    taking: Mutex<()>,
}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.0)
    }
}

impl Probe {
    /// The error that [`Builder::build`](crate::Builder::build) would return.
    ///
    /// # Examples
    /// ```
    /// if let Some(error) = caio::Backend::Linux.probe().error() {
    ///     println!("{error}");
    /// }
    /// ```
    pub fn error(&self) -> Option<io::Error> {
        self.errno().map(io::Error::from)
    }
}

impl Core {
    pub fn new(options: Options) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            engine: or_abort(|| Engine::new(options))?,
            table: Mutex::new(Table::default()),
            turns: Turns::new(),
            taking: Mutex::new(()),
        }))
    }

    pub fn call<T>(&self, call: impl FnOnce(&Engine) -> T) -> T {
        or_abort(|| call(&self.engine))
    }

    pub fn register(&self, state: Arc<dyn Completes>) -> Id {
        self.table.lock().insert(state)
    }

    /// Submits operations that are registered under their `user_data`. Completes those that the core refuses.
    pub fn submit(&self, ops: &[Op]) {
        let mut rest = ops;
        while !rest.is_empty() {
            match self.call(|engine| engine.submit(&Batch(rest))) {
                Ok(accepted) => rest = &rest[accepted as usize..],
                // Only the first operation or chain is malformed, or longer than the context takes.
                Err(errno @ Errno(libc::EINVAL | libc::E2BIG)) => {
                    let first = rest.iter().position(|op| !op.link).map_or(rest.len(), |last| last + 1);
                    self.refuse(&rest[..first], errno);
                    rest = &rest[first..];
                }
                Err(errno) => return self.refuse(rest, errno),
            }
        }
    }

    /// Completes operations that the core has not accepted.
    pub fn refuse(&self, ops: &[Op], errno: Errno) {
        let mut table = self.table.lock();
        let refused = ops.iter().filter_map(|op| table.remove(op.user_data));
        let refused = refused.map(|state| (state, Outcome::Refused(errno))).collect();
        drop(table);
        self.deliver(refused);
    }

    pub fn cancel(&self, id: Id) {
        // It may have completed, or belong to a thread that alone may cancel it.
        self.call(|engine| engine.cancel(id)).ok();
    }

    /// Takes events and completes their operations, without blocking; returns how many.
    pub fn poll(&self) -> io::Result<usize> {
        let mut taken = Taken::new();
        self.call(|engine| engine.poll(&mut taken))?;
        Ok(self.deliver(self.unregister(taken)))
    }

    /// The same for the handle of an operation. Unlike that of a context, it may call this while the context is dropped.
    pub fn poll_once(&self) {
        let Some(taking) = self.taking.try_lock() else { return };
        let mut taken = Taken::new();
        if self.call(|engine| engine.poll(&mut taken)).is_ok() {
            let completions = self.unregister(taken);
            drop(taking);
            self.deliver(completions);
        }
    }

    /// Completes operations until `done` holds or the deadline is over. EINTR if a signal handler ran.
    pub fn run_until(
        &self,
        deadline: Option<Instant>,
        done: &mut dyn FnMut(&mut super::turns::State) -> bool,
    ) -> io::Result<()> {
        while let Turn::Mine(left) = self.turns.take(deadline, done) {
            let mut taken = Taken::new();
            let answer = self.call(|engine| engine.wait(&mut taken, 1, nanoseconds(left)));
            self.turns.give_back();
            self.deliver(self.unregister(taken));
            answer?;
        }
        Ok(())
    }

    pub fn completed(&self) -> u64 {
        self.turns.completed()
    }

    /// Changes what the threads in [`Self::run_until`] wait for.
    pub fn change(&self, change: impl FnOnce(&mut super::turns::State)) {
        if self.turns.change(change) {
            self.call(|engine| engine.wake()).ok();
        }
    }

    /// Cancels what can be cancelled, waits for the rest, and completes every operation. False if the core may still use their
    /// memory, or this process may not touch it: then leak the core.
    #[must_use]
    pub fn end(&self) -> bool {
        let mut taken = Taken::new();
        taken.room = u32::MAX;
        if !self.call(|engine| engine.end(&mut taken)) {
            return false;
        }
        let taking = self.taking.lock();
        let mut completions = self.unregister(taken);
        let rest = self.table.lock().drain();
        drop(taking);
        completions.extend(rest.into_iter().map(|state| (state, Outcome::Dropped)));
        self.deliver(completions);
        true
    }

    fn unregister(&self, taken: Taken) -> Vec<(Arc<dyn Completes>, Outcome)> {
        if taken.events.is_empty() {
            return Vec::new();
        }
        let mut table = self.table.lock();
        let state = |event: Event| Some((table.remove(event.user_data)?, Outcome::Event(event.result)));
        taken.events.into_iter().filter_map(state).collect()
    }

    /// Completes operations. If the program's code panics in one, the others are completed all the same.
    fn deliver(&self, completions: Vec<(Arc<dyn Completes>, Outcome)>) -> usize {
        struct Delivery<'a>(&'a Core, std::vec::IntoIter<(Arc<dyn Completes>, Outcome)>, u64);
        impl Drop for Delivery<'_> {
            fn drop(&mut self) {
                for (state, outcome) in self.1.by_ref() {
                    state.complete(outcome);
                }
                self.0.change(|turns| turns.completed += self.2);
            }
        }
        let count = completions.len();
        if count > 0 {
            let mut delivery = Delivery(self, completions.into_iter(), count as u64);
            for (state, outcome) in delivery.1.by_ref() {
                state.complete(outcome);
            }
        }
        count
    }
}

fn nanoseconds(time: Option<Duration>) -> i64 {
    // Rounded up, so that the deadline is over after the wait.
    time.map_or(-1, |time| i64::try_from(time.as_nanos() + 1).unwrap_or(i64::MAX))
}

/// The events of one call.
struct Taken {
    events: Vec<Event>,
    room: u32,
}

impl Taken {
    /// As many events as a loop should handle in one turn.
    const BATCH: u32 = 256;

    fn new() -> Self {
        Self { events: Vec::new(), room: Self::BATCH }
    }
}

impl Sink for Taken {
    fn room(&self) -> u32 {
        self.room
    }

    fn put(&mut self, event: Event) {
        self.room -= 1;
        self.events.push(event);
    }
}

/// Operations for the core.
struct Batch<'a>(&'a [Op]);

impl Source for Batch<'_> {
    fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    fn get(&self, index: u32) -> Result<Op> {
        Ok(self.0[index as usize])
    }

    fn simple(&self, index: u32) -> Option<SimpleTransfer> {
        self.0[index as usize].simple()
    }
}
