//! An operation in a state of its descriptor, made as a plain call or by the library, and all that can be seen then.

use crate::columns::{Desk, FRESH};
use crate::ends::Ends;
use crate::kinds::Kind;
use crate::support::files::Dir;
use crate::support::*;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Once;

/// What is there before the operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum State {
    /// Nothing to read, room to write; files have their content.
    Fresh,
    /// This many records to read.
    Fed(usize),
    /// No room to write.
    Full,
}

pub fn scene(kind: &Kind, dir: &Dir, state: State) -> Ends {
    let ends = kind.make(dir).unwrap_or_else(|reason| panic!("the test's own descriptor: {reason}"));
    match state {
        State::Fresh => {}
        State::Fed(count) => (0..count).for_each(|number| ends.fill(number)),
        State::Full => stuff(&ends),
    }
    ends
}

/// Writes until nothing more fits.
pub fn stuff(ends: &Ends) {
    let (fd, data) = (ends.fd(), [b'.'; 4096]);
    let flags = nonblocking(fd);
    let write = |len: &usize| sys::plain(&ops::write(fd, &data[..*len], CAIO_OFFSET_CURRENT)) > 0;
    let mut quiet = Duration::ZERO;
    while quiet <= ends.settles {
        while [4096, 512, 64, 8, 1].iter().any(write) {
            quiet = Duration::ZERO;
        }
        let moment = Duration::from_millis(2).min(ends.settles);
        std::thread::sleep(moment);
        quiet += moment.max(Duration::from_nanos(1));
    }
    set_flags(fd, flags);
}

pub fn status_flags(fd: RawFd) -> i32 {
    // SAFETY: no memory involved.
    unsafe { libc::fcntl(fd, libc::F_GETFL) }
}

fn set_flags(fd: RawFd, flags: i32) {
    // SAFETY: no memory involved.
    unsafe { libc::fcntl(fd, libc::F_SETFL, flags) };
}

/// Makes it O_NONBLOCK, and returns the flags that it had.
fn nonblocking(fd: RawFd) -> i32 {
    let flags = status_flags(fd);
    set_flags(fd, flags | libc::O_NONBLOCK);
    flags
}

/// How an operation ends when nothing else happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ending {
    Done(i64),
    /// It waits: the result if it is cancelled, and the bytes that FULL has moved by then.
    Waits(i64, i64),
}

/// The plain system call; None if it waits.
pub fn attempt(op: &caio_op) -> Option<i64> {
    extern "C" fn interrupt(_: i32) {}
    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| {
        // SAFETY: a struct of integers; without SA_RESTART the signal interrupts a call that waits.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = interrupt as extern "C" fn(i32) as usize;
        // SAFETY: a handler that does nothing.
        assert_eq!(unsafe { libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()) }, 0);
    });
    alarm(12_000);
    let result = sys::plain(op);
    alarm(0);
    (result != -i64::from(libc::EINTR)).then_some(result)
}

/// SIGALRM at this interval, in microseconds; 0 ends it.
fn alarm(first: u32) {
    let at = |micros: u32| libc::timeval { tv_sec: 0, tv_usec: micros as _ };
    let timer = libc::itimerval { it_interval: at(first / 2), it_value: at(first) };
    // SAFETY: a live struct.
    assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) }, 0);
}

/// The operation by plain calls.
pub fn plainly(op: caio_op) -> Ending {
    if op.flags & CAIO_FLAG_FULL == 0 {
        return attempt(&op).map_or(Ending::Waits(-ECANCELED, 0), Ending::Done);
    }
    let mut moved = 0;
    loop {
        let at = if op.offset == CAIO_OFFSET_CURRENT { op.offset } else { op.offset + moved as u64 };
        let rest = op.buf(op.buf.cast::<u8>().wrapping_add(moved as usize)).len(op.len - moved as u64).at(at);
        let stopped = |error: i64| if moved > 0 && at == CAIO_OFFSET_CURRENT { moved } else { error };
        match attempt(&rest) {
            None => return Ending::Waits(stopped(-ECANCELED), moved),
            Some(error) if error < 0 => return Ending::Done(stopped(error)),
            Some(count) => moved += count,
        }
        if moved as u64 == op.len || moved as u64 == op.len - rest.len {
            return Ending::Done(moved);
        }
    }
}

