//! The operations that take the fast path.

use super::{CURRENT, Code, Op, Role};
use crate::sys::mem::{Memory, NULL};
use crate::sys::rw::MAX_TRANSFER;

/// A read or write at an offset that asks for nothing special.
#[derive(Clone, Copy)]
pub struct SimpleTransfer {
    pub user_data: u64,
    pub reads: bool,
    /// It has a priority or a timeout, which matter only if it must wait.
    pub hurried: bool,
    pub fd: i32,
    pub buf: Memory,
    pub len: u64,
    pub offset: u64,
}

impl SimpleTransfer {
    /// The same as [`Op::fits_the_kernel`].
    #[inline(always)]
    pub fn fits_the_kernel(&self) -> bool {
        !self.hurried && (1..=MAX_TRANSFER).contains(&self.len) && i64::try_from(self.offset).is_ok()
    }

    /// The whole operation, without its priority and timeout.
    #[inline(always)]
    pub fn op(self) -> Op {
        let Self { user_data, reads, hurried: _, fd, buf, len, offset } = self;
        Op {
            user_data,
            code: if reads { Code::Read } else { Code::Write },
            link: false,
            full: false,
            dir2: false,
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
            cached: false,
            brief: false,
            role: Role::None,
        }
    }
}

impl Op {
    /// The operation as a [`SimpleTransfer`], if it is well-formed and one.
    #[inline(always)]
    pub fn simple(&self) -> Option<SimpleTransfer> {
        let special = self.link | self.full | self.dir2 | !self.buf2.address().is_null();
        let special = special | (self.sys_flags | self.mode != 0);
        let reads = self.code == Code::Read;
        ((reads || self.code == Code::Write) && !special && self.offset != CURRENT).then(|| SimpleTransfer {
            user_data: self.user_data,
            reads,
            hurried: self.timeout_ns | u64::from(self.ioprio) != 0,
            fd: self.fd,
            buf: self.buf,
            len: self.len,
            offset: self.offset,
        })
    }
}
