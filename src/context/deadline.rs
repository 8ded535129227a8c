//! Deadlines of operations, earliest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::error::{Errno, Result};
use crate::slab::{Slab, Token};

/// Entries of completed operations are skipped when they expire, and removed when there is no more room.
#[derive(Default)]
pub struct Deadlines {
    heap: BinaryHeap<(Reverse<u64>, u64)>,
}

impl Deadlines {
    /// Makes room for the deadlines of that many operations. Fails with ENOMEM.
    pub fn make_room(&mut self, operations: usize) -> Result<()> {
        const SMALL: usize = 64;
        // Twice as much, so that removing entries is rare.
        let more = SMALL.max(2 * operations).saturating_sub(self.heap.len());
        self.heap.try_reserve(more).map_err(|_| Errno(libc::ENOMEM))
    }

    /// Adds a deadline, in nanoseconds of the monotonic clock. There must be room for it.
    pub fn add(&mut self, at: u64, token: Token, slab: &Slab) {
        if self.heap.len() == self.heap.capacity() {
            self.heap.retain(|(_, token)| slab.find(Token(*token)).is_some());
        }
        self.heap.push((Reverse(at), token.0));
    }

    /// The earliest deadline.
    pub fn first(&self) -> Option<u64> {
        self.heap.peek().map(|(Reverse(at), _)| *at)
    }

    /// An operation whose deadline has passed at `now`.
    pub fn expired(&mut self, now: u64) -> Option<Token> {
        let (Reverse(at), token) = *self.heap.peek()?;
        (at <= now).then(|| {
            self.heap.pop();
            Token(token)
        })
    }
}
