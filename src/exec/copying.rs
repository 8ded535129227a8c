//! Copies from one descriptor to another: COPY_RANGE, SENDFILE and SPLICE. The kernel makes the copy, or else the library
//! reads and writes. No step waits for anything but a disk: the poller waits until a stream is ready.

use super::blocking::{Scratch, failed_result};
use super::nonblocking::{Method, is_nonblocking};
use crate::error::{Errno, Result};
use crate::op::{CURRENT, Code, Op};
use crate::sys::file_kind::{self, FileKind};
use crate::sys::input;
use crate::sys::interruptible;
use crate::sys::mem::{self, Memory, zeroed};
use crate::sys::ranges::{self, Copy};
use crate::sys::rw::{self, Transfer};

/// The bytes that one step reads before it writes them.
const STEP: usize = 256 * 1024;
const EAGAIN: Errno = Errno(libc::EAGAIN);
const EINVAL: Errno = Errno(libc::EINVAL);

/// The outcome of a copy.
pub enum Copied {
    Done(i64),
    /// After this many bytes, one of the descriptors is not ready: see [`awaited`].
    Waits(u64),
}

/// Runs a copy; `moved` bytes were moved before. Between the system calls, `stopped` may end it.
pub fn run(
    op: &Op,
    mut moved: u64,
    input: &[u8],
    scratch: &mut Scratch,
    stopped: impl Fn() -> Option<Errno>,
) -> Copied {
    let all = copy_of(op, input);
    let goes_on = op.full || goes_on_while_it_fits(op);
    loop {
        match step(op, &all.after(moved), scratch) {
            Ok(0) => return Copied::Done(moved as i64),
            Ok(more) => moved += more,
            Err(EAGAIN) if moved > 0 && !op.full => return Copied::Done(moved as i64),
            Err(EAGAIN) if !wants_eagain(op) => return Copied::Waits(moved),
            Err(errno) => return Copied::Done(failed_result(op, moved, errno)),
        }
        if !goes_on || moved >= op.len {
            return Copied::Done(moved as i64);
        }
        if let Some(errno) = stopped() {
            return Copied::Done(failed_result(op, moved, errno));
        }
    }
}

/// As a write does, a copy to a stream goes on while the stream takes something. A splice to a pipe is one call.
fn goes_on_while_it_fits(op: &Op) -> bool {
    let to = op.mode as i32;
    is_stream(to) && (op.code != Code::Splice || file_kind::is_pipe(op.fd) && !file_kind::is_pipe(to))
}

/// The descriptor that a copy waits for, and whether it must become readable.
pub fn awaited(op: &Op) -> (i32, bool) {
    let waits_for_source = op.code == Code::Splice && is_stream(op.fd) && !rw::is_ready(op.fd, true);
    if waits_for_source { (op.fd, true) } else { (op.mode as i32, false) }
}

/// Whether the caller asked for EAGAIN instead of waiting.
fn wants_eagain(op: &Op) -> bool {
    let by_flag = op.code == Code::Splice && (op.sys_flags & ranges::NONBLOCK != 0 || is_nonblocking(op.fd));
    by_flag || is_nonblocking(op.mode as i32)
}

fn is_stream(fd: i32) -> bool {
    file_kind::of(fd) != FileKind::Storage
}

fn copy_of(op: &Op, input: &[u8]) -> Copy {
    Copy { from: op.fd, offset: op.offset, to: op.mode as i32, to_offset: input::offset(input), len: op.len }
}

fn step(op: &Op, copy: &Copy, scratch: &mut Scratch) -> Result<u64> {
    match op.code {
        Code::Splice => splice(copy, op.sys_flags),
        _ if interruptible::COPIES && is_stream(copy.to) => before_call(copy),
        Code::Sendfile if ranges::HAS_SENDFILE && is_stream(copy.to) => send(copy, scratch),
        Code::Sendfile => match ranges::sendfile(copy) {
            // A system without this call.
            Err(Errno(libc::EOPNOTSUPP)) => read_and_write(copy, scratch),
            answer => answer,
        },
        _ => copy_range(copy, scratch),
    }
}

/// Checks a copy to a stream that [`interruptible`] makes. EAGAIN if it can begin.
fn before_call(copy: &Copy) -> Result<u64> {
    source_position(copy)?;
    rw::current_check(copy.from, true)?;
    rw::current_check(copy.to, false)?;
    match copy.len {
        _ if copy.to_offset.is_some() => Err(Errno(libc::ESPIPE)),
        len if is_negative(len) => Err(EINVAL),
        0 => Ok(0),
        _ => Err(EAGAIN),
    }
}

/// splice(2) does not wait for a pipe with SPLICE_F_NONBLOCK, but it waits for what is at the other end of it.
fn splice(copy: &Copy, flags: u32) -> Result<u64> {
    // If poll(2) reports room, a terminal or socket takes this much without waiting.
    const PIECE: u64 = 4096;
    let mut copy = *copy;
    let [from_pipe, to_pipe] = [copy.from, copy.to].map(file_kind::is_pipe);
    if from_pipe && !to_pipe && is_stream(copy.to) {
        let piece = file_kind::room_when_ready(copy.to).map_or(PIECE, |room| room as u64);
        copy.len = copy.len.min(piece);
        when_ready(copy.to, false)?;
    }
    if to_pipe && !from_pipe && is_stream(copy.from) {
        when_ready(copy.from, true)?;
    }
    ranges::splice(&copy, flags | ranges::NONBLOCK)
}

