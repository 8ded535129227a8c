//! Reads and writes of several buffers.

use std::io;

use super::{Descriptor, IoBuf, IoBufMut, lent};
use crate::api::state::{Operation, Outcome};
use crate::context::IovecBuf;
use crate::error::Result;
use crate::op::{Code, Op};

/// A read into buffers, one after the other.
pub struct ReadingParts<F, B> {
    pub fd: F,
    pub buffers: Vec<B>,
    pub offset: u64,
    pub parts: IovecBuf,
}

impl<F: Descriptor, B: IoBufMut> Operation for ReadingParts<F, B> {
    type Output = (io::Result<usize>, Vec<B>);

    fn describe(&mut self) -> Result<Op> {
        let parts = self.buffers.iter_mut().map(|buffer| (lent(buffer.as_mut_ptr()), buffer.capacity()));
        self.parts = IovecBuf::list(parts);
        let (buf, len) = (self.parts.as_memory(), self.parts.count());
        Ok(Op { fd: self.fd.raw(), buf, len, offset: self.offset, ..Op::of(Code::Readv) })
    }

    fn finish(mut self, outcome: Outcome) -> Self::Output {
        let read = outcome.size();
        if let Ok(size) = read {
            let mut left = size;
            for buffer in &mut self.buffers {
                let filled = left.min(buffer.capacity());
                // SAFETY: the library has filled the buffers in order, with that many bytes in all.
                unsafe { buffer.set_len(filled) };
                left -= filled;
            }
        }
        (read, self.buffers)
    }
}

/// A write from buffers, one after the other.
pub struct WritingParts<F, B> {
    pub fd: F,
    pub buffers: Vec<B>,
    pub offset: u64,
    pub parts: IovecBuf,
}

impl<F: Descriptor, B: IoBuf> Operation for WritingParts<F, B> {
    type Output = (io::Result<usize>, Vec<B>);

    fn describe(&mut self) -> Result<Op> {
        // The library only reads them.
        self.parts = IovecBuf::list(self.buffers.iter().map(|buffer| (lent(buffer.as_ptr().cast_mut()), buffer.len())));
        let (buf, len) = (self.parts.as_memory(), self.parts.count());
        Ok(Op { fd: self.fd.raw(), buf, len, offset: self.offset, ..Op::of(Code::Writev) })
    }

    fn finish(self, outcome: Outcome) -> Self::Output {
        (outcome.size(), self.buffers)
    }
}
