//! Blocking calls that nothing can interrupt, for systems where io_uring is forbidden. They use the library's own
//! memory, so that `caio_ctx_free` need not wait for them.

use super::blocking::{Scratch, remaining};
use crate::error::{Errno, Result};
use crate::op::Op;
use crate::sys::file_kind;
use crate::sys::mem::{IovecBuf, Memory, room, zeroed};
use crate::sys::rw::{self, MAX_TRANSFER, Transfer};
use crate::sys::{copy, mem};

/// A call that uses only the descriptor's number of what the caller lent, and that only when it starts.
pub struct DetachedCall {
    fd: i32,
    reads: bool,
    offset: u64,
    flags: u32,
    bytes: Vec<u8>,
    /// The address and length of each part of the caller's memory.
    parts: Vec<(Memory, usize)>,
    /// The same parts, in `bytes`: a device may treat each part of a vectored call as a call of its own.
    own_parts: Option<IovecBuf>,
    /// The room of a pipe or terminal that is ready. A write moves what fits, in pieces of this size.
    piece: Option<usize>,
}

impl DetachedCall {
    /// The call for the rest of an operation after `moved` bytes. Copies the bytes of a write.
    pub fn prepare(op: &Op, moved: u64) -> Result<Self> {
        let mut scratch = Scratch::default();
        let Transfer { fd, reads, vectored, memory, count, offset, flags } = remaining(op, moved, &mut scratch)?;
        let mut parts = if vectored { mem::copy_parts(memory, count)? } else { room(1)? };
        if !vectored {
            parts.push((memory, most(count)));
        }
        let total: usize = parts.iter().map(|(_, length)| length).sum();
        let total = total.min(most(u64::MAX));
        let total = if reads { writable(&parts, total)? } else { total };
        let piece = if reads { None } else { file_kind::room_when_ready(fd) };
        let mut bytes = zeroed(total)?;
        let mut done = 0;
        for (_, length) in &mut parts {
            *length = (*length).min(total - done);
            done += *length;
        }
        let own_parts = if vectored && piece.is_none() {
            Some(IovecBuf::of(&mut bytes, parts.iter().map(|(_, length)| *length))?)
        } else {
            None
        };
        let mut call = Self { fd, reads, offset, flags, bytes, parts, own_parts, piece };
        if !reads {
            call.each_part(total, |bytes, memory| copy::from_caller(memory, bytes))?;
        }
        Ok(call)
    }

    /// Makes the call, which may never return.
    pub fn run(&mut self) -> Result<u64> {
        if let Some(piece) = self.piece {
            return self.write_pieces(piece);
        }
        let Self { fd, reads, offset, flags, .. } = *self;
        let (vectored, memory, count) = match &self.own_parts {
            Some(parts) => (true, parts.as_memory(), parts.count()),
            None => (false, mem::of_bytes(&mut self.bytes), self.bytes.len() as u64),
        };
        rw::transfer(&Transfer { fd, reads, vectored, memory, count, offset, flags })
    }

    /// Writes until there is no more room.
    fn write_pieces(&mut self, piece: usize) -> Result<u64> {
        let Self { fd, reads, offset, flags, .. } = *self;
        let mut done = 0;
        for part in self.bytes.chunks_mut(piece) {
            let (memory, count) = (mem::of_bytes(part), part.len() as u64);
            let answer = rw::transfer(&Transfer { fd, reads, vectored: false, memory, count, offset, flags });
            match answer {
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
                Ok(more) => done += more,
            }
            if answer != Ok(count) || !rw::is_ready(fd, false) {
                break;
            }
        }
        Ok(done)
    }

    /// Copies the bytes of a read to the caller's memory.
    pub fn deliver(&mut self, count: u64) -> Result<()> {
        if !self.reads {
            return Ok(());
        }
        self.each_part(count as usize, |bytes, memory| copy::to_caller(bytes, memory))
    }

    /// Calls `work` for each part of the first `count` bytes, with the caller's memory for it.
    fn each_part(&mut self, count: usize, mut work: impl FnMut(&mut [u8], Memory) -> Result<()>) -> Result<()> {
        let mut rest = &mut self.bytes[..count];
        for (memory, length) in &self.parts {
            let (part, after) = rest.split_at_mut((*length).min(rest.len()));
            rest = after;
            work(part, *memory)?;
        }
        Ok(())
    }
}

/// How many of the first `total` bytes the caller's memory can take: a read into bad memory must not take data. EFAULT for
/// none.
fn writable(parts: &[(Memory, usize)], total: usize) -> Result<usize> {
    let mut found = 0;
    for (memory, length) in parts {
        let length = (*length).min(total - found);
        let fits = copy::writable(*memory, length);
        found += fits;
        if fits < length {
            break;
        }
    }
    if found == 0 && total > 0 { Err(Errno(libc::EFAULT)) } else { Ok(found) }
}

fn most(count: u64) -> usize {
    count.min(MAX_TRANSFER) as usize
}
