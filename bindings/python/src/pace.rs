//! Limits how long tasks run on with operations that complete immediately, so that other tasks run too.
//!
//! A cached read does not suspend its task, so that a loop of them would starve all other tasks. Therefore tasks have a
//! budget for each iteration of the event loop, and a slice of it each while several use it. A task that has used its
//! slice is paused until the loop's callback resumes it. The start of an iteration is known from the loop's callback, which
//! is put into the loop's queue when the budget seems used up.

use std::time::{Duration, Instant};

/// The tasks' budget for one iteration. It keeps the promise that other tasks run within a millisecond.
pub const BUDGET: Duration = Duration::from_micros(500);
/// The slice of one task while others are paused. Its data is in the caches by then: switching tasks costs as much as half
/// a read.
const SLICE: Duration = Duration::from_micros(64);

pub struct Pace {
    /// When the loop last called us.
    seen: Instant,
    /// When the current task began, if known.
    began: Option<Instant>,
    marked: bool,
}

/// What to do with a task whose operation has completed immediately.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Continue,
    /// Continue, but have the loop call us.
    Mark,
    /// Run other tasks first.
    Pause,
}

impl Pace {
    pub fn new() -> Self {
        Self { seen: Instant::now(), began: None, marked: false }
    }

    /// The loop has called us.
    pub fn loop_ran(&mut self) {
        *self = Self::new();
    }

    /// A paused task is resumed.
    pub fn task_begins(&mut self) {
        self.began = Some(Instant::now());
        // Inside the loop's callback, the start of the iteration is known.
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
