//! Non-blocking execution, for descriptors that may wait for another process: pipes, sockets, terminals, devices.
//! Submit makes the first attempt, and the poller retries when the descriptor is ready.

use super::blocking::{Scratch, failed_result, remaining};
use crate::error::{Errno, Result};
use crate::op::{CURRENT, Op};
use crate::sys::file_kind::{self, FileKind};
use crate::sys::rw::{self, Transfer, flags};

/// The outcome of an attempt.
pub enum Attempt {
    Done(i64),
    /// The operation has moved this many bytes; the descriptor is not ready for more.
    NotReady(u64),
    /// The same, and every attempt on this kind of descriptor may wait.
    MayWait(u64),
}

/// Whether a transfer may wait for something other than a disk.
pub fn may_wait(op: &Op) -> bool {
    let kind = if op.at_current() { file_kind::of_current(op.fd, op.code.reads()) } else { file_kind::of(op.fd) };
    kind != FileKind::Storage
}

/// Moves what can be moved now, after `moved` bytes. On a descriptor with O_NONBLOCK, EAGAIN is the operation's result.
pub fn attempt(op: &Op, mut moved: u64, scratch: &mut Scratch, method: &mut Method) -> Attempt {
    const EAGAIN: Errno = Errno(libc::EAGAIN);
    loop {
        let answer = remaining(op, moved, scratch).and_then(|rest| method.transfer(&rest));
        match answer {
            Ok(0) => return Attempt::Done(moved as i64),
            Ok(more) => moved += more,
            Err(EAGAIN) if wants_eagain(op) => return Attempt::Done(failed_result(op, moved, EAGAIN)),
            Err(EAGAIN) => return Attempt::NotReady(moved),
            Err(Errno(libc::EOPNOTSUPP)) if *method == Method::None => return unsupported(op, moved),
            Err(errno) => return Attempt::Done(failed_result(op, moved, errno)),
        }
        if !op.full || moved >= op.wanted() {
            return Attempt::Done(moved as i64);
        }
    }
}

/// The outcome on a descriptor that supports no method. The kernel does not support RWF_NOWAIT there, but an operation
/// with that flag must not wait.
fn unsupported(op: &Op, moved: u64) -> Attempt {
    if op.sys_flags & flags::NOWAIT == 0 {
        return Attempt::MayWait(moved);
    }
    let is_known = op.sys_flags & !FLAGS_OF_STREAMS == 0;
    let waits = is_known && !rw::is_ready(op.fd, op.code.reads());
    let errno = if waits { libc::EAGAIN } else { libc::EOPNOTSUPP };
    Attempt::Done(failed_result(op, moved, Errno(errno)))
}

/// Whether the caller asked for EAGAIN instead of waiting.
fn wants_eagain(op: &Op) -> bool {
    op.sys_flags & flags::NOWAIT != 0 || is_nonblocking(op.fd)
}

pub(super) fn is_nonblocking(fd: i32) -> bool {
    rw::status_flags(fd).is_ok_and(rw::is_nonblocking)
}

/// How to try a descriptor without waiting; determined once per operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Unknown,
    /// RWF_NOWAIT.
    NoWait,
    /// MSG_DONTWAIT.
    Socket,
    /// A plain call, since the descriptor has O_NONBLOCK.
    Nonblocking,
    None,
}

impl Method {
    pub(super) fn transfer(&mut self, t: &Transfer) -> Result<u64> {
        match self {
            Self::Unknown => self.find(t),
            Self::NoWait => no_wait(t),
            Self::Socket => rw::socket_attempt(t),
            Self::Nonblocking => rw::transfer(t),
            Self::None => Err(Errno(libc::EOPNOTSUPP)),
        }
    }

    /// Finds the first method that the descriptor supports and no filter forbids, and returns its answer.
    fn find(&mut self, t: &Transfer) -> Result<u64> {
        if t.count == 0 && !t.vectored && t.flags == 0 {
            return self.find_empty(t);
        }
        if exceeds_address_space(t) {
            return rw::transfer(t);
        }
        *self = Self::NoWait;
        match no_wait(t) {
            Err(errno) if is_unusable(errno) => {}
            answer => return answer,
        }
        // The poller would wait for ever for a descriptor that refuses every transfer.
        if refuses_offset(t) {
            return rw::transfer(t);
        }
        let socket = file_kind::of(t.fd) == FileKind::Socket;
        if socket && t.flags & !FLAGS_OF_STREAMS != 0 {
            return Err(Errno(libc::EOPNOTSUPP));
        }
        *self = Self::Socket;
        match if socket { rw::socket_attempt(t) } else { Err(Errno(libc::ENOSYS)) } {
            Err(errno) if is_unusable(errno) => {}
            answer => return answer,
        }
        if is_nonblocking(t.fd) {
            *self = Self::Nonblocking;
            return rw::transfer(t);
        }
        if !socket {
            // Not for sockets: this check would send an empty message.
            rw::current_check(t.fd, t.reads)?;
        }
        *self = Self::None;
        Err(Errno(libc::EOPNOTSUPP))
    }

    /// [`Self::find`] for a transfer of 0 bytes. Only the plain call checks it in full, but waits on inotify and some
    /// devices.
    fn find_empty(&mut self, t: &Transfer) -> Result<u64> {
        if refuses_offset(t) {
            return rw::transfer(t);
        }
        if file_kind::of(t.fd) == FileKind::Socket {
            return empty_socket_transfer(t);
        }
        if file_kind::is_pipe(t.fd) || is_nonblocking(t.fd) {
            return rw::transfer(t);
        }
        rw::current_check(t.fd, t.reads)?;
        *self = Self::None;
        Err(Errno(libc::EOPNOTSUPP))
    }
}

/// The flags that preadv2(2) and pwritev2(2) accept for every stream; they have no effect there.
const FLAGS_OF_STREAMS: u32 = flags::HARMLESS | flags::NOWAIT;

/// Whether the descriptor does not support this method, or a filter forbids the system call. A network may refuse a
/// message with the same errno; then the next method reports it again.
fn is_unusable(errno: Errno) -> bool {
    matches!(errno.0, libc::EOPNOTSUPP | libc::ENOSYS | libc::EPERM | libc::EACCES)
}

/// Whether a buffer reaches beyond the address space. read(2) and write(2) refuse it before they look at the
/// descriptor's state. The other calls shorten it first, or return another errno.
fn exceeds_address_space(t: &Transfer) -> bool {
    const ALL: u64 = i64::MAX as u64;
    let end = (t.memory.address().addr() as u64).saturating_add(t.count);
    rw::REFUSES_LONG_BUFFERS && !t.vectored && t.flags == 0 && end >= ALL
}

/// Whether the plain call fails immediately because of the offset.
fn refuses_offset(t: &Transfer) -> bool {
    t.offset != CURRENT && (i64::try_from(t.offset).is_err() || rw::positional_check(t.fd, t.reads).is_err())
}

/// A transfer of 0 bytes on a socket. Sending an empty datagram may wait; reading 0 bytes never does.
fn empty_socket_transfer(t: &Transfer) -> Result<u64> {
    let sends = !t.reads && t.offset == CURRENT;
    match if sends { rw::socket_attempt(t) } else { Err(Errno(libc::ENOSYS)) } {
        Err(errno) if is_unusable(errno) => rw::transfer(t),
        answer => answer,
    }
}

fn no_wait(t: &Transfer) -> Result<u64> {
    rw::transfer(&Transfer { flags: t.flags | flags::NOWAIT, ..*t })
}
