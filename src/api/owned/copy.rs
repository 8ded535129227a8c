//! Copies from one descriptor to another.

use std::io;

use super::{Descriptor, lent};
use crate::api::state::{Operation, Outcome};
use crate::context::NULL;
use crate::error::Result;
use crate::op::{Code, Op};

/// Copies `len` bytes at `offset` of `from`.
pub struct Copying<F, T> {
    pub code: Code,
    pub from: F,
    pub offset: u64,
    pub to: T,
    /// The offset in the destination; None for its current position. The library reads it when it accepts the operation.
    pub to_offset: Option<Box<u64>>,
    pub len: u64,
}

impl<F: Descriptor, T: Descriptor> Operation for Copying<F, T> {
    type Output = io::Result<u64>;

    fn describe(&mut self) -> Result<Op> {
        let buf2 = self.to_offset.as_mut().map_or(NULL, |offset| lent((&raw mut **offset).cast()));
        let (offset, len, mode) = (self.offset, self.len, self.to.raw() as u32);
        Ok(Op { fd: self.from.raw(), offset, len, mode, buf2, ..Op::of(self.code) })
    }

    fn finish(self, outcome: Outcome) -> Self::Output {
        outcome.result()
    }
}
