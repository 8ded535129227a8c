//! A validated operation and the memory it borrows.

use crate::sys::mem::{Memory, NULL};
use crate::sys::rw::MAX_TRANSFER;

/// What an operation does; the system call it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Nop,
    Read,
    Write,
    Fsync,
    Fdsync,
    Readv,
    Writev,
    SyncRange,
    Allocate,
    Truncate,
    Openat,
    Close,
    Statx,
    Renameat,
    Unlinkat,
    Mkdirat,
}

impl Code {
    /// Moves bytes between memory and a descriptor.
    pub fn transfers(self) -> bool {
        matches!(self, Self::Read | Self::Write | Self::Readv | Self::Writev)
    }

    pub fn reads(self) -> bool {
        matches!(self, Self::Read | Self::Readv)
    }

    pub fn vectored(self) -> bool {
        matches!(self, Self::Readv | Self::Writev)
    }

    /// Names a file by a path in `buf` (RENAMEAT: by a second one in `buf2` too).
    pub fn takes_path(self) -> bool {
        matches!(self, Self::Openat | Self::Statx | Self::Renameat | Self::Unlinkat | Self::Mkdirat)
    }

    pub fn uses_fd(self) -> bool {
        self != Self::Nop
    }
}

/// The offset that means the file's current position.
pub const CURRENT: u64 = u64::MAX;

/// One operation, checked for form. Whether the file and the memory are good, its system call says.
#[derive(Clone, Copy)]
pub struct Op {
    pub user_data: u64,
    pub code: Code,
    /// The next operation of the same submit starts only after this one succeeded in full.
    pub link: bool,
    /// Finish short transfers.
    pub full: bool,
    pub ioprio: u16,
    pub fd: i32,
    pub buf: Memory,
    pub len: u64,
    pub offset: u64,
    pub sys_flags: u32,
    pub mode: u32,
    pub timeout_ns: u64,
    pub buf2: Memory,
    /// A write to the device itself (O_DIRECT), as far as somebody asked: it takes the device's time.
    pub direct: bool,
    /// Its descriptor is known to be of a disk, so that the plain call waits for nothing else.
    pub storage: bool,
}

impl Op {
    /// Reads or writes at the file's current position, and so moves it.
    pub fn at_current(&self) -> bool {
        self.offset == CURRENT
    }

    /// The bytes that a transfer asks for; for vectored ones only the system call knows.
    pub fn wanted(&self) -> u64 {
        if self.code.vectored() { self.buf.iovec_total(self.len) } else { self.len }
    }

    /// Whether `result` is all that was asked for, so that a linked operation may start.
    pub fn succeeded_in_full(&self, result: i64) -> bool {
        result >= 0 && (!self.code.transfers() || result as u64 >= self.wanted())
    }
}

#[cfg(test)]
impl Op {
    pub fn nop(user_data: u64) -> Self {
        let nothing = SimpleTransfer { user_data, reads: true, hurried: false, fd: -1, buf: NULL, len: 0, offset: 0 };
        Self { code: Code::Nop, ..nothing.op() }
    }
}

/// A read or write at an offset that asks for nothing special.
#[derive(Clone, Copy)]
pub struct SimpleTransfer {
    pub user_data: u64,
    pub reads: bool,
    /// It has a priority or a timeout, which are for when it must wait.
    pub hurried: bool,
    pub fd: i32,
    pub buf: Memory,
    pub len: u64,
    pub offset: u64,
}

impl SimpleTransfer {
    /// io_uring takes it with the plain call's meaning, if it takes such ones of its file.
    #[inline(always)]
    pub fn fits_the_kernel(&self) -> bool {
        !self.hurried && (1..=MAX_TRANSFER).contains(&self.len) && i64::try_from(self.offset).is_ok()
    }

    /// In full; without its priority and timeout.
    #[inline(always)]
    pub fn op(self) -> Op {
        let Self { user_data, reads, hurried: _, fd, buf, len, offset } = self;
        Op {
            user_data,
            code: if reads { Code::Read } else { Code::Write },
            link: false,
            full: false,
            ioprio: 0,
            fd,
            buf,
            len,
            offset,
            sys_flags: 0,
            mode: 0,
            timeout_ns: 0,
            buf2: NULL,
            direct: false,
            storage: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_stays_small() {
        assert!(size_of::<Op>() <= 72);
    }
}
