//! The arguments of reads, writes and copies.

use super::fd::RawFd;
use super::mem::Memory;
use crate::error::Result;
use crate::sys::CURRENT;

/// The arguments of a read or write.
#[derive(Clone, Copy)]
pub struct Transfer {
    pub fd: RawFd,
    pub reads: bool,
    /// `memory` is an array of `count` iovecs, else `count` bytes.
    pub vectored: bool,
    pub memory: Memory,
    pub count: u64,
    /// [`CURRENT`] for the current position.
    pub offset: u64,
    /// `RWF_*`, with the numbers of Linux.
    pub flags: u32,
}

/// The arguments of a copy from one descriptor to another.
#[derive(Clone, Copy)]
pub struct Copy {
    pub from: i32,
    /// [`CURRENT`] for the current position.
    pub offset: u64,
    pub to: i32,
    /// None for the current position.
    pub to_offset: Option<u64>,
    pub len: u64,
}

impl Copy {
    /// The same, after `moved` bytes. The kernel advances the current positions itself.
    pub fn after(self, moved: u64) -> Self {
        Self {
            offset: if self.offset == CURRENT { CURRENT } else { self.offset.wrapping_add(moved) },
            to_offset: self.to_offset.map(|offset| offset.wrapping_add(moved)),
            len: self.len - moved,
            ..self
        }
    }

    /// Whether the two ranges overlap, in one file. `position` returns the current position of a descriptor.
    pub fn ranges_overlap(&self, position: impl Fn(RawFd) -> Result<u64>) -> bool {
        let at = |fd, offset: Option<u64>| offset.or_else(|| position(fd).ok()).unwrap_or(0);
        let explicit = (self.offset != CURRENT).then_some(self.offset);
        at(self.from, explicit).abs_diff(at(self.to, self.to_offset)) < self.len
    }
}
