//! Deadlines of operations, earliest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::slab::{Slab, Token};

/// Entries of operations that ended are skipped when their time comes, and swept when they are the most.
#[derive(Default)]
pub struct Deadlines {
    heap: BinaryHeap<(Reverse<u64>, u64)>,
}

impl Deadlines {
    /// Notes a deadline, in nanoseconds of the monotonic clock.
    pub fn add(&mut self, at: u64, token: Token, slab: &Slab) {
        const SMALL: usize = 64;
        if self.heap.len() > SMALL.max(2 * slab.used() as usize) {
            self.heap.retain(|(_, token)| slab.find(Token(*token)).is_some());
        }
        self.heap.push((Reverse(at), token.0));
    }

    /// The earliest deadline.
    pub fn first(&self) -> Option<u64> {
        self.heap.peek().map(|(Reverse(at), _)| *at)
    }

    /// An operation whose time is over at `now`.
    pub fn expired(&mut self, now: u64) -> Option<Token> {
        let (Reverse(at), token) = *self.heap.peek()?;
        (at <= now).then(|| {
            self.heap.pop();
            Token(token)
        })
    }
}
