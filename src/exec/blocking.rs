//! Blocking execution: a worker thread runs an operation as its plain system call, with that call's errno. The thread
//! backend runs all operations this way; the others run those that their kernel interface does not support.

use std::ffi::CStr;

use crate::error::{Errno, Result};
use crate::op::{Code, Op, Role};
use crate::sys::cached::Answer;
use crate::sys::mem::IovecBuf;
use crate::sys::rw::{self, MAX_TRANSFER, Transfer};
use crate::sys::{MISSING, attributes, cached_open, file_kind, fs, input, links, ranges, thread};

/// Memory that a thread reuses from operation to operation.
#[derive(Default)]
pub struct Scratch {
    iovecs: IovecBuf,
    /// What a copy has read and not written yet.
    pub(super) bytes: Vec<u8>,
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
    let path = first_path(paths);
    match op.code {
        Code::Fsync => fs::fsync(op.fd),
        Code::Fdsync => fs::fdatasync(op.fd),
        Code::SyncRange => fs::sync_file_range(op.fd, op.offset, op.len, op.sys_flags),
        Code::Allocate => fs::fallocate(op.fd, op.sys_flags, op.offset, op.len),
        Code::Truncate => fs::ftruncate(op.fd, op.offset),
        Code::Close => fs::close(op.fd),
        Code::Openat | Code::Openat2 => open(op, op.fd, paths),
        Code::Statx => fs::statx(op.fd, path, op.sys_flags, op.mode, op.buf2),
        Code::Renameat => fs::renameat2(op.fd, path, op.second_directory(), second_path(paths), op.sys_flags),
        Code::Unlinkat => fs::unlinkat(op.fd, path, op.sys_flags),
        Code::Mkdirat => fs::mkdirat(op.fd, path, op.mode),
        Code::Mknodat => links::mknodat(op.fd, path, op.mode, op.offset),
        Code::Readlinkat => links::readlinkat(op.fd, path, op.buf2, op.len),
        Code::Symlinkat => links::symlinkat(path, op.fd, second_path(paths)),
        Code::Linkat => links::linkat(op.fd, path, op.second_directory(), second_path(paths), op.sys_flags),
        Code::Getdents => links::getdents(op.fd, op.buf, op.len),
        Code::Fchmodat => attributes::fchmodat(op.fd, path, op.mode, op.sys_flags),
        Code::Fchownat => attributes::fchownat(op.fd, path, op.mode, op.len, op.sys_flags),
        Code::Utimensat => attributes::utimensat(op.fd, path, input(op, paths), op.sys_flags),
        Code::Faccessat => attributes::faccessat(op.fd, path, op.mode, op.sys_flags),
        Code::Fgetxattr => attributes::fgetxattr(op.fd, path, op.buf2, op.len),
        Code::Fsetxattr => attributes::fsetxattr(op.fd, path, op.buf2, op.len, op.sys_flags),
        Code::Flistxattr => attributes::flistxattr(op.fd, op.buf2, op.len),
        Code::Fremovexattr => attributes::fremovexattr(op.fd, path),
        Code::Syncfs => attributes::syncfs(op.fd),
        Code::Fstatfs => attributes::fstatfs(op.fd, op.buf2),
        Code::Fadvise => ranges::advise(op.fd, op.offset, op.len, op.sys_flags),
        Code::Seek => ranges::seek(op.fd, op.offset, op.sys_flags),
        Code::Nop | Code::Read | Code::Write | Code::Readv | Code::Writev => Ok(0),
        Code::CopyRange | Code::Sendfile | Code::Splice => Ok(0),
    }
}

/// Opens a path that is relative to `dir`, which the caller's descriptor may have been copied to.
pub fn open(op: &Op, dir: i32, paths: &[u8]) -> Result<u64> {
    match op.code {
        Code::Openat => fs::openat(dir, first_path(paths), op.sys_flags, op.mode),
        _ => fs::open_how(dir, first_path(paths), input(op, paths), op.len),
    }
}

/// Makes an open that must not wait. None if it asks for more than to read a file.
pub fn open_cached(op: &Op, scratch: &mut Scratch) -> Option<Answer> {
    let (flags, resolve) = match op.code {
        Code::Openat => (u64::from(op.sys_flags), 0),
        _ => {
            scratch.bytes.clear();
            input::copy(op.code.input(), op.buf2, op.len, &mut scratch.bytes).ok()?;
            fs::flags_and_resolve(&scratch.bytes)?
        }
    };
    let for_chain = op.role == Role::OpensForChain;
    (flags & !cached_open::FLAGS == 0).then(|| cached_open::open(op.fd, op.buf, flags, resolve, for_chain))
}

/// Whether an open may wait for something other than a disk.
pub fn open_may_block(op: &Op, paths: &[u8]) -> bool {
    let flags = if op.code == Code::Openat { op.sys_flags } else { fs::open_flags(input(op, paths)) };
    fs::open_may_block(op.fd, first_path(paths), flags)
}

/// Whether the system has a call for an opcode; without one, an operation yields EOPNOTSUPP.
pub fn has_call(code: Code) -> bool {
    !MISSING.contains(&(code as u8))
}

/// The first of the NUL-terminated paths in `paths`.
pub fn first_path(paths: &[u8]) -> &CStr {
    CStr::from_bytes_until_nul(paths).unwrap_or(c"")
}

fn second_path(paths: &[u8]) -> &CStr {
    first_path(behind_first(paths))
}

fn behind_first(paths: &[u8]) -> &[u8] {
    paths.get(first_path(paths).to_bytes_with_nul().len()..).unwrap_or_default()
}

/// The structure behind the paths.
pub fn input<'a>(op: &Op, paths: &'a [u8]) -> &'a [u8] {
    (0..op.code.paths()).fold(paths, |rest, _| behind_first(rest))
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
    let partial_counts = !op.full || op.moves_at_current() || at_unaligned_end(op, moved, errno);
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
