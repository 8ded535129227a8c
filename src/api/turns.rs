//! Which thread waits in the core for events, if several want to.
//!
//! Only one does, so that a wake always reaches it. The others sleep until it returns.

use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex};

pub struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
pub struct State {
    /// The thread that waits in the core.
    waiter: Option<ThreadId>,
    /// How many operations have completed.
    pub completed: u64,
    /// A wake that no wait has used up.
    pub woken: bool,
}

/// The end of a sleep.
pub enum Turn {
    /// The condition holds, or the time is over.
    Done,
    /// Wait in the core, for this long, then call [`Turns::give_back`].
    Mine(Option<Duration>),
}

impl Turns {
    pub fn new() -> Self {
        Self { state: Mutex::new(State::default()), changed: Condvar::new() }
    }

    pub fn completed(&self) -> u64 {
        self.state.lock().completed
    }

    /// Sleeps until `done` holds, the deadline is over, or it is this thread's turn to wait in the core.
    pub fn take(&self, deadline: Option<Instant>, done: &mut dyn FnMut(&mut State) -> bool) -> Turn {
        const LONG: Duration = Duration::from_secs(3600);
        let mut state = self.state.lock();
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if done(&mut state) || left == Some(Duration::ZERO) {
                return Turn::Done;
            }
            if state.waiter.is_none() {
                state.waiter = Some(thread::current().id());
                return Turn::Mine(left);
            }
            state = self.changed.wait_for(state, left.unwrap_or(LONG)).0;
        }
    }

    pub fn give_back(&self) {
        self.state.lock().waiter = None;
        self.changed.notify_all();
    }

    /// Changes what the conditions of sleeping threads depend on. True if a thread in the core must be woken.
    #[must_use]
    pub fn change(&self, change: impl FnOnce(&mut State)) -> bool {
        let mut state = self.state.lock();
        change(&mut state);
        self.changed.notify_all();
        state.waiter.is_some_and(|waiter| waiter != thread::current().id())
    }
}
