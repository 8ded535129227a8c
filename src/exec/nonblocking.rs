//! Pipes, sockets and terminals: attempts that do not wait. The poller repeats them when the descriptor is ready.

use std::os::fd::{AsRawFd, OwnedFd};

use super::blocking::{Scratch, ended, remaining};
use crate::error::Errno;
use crate::op::Op;
use crate::sys::rw::{self, Transfer};

/// What came of an attempt.
pub enum Attempt {
    Done(i64),
    /// So many bytes moved so far; the descriptor is not ready for more.
    NotReady(u64),
    /// This kind of descriptor cannot be tried without the risk of waiting.
    MayWait(u64),
}

/// Whether the operation goes to something without positions.
pub fn is_stream(op: &Op) -> bool {
    op.code.transfers() && op.at_current() && rw::positional_check(op.fd, op.code.reads()) == Err(Errno(libc::ESPIPE))
}

/// Moves what can be moved now, after `moved` bytes. A descriptor with O_NONBLOCK gets one attempt: EAGAIN is its result.
pub fn attempt(op: &Op, mut moved: u64, scratch: &mut Scratch, way: &mut Way) -> Attempt {
    loop {
        let answer = remaining(op, moved, scratch).and_then(|rest| way.transfer(&rest));
        match answer {
            Ok(0) => return Attempt::Done(moved as i64),
            Ok(more) => moved += more,
            Err(Errno(libc::EAGAIN)) if asks_for_errors(op.fd) => {
                return Attempt::Done(ended(op, moved, Errno(libc::EAGAIN)));
            }
            Err(Errno(libc::EAGAIN)) => return Attempt::NotReady(moved),
            Err(Errno(libc::EOPNOTSUPP)) if matches!(way, Way::None) => return Attempt::MayWait(moved),
            Err(errno) => return Attempt::Done(ended(op, moved, errno)),
        }
        if !op.full || moved >= op.wanted() {
            return Attempt::Done(moved as i64);
        }
    }
}

fn asks_for_errors(fd: i32) -> bool {
    rw::status_flags(fd).is_ok_and(|flags| flags & libc::O_NONBLOCK != 0)
}

/// How a descriptor can be tried without waiting; found out once per operation.
pub enum Way {
    Unknown {
        /// Another open file may be made for it, which takes a moment.
        may_reopen: bool,
    },
    NoWait,
    Socket,
    Reopened(OwnedFd),
    /// It has O_NONBLOCK itself.
    Plain,
    None,
}

impl Way {
    fn transfer(&mut self, t: &Transfer) -> Result<u64, Errno> {
        match self {
            Self::Unknown { may_reopen } => {
                let may_reopen = *may_reopen;
                self.find(t, may_reopen)
            }
            Self::NoWait => no_wait(t),
            Self::Socket => rw::socket_attempt(t),
            Self::Reopened(file) => rw::transfer(&Transfer { fd: file.as_raw_fd(), ..*t }),
            Self::Plain => rw::transfer(t),
            Self::None => Err(Errno(libc::EOPNOTSUPP)),
        }
    }

    /// The first way that this descriptor knows, and its answer.
    fn find(&mut self, t: &Transfer, may_reopen: bool) -> Result<u64, Errno> {
        if t.count == 0 && !t.vectored {
            return nothing(t);
        }
        if ends_behind_all_memory(t) {
            return rw::transfer(t);
        }
        *self = Self::NoWait;
        match no_wait(t) {
            Err(Errno(libc::EOPNOTSUPP | libc::ENOSYS)) => {}
            answer => return answer,
        }
        *self = Self::Socket;
        match rw::socket_attempt(t) {
            Err(Errno(libc::ENOTSOCK)) => {}
            answer => return answer,
        }
        if asks_for_errors(t.fd) {
            *self = Self::Plain;
            return rw::transfer(t);
        }
        // What refuses every transfer is never ready for one.
        rw::current_check(t.fd, t.reads)?;
        *self = Self::None;
        let possible = may_reopen && t.flags == 0 && rw::can_reopen(t.fd);
        if possible && let Ok(file) = rw::reopen_nonblocking(t.fd, t.reads) {
            *self = Self::Reopened(file);
            return self.transfer(t);
        }
        Err(Errno(libc::EOPNOTSUPP))
    }
}

/// read(2) and write(2) refuse such a buffer before they look at the descriptor's state; all others, that with flags too, cut
/// its length first, or say something else.
fn ends_behind_all_memory(t: &Transfer) -> bool {
    const ALL: u64 = i64::MAX as u64;
    !t.vectored && t.flags == 0 && (t.memory.address().addr() as u64).saturating_add(t.count) >= ALL
}

/// Of nothing to move, only the plain calls say what is wrong; none of them waits, but a datagram's sending.
fn nothing(t: &Transfer) -> Result<u64, Errno> {
    let sent = if t.reads { Err(Errno(libc::ENOTSOCK)) } else { rw::socket_attempt(t) };
    if sent == Err(Errno(libc::ENOTSOCK)) { rw::transfer(t) } else { sent }
}

fn no_wait(t: &Transfer) -> Result<u64, Errno> {
    rw::transfer(&Transfer { flags: t.flags | libc::RWF_NOWAIT as u32, ..*t })
}
