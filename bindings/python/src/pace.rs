//! How long tasks may go on with what is finished at once, before the loop gets its turn.
//!
//! A read that the page cache answers does not suspend its task; a loop of them would keep all others waiting. So there
//! is a budget for each turn of the loop. How long a turn has lasted is seen from the loop's own doings: the reader
//! callback, or a mark that is put into its queue when the budget seems used up.

use std::time::{Duration, Instant};

/// Well below a millisecond, which is what others may count on.
const BUDGET: Duration = Duration::from_micros(500);
/// The least that a task gets before it rests: a trip through the loop costs as much as half a read.
const LEAST: Duration = Duration::from_micros(16);

pub struct Pace {
    /// When the loop was last seen at work.
    seen: Instant,
    /// When the task at work began, as far as is known.
    began: Option<Instant>,
    /// How long one task may go on: the budget divided among those that used theirs up in the turn before.
    slice: Duration,
    rests: u32,
    marked: bool,
    /// Counts the turns that were seen to begin.
    turn: u32,
    /// This turn was seen by the first task that came back from a rest.
    seen_by_task: bool,
}

/// What to do about a task whose operation has finished at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Step {
    GoOn,
    /// Go on, but put a mark into the loop's queue.
    Mark,
    /// Let the loop run first. With the number of its turn, for [`Pace::rested`].
    Rest(u32),
}

impl Pace {
    pub fn new() -> Self {
        Self { seen: Instant::now(), began: None, slice: BUDGET, rests: 0, marked: false, turn: 0, seen_by_task: false }
    }

    /// The loop has called the reader.
    pub fn loop_seen(&mut self) {
        self.marked = false;
        if !std::mem::take(&mut self.seen_by_task) {
            self.begin_turn();
        }
    }

    /// A task that rested in `turn` goes on: so the loop has begun the next one, if nobody has said so yet.
    pub fn rested(&mut self, turn: u32) {
        if turn == self.turn {
            self.begin_turn();
            self.seen_by_task = true;
        }
    }

    fn begin_turn(&mut self) {
        self.turn = self.turn.wrapping_add(1);
        self.seen = Instant::now();
        self.began = None;
        self.slice = (BUDGET / self.rests.max(1)).max(LEAST);
        self.rests = 0;
    }

    pub fn step(&mut self) -> Step {
        let now = Instant::now();
        let began = *self.began.get_or_insert(now);
        if now - self.seen < BUDGET && now - began < self.slice {
            return Step::GoOn;
        }
        if !self.marked {
            self.marked = true;
            return Step::Mark;
        }
        self.rests += 1;
        self.began = None;
        Step::Rest(self.turn)
    }
}