/// How long an operation that waits is looked at before it is believed.
const MOMENT: i64 = 12_000_000;

/// The operation by the library, and how the plain call ends.
pub fn by_library(ctx: &Ctx, op: caio_op, plain: Ending) -> Ending {
    ctx.accept(&[op.tag(7)]);
    let Ending::Waits(_, taken) = plain else { return Ending::Done(ctx.collect(1)[0].result) };
    if taken > 0 && reads(&op) {
        let last = op.buf.cast::<u8>().wrapping_add(taken as usize - 1);
        // SAFETY: live; the kernel writes it meanwhile, so it is read again each time.
        until("the first part is taken", || unsafe { last.read_volatile() } != FRESH);
    }
    let early = ctx.wait(1, 1, MOMENT).unwrap_or_default();
    if early.is_empty() {
        ctx.cancel(7);
        return Ending::Waits(ctx.collect(1)[0].result, taken);
    }
    Ending::Done(early[0].result)
}

fn reads(op: &caio_op) -> bool {
    [CAIO_OP_READ, CAIO_OP_READV].contains(&op.opcode)
}

/// What can be seen after an operation.
#[derive(Debug, PartialEq)]
pub struct Seen {
    pub ending: Ending,
    /// The memory of a read.
    pub bytes: Vec<u8>,
    pub stat: [u64; 4],
    /// The position, or the errno of lseek(2).
    pub position: i64,
    pub flags: i32,
    pub size: i64,
    /// What is still to be read, and what the other end got.
    pub left: Vec<Read>,
    pub peer: Vec<Read>,
}

/// One read(2): its bytes, or its errno.
pub type Read = Result<Vec<u8>, i64>;

impl Seen {
    pub fn of(kind: &Kind, ends: &Ends, desk: &Desk, op: &caio_op, ending: Ending) -> Self {
        let fd = ends.fd();
        let Stat { mask, mode, size, blksize } = Stat::of(&desk.stat);
        let moved = if let Ending::Done(moved) = ending { moved.max(0) as usize } else { 0 };
        let position = if ends.is_closed() { 0 } else { position(fd) };
        let (flags, len) = if ends.is_closed() { (0, 0) } else { (status_flags(fd), length(fd)) };
        let mut left = if ends.is_closed() { vec![] } else { rest(kind, fd) };
        let late = if ends.late.is_some() && !reads(op) { moved } else { 0 };
        let peer = ends.peer.as_ref().map_or(vec![], |peer| arrived(peer.as_raw_fd(), late));
        let mut bytes = desk.room.bytes().to_vec();
        if kind.unlike {
            bytes.clear();
            left.iter_mut()
                .flatten()
                .filter(|read| !read.is_empty())
                .for_each(|read| *read = read.len().to_string().into_bytes());
        }
        Self { ending, bytes, stat: [mask, mode, size, blksize], position, flags, size: len, left, peer }
    }

    /// How `got` differs from this, which the plain call left.
    pub fn difference(&self, got: &Seen) -> Option<String> {
        let mut told = Vec::new();
        let mut tell = |what: &str, plain: String, got: String| {
            if plain != got {
                told.push(format!("{what}: plain {plain}, got {got}"));
            }
        };
        tell("result", shown(self.ending), shown(got.ending));
        tell("bytes", brief(&self.bytes), brief(&got.bytes));
        tell("statx", format!("{:x?}", self.stat), format!("{:x?}", got.stat));
        tell("position", self.position.to_string(), got.position.to_string());
        tell("size", self.size.to_string(), got.size.to_string());
        tell("F_GETFL", format!("{:o}", self.flags), format!("{:o}", got.flags));
        tell("left to read", list(&self.left), list(&got.left));
        tell("the peer got", list(&self.peer), list(&got.peer));
        (!told.is_empty()).then(|| told.join("; "))
    }
}

struct Stat {
    mask: u64,
    mode: u64,
    size: u64,
    blksize: u64,
}

impl Stat {
    fn of(stat: &libc::statx) -> Self {
        let (mask, mode) = (stat.stx_mask.into(), stat.stx_mode.into());
        Self { mask, mode, size: stat.stx_size, blksize: stat.stx_blksize.into() }
    }
}

