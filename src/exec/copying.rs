//! Copies from one descriptor to another: COPY_RANGE, SENDFILE and SPLICE. The kernel makes the copy, or else the library
//! reads and writes.

use super::blocking::{Scratch, failed_result};
use crate::error::{Errno, Result};
use crate::op::{CURRENT, Code, Op};
use crate::sys::file_kind::{self, FileKind};
use crate::sys::input;
use crate::sys::mem::{self, Memory, zeroed};
use crate::sys::ranges::{self, Copy};
use crate::sys::rw::{self, Transfer};

/// The bytes that one step reads before it writes them.
const STEP: usize = 256 * 1024;

/// Runs a copy and returns its result; `moved` bytes were moved before. Between the system calls, `stopped` may end it.
pub fn run(op: &Op, mut moved: u64, input: &[u8], scratch: &mut Scratch, stopped: impl Fn() -> Option<Errno>) -> i64 {
    let all = copy_of(op, input);
    loop {
        match step(op, &all.after(moved), scratch) {
            Ok(0) => return moved as i64,
            Ok(more) => moved += more,
            Err(errno) => return failed_result(op, moved, errno),
        }
        if !op.full || moved >= op.len {
            return moved as i64;
        }
        if let Some(errno) = stopped() {
            return failed_result(op, moved, errno);
        }
    }
}

fn copy_of(op: &Op, input: &[u8]) -> Copy {
    Copy { from: op.fd, offset: op.offset, to: op.mode as i32, to_offset: input::offset(input), len: op.len }
}

fn step(op: &Op, copy: &Copy, scratch: &mut Scratch) -> Result<u64> {
    match op.code {
        Code::Sendfile => ranges::sendfile(copy),
        Code::Splice => ranges::splice(copy, op.sys_flags),
        _ => copy_range(copy, scratch),
    }
}

fn copy_range(copy: &Copy, scratch: &mut Scratch) -> Result<u64> {
    match ranges::copy_file_range(copy) {
        Err(errno) if kernel_cannot(errno, copy) => read_and_write(copy, scratch),
        // Files whose content the kernel generates have a size of 0.
        Ok(0) if copy.len > 0 => read_and_write(copy, scratch),
        answer => answer,
    }
}

/// Whether the error is about this pair of files, and reading and writing may work.
fn kernel_cannot(errno: Errno, copy: &Copy) -> bool {
    let forbidden = || {
        let bad = Copy { from: -1, ..*copy };
        errno.is_forbidden() && ranges::copy_file_range(&bad) == Err(errno)
    };
    let unable = matches!(errno.0, libc::EINVAL | libc::EXDEV | libc::EOPNOTSUPP);
    (unable || forbidden()) && reads_without_waiting(copy.from) && !ranges::overlaps(copy)
}

/// Whether reading the source waits for a disk at most. Most files whose content the kernel generates do not wait either.
fn reads_without_waiting(fd: i32) -> bool {
    file_kind::of(fd) == FileKind::Storage || file_kind::is_regular(fd) && rw::is_ready(fd, true)
}

/// Moves as much as one system call would: all of it, up to the end of the file.
fn read_and_write(copy: &Copy, scratch: &mut Scratch) -> Result<u64> {
    // The position moves only by what was written.
    let start = if copy.offset == CURRENT { ranges::position(copy.from)? } else { copy.offset };
    let mut moved = 0;
    let answer = loop {
        if moved >= copy.len.min(rw::MAX_TRANSFER) {
            break Ok(moved);
        }
        match copy_step(copy, start, moved, scratch) {
            Ok(0) => break Ok(moved),
            Ok(more) => moved += more,
            Err(errno) => break if moved > 0 { Ok(moved) } else { Err(errno) },
        }
    };
    if copy.offset == CURRENT {
        ranges::set_position(copy.from, start.wrapping_add(moved))?;
    }
    answer
}

fn copy_step(copy: &Copy, start: u64, moved: u64, scratch: &mut Scratch) -> Result<u64> {
    if scratch.bytes.is_empty() {
        scratch.bytes = zeroed(STEP)?;
    }
    let memory = mem::of_bytes(&mut scratch.bytes);
    let read =
        rw::transfer(&part(copy.from, true, memory, (copy.len - moved).min(STEP as u64), start.wrapping_add(moved)))?;
    if read == 0 {
        return Ok(0);
    }
    let to_offset = copy.to_offset.map_or(CURRENT, |offset| offset.wrapping_add(moved));
    rw::transfer(&part(copy.to, false, memory, read, to_offset))
}

fn part(fd: i32, reads: bool, memory: Memory, count: u64, offset: u64) -> Transfer {
    Transfer { fd, reads, vectored: false, memory, count, offset, flags: 0 }
}
