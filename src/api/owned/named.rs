//! Operations on a name and a buffer: symbolic links and extended attributes.

use std::io;

use super::path::{Name, c_string, name_address};
use super::{Descriptor, IoBuf, IoBufMut, filled, lent};
use crate::api::state::{Operation, Outcome};
use crate::context::NULL;
use crate::error::Result;
use crate::op::{Code, Op};

/// Gets what a name has into a buffer.
pub struct Getting<F, B> {
    pub fd: F,
    pub code: Code,
    /// None for a list of all.
    pub name: Option<Name>,
    pub buffer: B,
}

impl<F: Descriptor, B: IoBufMut> Operation for Getting<F, B> {
    type Output = (io::Result<usize>, B);

    fn describe(&mut self) -> Result<Op> {
        let buf = self.name.as_ref().map_or(Ok(NULL), name_address)?;
        let (buf2, len) = (lent(self.buffer.as_mut_ptr()), self.buffer.capacity() as u64);
        Ok(Op { fd: self.fd.raw(), buf, buf2, len, ..Op::of(self.code) })
    }

    fn finish(self, outcome: Outcome) -> Self::Output {
        filled(self.buffer, outcome)
    }
}

/// Sets what a name has from a buffer.
pub struct Setting<F, B> {
    pub fd: F,
    pub code: Code,
    pub name: Name,
    pub buffer: B,
}

impl<F: Descriptor, B: IoBuf> Operation for Setting<F, B> {
    type Output = (io::Result<usize>, B);

    fn describe(&mut self) -> Result<Op> {
        // The library only reads it.
        let (buf2, len) = (lent(self.buffer.as_ptr().cast_mut()), self.buffer.len() as u64);
        Ok(Op { fd: self.fd.raw(), buf: name_address(&self.name)?, buf2, len, ..Op::of(self.code) })
    }

    fn finish(self, outcome: Outcome) -> Self::Output {
        (outcome.size(), self.buffer)
    }
}

/// The name of an extended attribute, or a path.
pub fn name(name: &std::path::Path) -> Name {
    c_string(name)
}
