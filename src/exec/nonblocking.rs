//! Attempts that never wait, for everything that may wait for another party: pipes, sockets, terminals, devices. The poller
//! repeats them when the descriptor is ready.

use super::blocking::{Scratch, ended, remaining};
use crate::error::{Errno, Result};
use crate::op::{CURRENT, Op};
use crate::sys::file_kind::{self, FileKind};
use crate::sys::rw::{self, Transfer};

/// What came of an attempt.
pub enum Attempt {
    Done(i64),
    /// So many bytes moved so far; the descriptor is not ready for more.
    NotReady(u64),
    /// The same, and this kind of descriptor cannot be tried without the risk of waiting.
    MayWait(u64),
}

/// Whether a transfer may wait for another party than a disk.
pub fn may_wait(op: &Op) -> bool {
    let kind = if op.at_current() { file_kind::of_current(op.fd, op.code.reads()) } else { file_kind::of(op.fd) };
    kind != FileKind::Storage
}

/// Moves what can be moved now, after `moved` bytes. A descriptor with O_NONBLOCK gets one attempt: EAGAIN is its result.
pub fn attempt(op: &Op, mut moved: u64, scratch: &mut Scratch, way: &mut Way) -> Attempt {
    const EAGAIN: Errno = Errno(libc::EAGAIN);
    loop {
        let answer = remaining(op, moved, scratch).and_then(|rest| way.transfer(&rest));
        match answer {
            Ok(0) => return Attempt::Done(moved as i64),
            Ok(more) => moved += more,
            Err(EAGAIN) if asks_for_errors(op) => return Attempt::Done(ended(op, moved, EAGAIN)),
            Err(EAGAIN) => return Attempt::NotReady(moved),
            Err(Errno(libc::EOPNOTSUPP)) if *way == Way::None => return without_a_way(op, moved),
            Err(errno) => return Attempt::Done(ended(op, moved, errno)),
        }
        if !op.full || moved >= op.wanted() {
            return Attempt::Done(moved as i64);
        }
    }
}

/// The kernel knows RWF_NOWAIT of no such descriptor, but whoever sets it must not wait.
fn without_a_way(op: &Op, moved: u64) -> Attempt {
    if op.sys_flags & libc::RWF_NOWAIT as u32 == 0 {
        return Attempt::MayWait(moved);
    }
    let errno = if rw::is_ready(op.fd, op.code.reads()) { libc::EOPNOTSUPP } else { libc::EAGAIN };
    Attempt::Done(ended(op, moved, Errno(errno)))
}

/// EAGAIN is a result that the caller asked for.
fn asks_for_errors(op: &Op) -> bool {
    op.sys_flags & libc::RWF_NOWAIT as u32 != 0 || is_nonblocking(op.fd)
}

fn is_nonblocking(fd: i32) -> bool {
    rw::status_flags(fd).is_ok_and(|flags| flags & libc::O_NONBLOCK != 0)
}

/// How a descriptor can be tried without waiting; found out once per operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Unknown,
    /// RWF_NOWAIT.
    NoWait,
    /// MSG_DONTWAIT.
    Socket,
    /// It has O_NONBLOCK itself.
    SimpleTransfer,
    None,
}

impl Way {
    fn transfer(&mut self, t: &Transfer) -> Result<u64> {
        match self {
            Self::Unknown => self.find(t),
            Self::NoWait => no_wait(t),
            Self::Socket => rw::socket_attempt(t),
            Self::SimpleTransfer => rw::transfer(t),
            Self::None => Err(Errno(libc::EOPNOTSUPP)),
        }
    }

    /// The first way that this descriptor knows and no filter forbids, and its answer.
    fn find(&mut self, t: &Transfer) -> Result<u64> {
        if t.count == 0 && !t.vectored {
            return nothing(t);
        }
        if ends_behind_all_memory(t) {
            return rw::transfer(t);
        }
        *self = Self::NoWait;
        match no_wait(t) {
            Err(errno) if is_unusable(errno) => {}
            answer => return answer,
        }
        // What refuses every transfer is never ready for one.
        if t.offset != CURRENT {
            rw::positional_check(t.fd, t.reads)?;
        }
        let socket = file_kind::of(t.fd) == FileKind::Socket;
        if socket && t.flags & !FLAGS_OF_SOCKETS != 0 {
            return Err(Errno(libc::EOPNOTSUPP));
        }
        *self = Self::Socket;
        match if socket { rw::socket_attempt(t) } else { Err(Errno(libc::ENOSYS)) } {
            Err(errno) if is_unusable(errno) => {}
            answer => return answer,
        }
        if is_nonblocking(t.fd) {
            *self = Self::SimpleTransfer;
            return rw::transfer(t);
        }
        if !socket {
            // An empty message to a socket may be one.
            rw::current_check(t.fd, t.reads)?;
        }
        *self = Self::None;
        Err(Errno(libc::EOPNOTSUPP))
    }
}

/// The flags that preadv2(2) and pwritev2(2) take for every socket, and that change nothing there.
const FLAGS_OF_SOCKETS: u32 =
    (libc::RWF_HIPRI | libc::RWF_DSYNC | libc::RWF_SYNC | libc::RWF_NOWAIT | libc::RWF_APPEND) as u32;

/// The descriptor does not know this way, or a filter forbids the system call. A network may refuse a message with the same
/// words; then the plain call says so once more.
fn is_unusable(errno: Errno) -> bool {
    matches!(errno.0, libc::EOPNOTSUPP | libc::ENOSYS | libc::EPERM | libc::EACCES)
}

/// read(2) and write(2) refuse such a buffer before they look at the descriptor's state; all others, that with flags too, cut
/// its length first, or say something else.
fn ends_behind_all_memory(t: &Transfer) -> bool {
    const ALL: u64 = i64::MAX as u64;
    !t.vectored && t.flags == 0 && (t.memory.address().addr() as u64).saturating_add(t.count) >= ALL
}

/// Of nothing to move, only the plain calls say what is wrong; none of them waits, but a datagram's sending.
fn nothing(t: &Transfer) -> Result<u64> {
    let sends = !t.reads && t.offset == CURRENT;
    match if sends { rw::socket_attempt(t) } else { Err(Errno(libc::ENOTSOCK)) } {
        Err(Errno(libc::ENOTSOCK | libc::ENOSYS | libc::EPERM | libc::EACCES)) => rw::transfer(t),
        answer => answer,
    }
}

fn no_wait(t: &Transfer) -> Result<u64> {
    rw::transfer(&Transfer { flags: t.flags | libc::RWF_NOWAIT as u32, ..*t })
}