fn when_ready(fd: i32, reads: bool) -> Result<()> {
    if rw::is_ready(fd, reads) { Ok(()) } else { Err(EAGAIN) }
}

/// sendfile(2) to a stream.
fn send(copy: &Copy, scratch: &mut Scratch) -> Result<u64> {
    if copy.len == 0 {
        return send_nothing(copy);
    }
    let start = source_position(copy)?;
    if file_kind::is_pipe(copy.to) {
        return ranges::splice(copy, ranges::NONBLOCK);
    }
    if is_nonblocking(copy.to) {
        return ranges::sendfile(copy);
    }
    // The call checks the descriptors, and moves nothing.
    ranges::sendfile(&Copy { len: 0, ..*copy })?;
    if is_negative(copy.len) {
        return Err(EINVAL);
    }
    let start = if copy.offset == CURRENT { start } else { copy.offset };
    let sent = match read_and_send(copy, start, scratch) {
        Err(Errno(libc::EISDIR)) => Err(EINVAL),
        answer => answer,
    }?;
    if copy.offset == CURRENT {
        ranges::set_position(copy.from, start.wrapping_add(sent))?;
    }
    Ok(sent)
}

/// sendfile(2) of 0 bytes. To a pipe, it takes any source at its current position, and waits until the pipe has room: the
/// checks that it makes before are made here.
fn send_nothing(copy: &Copy) -> Result<u64> {
    if !file_kind::is_pipe(copy.to) || is_nonblocking(copy.to) {
        return ranges::sendfile(copy);
    }
    rw::current_check(copy.from, true)?;
    if copy.offset != CURRENT {
        ranges::position(copy.from)?;
        if is_negative(copy.offset) {
            return Err(EINVAL);
        }
    }
    rw::current_check(copy.to, false)?;
    when_ready(copy.to, false)?;
    // The writing end of a pipe is ready for reading if there is no reader. Then the call fails, and does not wait.
    let only_writes = rw::status_flags(copy.to)? & (libc::O_WRONLY | libc::O_RDWR) == libc::O_WRONLY;
    if only_writes && rw::is_ready(copy.to, true) { ranges::sendfile(copy) } else { Ok(0) }
}

/// The current position of the source, which must be a file.
fn source_position(copy: &Copy) -> Result<u64> {
    match ranges::position(copy.from) {
        Err(Errno(libc::ESPIPE)) if copy.offset == CURRENT => Err(EINVAL),
        answer => answer,
    }
}

/// Reads from a file, and writes to a stream as much as fits.
fn read_and_send(copy: &Copy, start: u64, scratch: &mut Scratch) -> Result<u64> {
    let (memory, read) = read(copy, start, scratch)?;
    if read == 0 {
        return Ok(0);
    }
    let mut write = part(copy.to, false, memory, read, CURRENT);
    let mut method = Method::Unknown;
    match method.transfer(&write) {
        Err(Errno(libc::EOPNOTSUPP)) if method == Method::None => {
            when_ready(copy.to, false)?;
            write.count = read.min(file_kind::room_when_ready(copy.to).map_or(read, |room| room as u64));
            rw::transfer(&write)
        }
        answer => answer,
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

/// Whether the system call takes this for a negative number.
fn is_negative(value: u64) -> bool {
    i64::try_from(value).is_err()
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
    !is_stream(fd) || file_kind::is_regular(fd) && rw::is_ready(fd, true)
}

/// Moves as much as one system call would: all of it, up to the end of the file; to a stream, what fits.
fn read_and_write(copy: &Copy, scratch: &mut Scratch) -> Result<u64> {
    let to_stream = is_stream(copy.to);
    if to_stream && copy.to_offset.is_some() {
        return Err(Errno(libc::ESPIPE));
    }
    if copy.to_offset.is_some_and(is_negative) {
        return Err(EINVAL);
    }
    // The position moves only by what was written.
    let start = if copy.offset == CURRENT { ranges::position(copy.from)? } else { copy.offset };
    let mut moved = 0;
    let answer = loop {
        if moved >= copy.len.min(rw::MAX_TRANSFER) {
            break Ok(moved);
        }
        let rest = copy.after(moved);
        let start = start.wrapping_add(moved);
        match if to_stream { read_and_send(&rest, start, scratch) } else { copy_step(&rest, start, scratch) } {
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

fn copy_step(copy: &Copy, start: u64, scratch: &mut Scratch) -> Result<u64> {
    match read(copy, start, scratch)? {
        (_, 0) => Ok(0),
        (memory, read) => rw::transfer(&part(copy.to, false, memory, read, copy.to_offset.unwrap_or(CURRENT))),
    }
}

/// Reads what one step copies. The result is where it is, and how much.
fn read(copy: &Copy, start: u64, scratch: &mut Scratch) -> Result<(Memory, u64)> {
    if scratch.bytes.is_empty() {
        scratch.bytes = zeroed(STEP)?;
    }
    let memory = mem::of_bytes(&mut scratch.bytes);
    // Far behind the end, pread(2) has no offsets.
    let most = if is_negative(start) { u64::MAX } else { i64::MAX as u64 - start };
    let read = rw::transfer(&part(copy.from, true, memory, copy.len.min(STEP as u64).min(most), start))?;
    Ok((memory, read))
}

fn part(fd: i32, reads: bool, memory: Memory, count: u64, offset: u64) -> Transfer {
    Transfer { fd, reads, vectored: false, memory, count, offset, flags: 0 }
}
