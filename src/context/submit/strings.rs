//! The strings and structures that submit copies from the caller, or checks there.

use std::ops::Range;

use crate::error::{Errno, Result};
use crate::op::Op;
use crate::sys::mem::{Memory, NULL, room};
use crate::sys::{cached_open, input, path};

/// The bytes of one submit. A string that several operations have at one address is copied once: each copy is a system call.
pub struct Strings {
    bytes: Vec<u8>,
    /// The last strings, in the caller's memory and in `bytes`. Their addresses are compared, never read again.
    seen: [(Memory, Range<usize>); SEEN],
    next: usize,
    /// An empty string that this submit has checked.
    empty: Memory,
    /// The last one that any has. It may have changed since.
    was_empty: Memory,
}

const SEEN: usize = 4;

impl Strings {
    pub fn new(bytes: usize) -> Result<Self> {
        Ok(Self { bytes: room(bytes)?, seen: [const { (NULL, 0..0) }; SEEN], next: 0, empty: NULL, was_empty: NULL })
    }

    /// For the next submit, when the caller's memory may have changed.
    pub fn forget(&mut self) {
        self.seen = [const { (NULL, 0..0) }; SEEN];
        self.empty = NULL;
    }

    /// Without the bytes, and without the memory that an unusually large submit needed.
    pub fn retire(&mut self, kept: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(kept);
    }

    pub fn get(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// Copies the paths of an operation, and the structure that it takes besides. Without all of them, an errno.
    #[cold]
    pub fn copy(&mut self, op: &Op) -> (Range<usize>, Option<Errno>) {
        let start = self.bytes.len();
        let paths = [op.buf, op.buf2].into_iter().take(op.code.paths().into());
        let copied = paths.into_iter().try_for_each(|from| self.copy_string(from));
        let copied = copied.and_then(|()| input::copy(op.code.input(), op.buf2, op.len, &mut self.bytes));
        (start..self.bytes.len(), copied.err())
    }

    fn copy_string(&mut self, from: Memory) -> Result<()> {
        let is_same = |known: &&(Memory, Range<usize>)| known.0.address() == from.address() && !known.1.is_empty();
        if let Some((_, range)) = self.seen.iter().find(is_same) {
            self.bytes.try_reserve(range.len()).map_err(|_| Errno(libc::ENOMEM))?;
            self.bytes.extend_from_within(range.clone());
            return Ok(());
        }
        let start = self.bytes.len();
        path::copy_path(from, &mut self.bytes)?;
        self.seen[self.next] = (from, start..self.bytes.len());
        self.next = (self.next + 1) % SEEN;
        Ok(())
    }

    /// Whether the caller's string was empty when a submit checked it last.
    pub fn was_empty(&self, string: Memory) -> bool {
        !string.address().is_null() && string.address() == self.was_empty.address()
    }

    /// Whether the caller's string is known to be empty.
    pub fn is_empty(&mut self, string: Memory) -> bool {
        if string.address().is_null() {
            return false;
        }
        if string.address() != self.empty.address() && cached_open::is_empty(string) {
            (self.empty, self.was_empty) = (string, string);
        }
        string.address() == self.empty.address()
    }
}
