//! Blocking execution: a worker thread runs an operation as its plain system call, with that call's errno. The thread
//! backend runs all operations this way; the others run those that their kernel interface does not support.

use std::ffi::CStr;

use crate::error::{Errno, Result};
use crate::op::{Code, Op};
use crate::sys::mem::IovecBuf;
use crate::sys::rw::{self, MAX_TRANSFER, Transfer};
use crate::sys::{file_kind, fs, thread};

/// Memory that a thread reuses from operation to operation.
#[derive(Default)]
pub struct Scratch {
    iovecs: IovecBuf,
}

/// Runs an operation and returns its result. `moved` bytes were moved before; `paths` are its NUL-terminated paths.
/// Between the system calls of a long transfer, `stopped` may end it with an errno.
pub fn run(op: &Op, moved: u64, paths: &[u8], scratch: &mut Scratch, stopped: impl Fn() -> Option<Errno>) -> i64 {
    let _given_back = (op.ioprio != 0).then(|| thread::IoPriority::set(op.ioprio));
    if op.code.transfers() {
        transfer(op, moved, scratch, stopped)
    } else {
        call(op, paths).map_or_else(Errno::as_result, |value| value as i64)
    }
}

fn call(op: &Op, paths: &[u8]) -> Result<u64> {
    match op.code {
        Code::Fsync => fs::fsync(op.fd),
        Code::Fdsync => fs::fdatasync(op.fd),
        Code::SyncRange => fs::sync_file_range(op.fd, op.offset, op.len, op.sys_flags),
        Code::Allocate => fs::fallocate(op.fd, op.sys_flags, op.offset, op.len),
        Code::Truncate => fs::ftruncate(op.fd, op.offset),
        Code::Close => fs::close(op.fd),
        Code::Openat => fs::openat(op.fd, first_path(paths), op.sys_flags, op.mode),
        Code::Statx => fs::statx(op.fd, first_path(paths), op.sys_flags, op.mode, op.buf2),
        Code::Renameat => fs::renameat2(op.fd, first_path(paths), second_path(paths), op.sys_flags),
        Code::Unlinkat => fs::unlinkat(op.fd, first_path(paths), op.sys_flags),
        Code::Mkdirat => fs::mkdirat(op.fd, first_path(paths), op.mode),
        Code::Nop | Code::Read | Code::Write | Code::Readv | Code::Writev => Ok(0),
    }
}

/// The first of the NUL-terminated paths in `paths`.
pub fn first_path(paths: &[u8]) -> &CStr {
    CStr::from_bytes_until_nul(paths).unwrap_or(c"")
}

fn second_path(paths: &[u8]) -> &CStr {
    first_path(&paths[first_path(paths).to_bytes_with_nul().len()..])
}

fn transfer(op: &Op, mut moved: u64, scratch: &mut Scratch, stopped: impl Fn() -> Option<Errno>) -> i64 {
    loop {
        match remaining(op, moved, scratch).and_then(|rest| rw::transfer(&rest)) {
            Ok(0) => return moved as i64,
            Ok(more) => moved += more,
            Err(errno) => return failed_result(op, moved, errno),
        }
        if !op.full || moved >= op.wanted() {
            return moved as i64;
        }
        if let Some(errno) = stopped() {
            return failed_result(op, moved, errno);
        }
    }
}

/// The system call for the rest of a transfer after `moved` bytes; or ENOMEM. Without FULL, all calls of an operation
/// together move no more than one plain call does.
pub fn remaining(op: &Op, moved: u64, scratch: &mut Scratch) -> Result<Transfer> {
    let most = if op.full { u64::MAX } else { MAX_TRANSFER.saturating_sub(moved) };
    let (memory, count) = if moved == 0 {
        (op.buf, op.len)
    } else if op.code.vectored() {
        op.buf.iovecs_after(op.len, moved, most, &mut scratch.iovecs)?;
        (scratch.iovecs.as_memory(), scratch.iovecs.count())
    } else {
        (op.buf.advanced(moved), (op.len - moved).min(most))
    };
    Ok(Transfer {
        fd: op.fd,
        reads: op.code.reads(),
        vectored: op.code.vectored(),
        memory,
        count,
        offset: if op.at_current() { op.offset } else { op.offset.wrapping_add(moved) },
        flags: op.sys_flags,
    })
}

/// The result of a transfer that an error, a cancel or a timeout ended after `moved` bytes. Bytes from a pipe or socket
/// are never dropped, so they count. At an explicit offset, FULL promises all bytes or an error.
pub fn failed_result(op: &Op, moved: u64, errno: Errno) -> i64 {
    let partial_counts = !op.full || op.at_current() || at_unaligned_end(op, moved, errno);
    if moved > 0 && partial_counts { moved as i64 } else { errno.as_result() }
}

/// A direct read that has reached the end of a file of unaligned size. The kernel refuses the next read with EINVAL,
/// because its offset is unaligned; but there is nothing left to read.
fn at_unaligned_end(op: &Op, moved: u64, errno: Errno) -> bool {
    errno.0 == libc::EINVAL
        && op.code.reads()
        && !op.at_current()
        && file_kind::look(op.fd).ends_before(op.offset.saturating_add(moved))
}
