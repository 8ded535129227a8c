//! Short constructors for operations.

use super::*;
use std::ffi::{CStr, c_void};

/// An operation of `opcode` on `fd`. All other fields are zero.
pub fn op(opcode: u8, fd: i32) -> caio_op {
    caio_op {
        user_data: 0,
        opcode,
        flags: 0,
        ioprio: 0,
        fd,
        buf: std::ptr::null_mut(),
        #[cfg(target_pointer_width = "32")]
        reserved_buf: 0,
        len: 0,
        offset: 0,
        sys_flags: 0,
        mode: 0,
        timeout_ns: 0,
        buf2: std::ptr::null_mut(),
        #[cfg(target_pointer_width = "32")]
        reserved_buf2: 0,
    }
}

/// Setters for the fields of an operation.
pub trait OpExt: Sized {
    fn tag(self, user_data: u64) -> Self;
    fn flag(self, flags: u8) -> Self;
    fn link(self) -> Self {
        self.flag(CAIO_FLAG_LINK)
    }
    fn full(self) -> Self {
        self.flag(CAIO_FLAG_FULL)
    }
    fn buf<T>(self, buf: *const T) -> Self;
    fn buf2<T>(self, buf2: *const T) -> Self;
    fn len(self, len: u64) -> Self;
    fn at(self, offset: u64) -> Self;
    fn current(self) -> Self {
        self.at(CAIO_OFFSET_CURRENT)
    }
    fn sys(self, sys_flags: i64) -> Self;
    fn mode(self, mode: u32) -> Self;
    fn timeout(self, timeout: Duration) -> Self;
    fn ioprio(self, ioprio: u16) -> Self;
}

impl OpExt for caio_op {
    fn tag(mut self, user_data: u64) -> Self {
        self.user_data = user_data;
        self
    }
    fn flag(mut self, flags: u8) -> Self {
        self.flags |= flags;
        self
    }
    fn buf<T>(mut self, buf: *const T) -> Self {
        self.buf = buf as *mut c_void;
        self
    }
    fn buf2<T>(mut self, buf2: *const T) -> Self {
        self.buf2 = buf2 as *mut c_void;
        self
    }
    fn len(mut self, len: u64) -> Self {
        self.len = len;
        self
    }
    fn at(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }
    fn sys(mut self, sys_flags: i64) -> Self {
        self.sys_flags = sys_flags as u32;
        self
    }
    fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }
    fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_ns = timeout.as_nanos() as u64;
        self
    }
    fn ioprio(mut self, ioprio: u16) -> Self {
        self.ioprio = ioprio;
        self
    }
}

pub fn nop() -> caio_op {
    op(CAIO_OP_NOP, -1)
}

/// A read into all of `buf` at `offset`.
pub fn read(fd: i32, buf: &mut [u8], offset: u64) -> caio_op {
    op(CAIO_OP_READ, fd).buf(buf.as_mut_ptr()).len(buf.len() as u64).at(offset)
}

/// A write of all of `buf` at `offset`.
pub fn write(fd: i32, buf: &[u8], offset: u64) -> caio_op {
    op(CAIO_OP_WRITE, fd).buf(buf.as_ptr()).len(buf.len() as u64).at(offset)
}

pub fn readv(fd: i32, iovecs: &[libc::iovec], offset: u64) -> caio_op {
    op(CAIO_OP_READV, fd).buf(iovecs.as_ptr()).len(iovecs.len() as u64).at(offset)
}

pub fn writev(fd: i32, iovecs: &[libc::iovec], offset: u64) -> caio_op {
    readv(fd, iovecs, offset).opcode(CAIO_OP_WRITEV)
}

/// An iovec for all of `buf`. READV writes to it.
pub fn iovec(buf: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: buf.as_ptr() as *mut c_void, iov_len: buf.len() }
}

pub fn fsync(fd: i32) -> caio_op {
    op(CAIO_OP_FSYNC, fd)
}

pub fn fdsync(fd: i32) -> caio_op {
    op(CAIO_OP_FDSYNC, fd)
}

pub fn close(fd: i32) -> caio_op {
    op(CAIO_OP_CLOSE, fd)
}

pub fn truncate(fd: i32, size: u64) -> caio_op {
    op(CAIO_OP_TRUNCATE, fd).at(size)
}

pub fn openat(dir: i32, path: &CStr, flags: i32, mode: u32) -> caio_op {
    op(CAIO_OP_OPENAT, dir).buf(path.as_ptr()).sys(flags.into()).mode(mode)
}

/// statx(2) with the basic mask.
pub fn statx(dir: i32, path: &CStr, to: &mut libc::statx) -> caio_op {
    op(CAIO_OP_STATX, dir).buf(path.as_ptr()).buf2(to).mode(libc::STATX_BASIC_STATS)
}

pub fn renameat(dir: i32, from: &CStr, to: &CStr) -> caio_op {
    op(CAIO_OP_RENAMEAT, dir).buf(from.as_ptr()).buf2(to.as_ptr())
}

pub fn unlinkat(dir: i32, path: &CStr) -> caio_op {
    op(CAIO_OP_UNLINKAT, dir).buf(path.as_ptr())
}

pub fn mkdirat(dir: i32, path: &CStr, mode: u32) -> caio_op {
    op(CAIO_OP_MKDIRAT, dir).buf(path.as_ptr()).mode(mode)
}

/// The same operations, each but the last linked to the next.
pub fn chain(ops: &[caio_op]) -> Vec<caio_op> {
    let last = ops.len() - 1;
    ops.iter().enumerate().map(|(at, op)| if at < last { op.link() } else { *op }).collect()
}

trait Opcode {
    fn opcode(self, opcode: u8) -> Self;
}

impl Opcode for caio_op {
    fn opcode(mut self, opcode: u8) -> Self {
        self.opcode = opcode;
        self
    }
}
