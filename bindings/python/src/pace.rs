//! How long tasks may go on with what is finished at once, before others get their turn.
//!
//! A read that the page cache answers does not suspend its task; a loop of them would keep all others waiting. So tasks
//! have a budget for each turn of the loop, and a slice of it each while several are at it: who has used that up rests
//! until the reader lets it go on. How long a turn has lasted is seen from the loop's own doings: the reader callback, or
//! a mark that is put into its queue when the budget seems used up.

use std::time::{Duration, Instant};

/// What tasks have in one turn of the loop: well below a millisecond, which is what others may count on.
pub const BUDGET: Duration = Duration::from_micros(500);
/// What one has while others rest. What it needs is in the caches by then: to go from task to task costs as much as half
/// a read.
const SLICE: Duration = Duration::from_micros(64);

pub struct Pace {
    /// When the loop was last seen at work.
    seen: Instant,
    /// When the task at work began, as far as is known.
    began: Option<Instant>,
    marked: bool,
}

/// What to do about a task whose operation has finished at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Continue,
    /// Go on, but put a mark into the loop's queue.
    Mark,
    /// Let others run first.
    Pause,
}

impl Pace {
    pub fn new() -> Self {
        Self { seen: Instant::now(), began: None, marked: false }
    }

    /// The loop has called the reader.
    pub fn loop_ran(&mut self) {
        *self = Self::new();
    }

    /// The reader lets a task that rested go on.
    pub fn task_begins(&mut self) {
        self.began = Some(Instant::now());
        // While the reader is at work, it is known when the turn began.
        self.marked = true;
    }

    pub fn verdict(&mut self, others_wait: bool) -> Verdict {
        let now = Instant::now();
        let began = *self.began.get_or_insert(now);
        let over = now - self.seen >= BUDGET;
        let slice_over = others_wait && now - began >= SLICE;
        if !over && !slice_over {
            return Verdict::Continue;
        }
        if over && !self.marked {
            self.marked = true;
            return Verdict::Mark;
        }
        self.began = None;
        Verdict::Pause
    }
}