fn position(fd: RawFd) -> i64 {
    // SAFETY: no memory involved.
    sys::ret(unsafe { libc::lseek64(fd, 0, libc::SEEK_CUR) })
}

/// The length of a file.
fn length(fd: RawFd) -> i64 {
    // SAFETY: a struct of integers.
    let mut stat: libc::stat64 = unsafe { std::mem::zeroed() };
    // SAFETY: a live struct.
    unsafe { libc::fstat64(fd, &mut stat) };
    stat.st_size
}

/// All that can still be read without waiting; of a source without end the first of it.
pub fn rest(kind: &Kind, fd: RawFd) -> Vec<Read> {
    const MOST: usize = 4;
    let flags = nonblocking(fd);
    let mut reads = Vec::new();
    let mut room = sys::Map::new(if kind.makes_pages { sys::PAGE } else { 16384 });
    while reads.len() < MOST {
        let read = one_read(fd, &mut room);
        let last = !matches!(&read, Ok(bytes) if !bytes.is_empty());
        reads.push(read);
        if last {
            break;
        }
    }
    // A file is shown from its start, wherever its position is.
    if position(fd) >= 0 {
        let count = sys::plain(&ops::read(fd, room.bytes_mut(), 0)).max(0);
        reads.push(Ok(room.bytes()[..count as usize].to_vec()));
    }
    set_flags(fd, flags);
    reads
}

fn one_read(fd: RawFd, room: &mut sys::Map) -> Read {
    let count = sys::plain(&ops::read(fd, room.bytes_mut(), CAIO_OFFSET_CURRENT));
    if count < 0 { Err(count) } else { Ok(room.bytes()[..count as usize].to_vec()) }
}

/// What arrived: at least this number of bytes, if they come late. A stream's bytes are one record.
fn arrived(fd: RawFd, at_least: usize) -> Vec<Read> {
    let flags = nonblocking(fd);
    let (mut reads, mut got) = (Vec::new(), 0);
    let mut room = sys::Map::new(16384);
    loop {
        let read = one_read(fd, &mut room);
        match &read {
            Ok(bytes) if !bytes.is_empty() => got += bytes.len(),
            Err(error) if *error == -i64::from(libc::EAGAIN) && got < at_least => {
                let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
                // SAFETY: one live pollfd.
                unsafe { libc::poll(&mut poll, 1, 100) };
                continue;
            }
            _ => {
                reads.push(read);
                break;
            }
        }
        reads.push(read);
    }
    set_flags(fd, flags);
    reads
}

/// The bytes of all reads.
pub fn bytes_of(reads: &[Read]) -> Vec<u8> {
    reads.iter().flatten().flatten().copied().collect()
}

pub fn emptied(fd: RawFd, at_least: usize) -> Vec<u8> {
    bytes_of(&arrived(fd, at_least))
}

fn shown(ending: Ending) -> String {
    let result = |result: i64| match result {
        0.. => result.to_string(),
        error => caio_name(error),
    };
    match ending {
        Ending::Done(done) => result(done),
        Ending::Waits(stopped, _) if stopped == -ECANCELED => "waits".into(),
        Ending::Waits(stopped, _) => format!("waits (cancelled: {})", result(stopped)),
    }
}

fn caio_name(error: i64) -> String {
    let text = std::io::Error::from_raw_os_error(-error as i32).to_string();
    text.split(" (os").next().unwrap_or_default().replace('|', "/")
}

fn brief(bytes: &[u8]) -> String {
    let used = bytes.iter().rposition(|byte| *byte != FRESH).map_or(0, |last| last + 1);
    let sum = bytes.iter().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
    format!("{used} `{}` #{sum:x}", bytes[..used.min(24)].escape_ascii())
}

fn list(reads: &[Read]) -> String {
    let shown: Vec<String> = reads
        .iter()
        .map(|read| match read {
            Ok(bytes) => format!("{}`{}`", bytes.len(), bytes[..bytes.len().min(24)].escape_ascii()),
            Err(error) => caio_name(*error),
        })
        .collect();
    shown.join(", ")
}
