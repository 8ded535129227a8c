//! Reads and writes of one buffer, and reads of a directory.

use std::io;

use super::{Descriptor, IoBuf, IoBufMut, filled, lent};
use crate::api::state::{Operation, Outcome};
use crate::error::Result;
use crate::op::{Code, Op};

/// A read into a buffer.
pub struct Reading<F, B> {
    pub fd: F,
    pub buffer: B,
    pub offset: u64,
}

impl<F: Descriptor, B: IoBufMut> Operation for Reading<F, B> {
    type Output = (io::Result<usize>, B);

    fn describe(&mut self) -> Result<Op> {
        let (buf, len) = (lent(self.buffer.as_mut_ptr()), self.buffer.capacity() as u64);
        Ok(Op { fd: self.fd.raw(), buf, len, offset: self.offset, ..Op::of(Code::Read) })
    }

    fn finish(self, outcome: Outcome) -> Self::Output {
        filled(self.buffer, outcome)
    }
}

/// A write from a buffer.
pub struct Writing<F, B> {
    pub fd: F,
    pub buffer: B,
    pub offset: u64,
}

impl<F: Descriptor, B: IoBuf> Operation for Writing<F, B> {
    type Output = (io::Result<usize>, B);

    fn describe(&mut self) -> Result<Op> {
        // The library only reads it.
        let (buf, len) = (lent(self.buffer.as_ptr().cast_mut()), self.buffer.len() as u64);
        Ok(Op { fd: self.fd.raw(), buf, len, offset: self.offset, ..Op::of(Code::Write) })
    }

    fn finish(self, outcome: Outcome) -> Self::Output {
        (outcome.size(), self.buffer)
    }
}

/// A read of the entries of a directory.
pub struct Entries<F, B> {
    pub fd: F,
    pub buffer: B,
}

impl<F: Descriptor, B: IoBufMut> Operation for Entries<F, B> {
    type Output = (io::Result<usize>, B);

    fn describe(&mut self) -> Result<Op> {
        let (buf, len) = (lent(self.buffer.as_mut_ptr()), self.buffer.capacity() as u64);
        Ok(Op { fd: self.fd.raw(), buf, len, ..Op::of(Code::Getdents) })
    }

    fn finish(self, outcome: Outcome) -> Self::Output {
        filled(self.buffer, outcome)
    }
}
