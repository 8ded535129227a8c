//! What submit completes itself. The router decides, this makes the attempts, which never wait, and the router decides
//! again with their answers.

use std::sync::atomic::Ordering::Relaxed;

use crate::error::{Errno, Result};
use crate::exec::blocking::{self, Scratch};
use crate::exec::cached::{self, Split};
use crate::exec::nonblocking::{self, Attempt, Method};
use crate::fd::{Checks, OPEN_COST};
use crate::op::{Code, OPENED, Op, Role, SimpleTransfer};
use crate::route::{Probe, Route, Router};
use crate::sys::cached::{Answer, Opened};
use crate::sys::mem::Memory;
use crate::sys::{cached_open, fs};

const NO_PATH: &[u8] = b"\0";

/// What submit achieved.
pub enum Step {
    /// The operation has completed, with this result.
    Done(i64),
    /// It continues elsewhere, after this many bytes.
    Onward(To, u64),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum To {
    Native,
    Worker,
    Stream,
    /// After the one before, which is linked to it.
    Chain,
}

/// What the fast path achieved for a simple transfer.
pub enum FastPath {
    /// The page cache had all of it.
    Read,
    /// It goes to the backend's queue.
    Sent,
    /// An attempt at a cached read gave this answer.
    Answered(Result<u64>),
    /// A cached read is not worth an attempt.
    Untried,
    Undecided,
}

/// Takes an operation as far as possible without waiting.
#[inline(always)]
pub fn run(router: &Router, op: &Op, linked: bool, checks: &mut Checks, scratch: &mut Scratch) -> Step {
    let probe = router.decide_cached(op, checks);
    match attempt(router, probe, op.fd, op.buf, op.len, op.offset, checks) {
        Some(answer) => run_after(router, op, answer, linked, checks, scratch),
        None => run_untried(router, op, linked, checks, scratch),
    }
}

/// [`run`] after [`fast_path`] tried the transfer, with this answer.
pub fn run_after(
    router: &Router,
    op: &Op,
    answer: Result<u64>,
    linked: bool,
    checks: &mut Checks,
    scratch: &mut Scratch,
) -> Step {
    let cached = cached::continue_read(op, answer, checks);
    follow(router.decide_after(op, cached, linked, checks), op, scratch)
}

/// [`run`] without an attempt at a cached read.
pub fn run_untried(router: &Router, op: &Op, linked: bool, checks: &mut Checks, scratch: &mut Scratch) -> Step {
    follow(router.decide(op, linked, checks), op, scratch)
}

/// Opens a file, if the kernel has it in its caches. ENOENT is an answer too; None if a worker thread must open it.
pub fn open(router: &Router, op: &Op, checks: &mut Checks, scratch: &mut Scratch) -> Option<Result<Opened>> {
    const RETRY_AFTER: u32 = 16;
    let remembered = checks.remembered();
    // Relaxed: a late value costs one attempt.
    if !router.finishes_inline() || remembered.opens_wait.load(Relaxed) || !checks.allows(OPEN_COST) {
        return None;
    }
    if !remembered.opens.is_worth_a_try(RETRY_AFTER) {
        remembered.opens.note_untried();
        return None;
    }
    match blocking::open_cached(op, scratch)? {
        Answer::Opened(opened) => {
            remembered.opens.hit();
            checks.budget -= OPEN_COST;
            checks.opened(opened.fd, opened.file);
            Some(Ok(opened))
        }
        Answer::Absent => Some(Err(Errno(libc::ENOENT))),
        Answer::Unknown => {
            remembered.opens.miss();
            None
        }
        Answer::Unavailable => {
            remembered.opens_wait.store(true, Relaxed);
            None
        }
    }
}

/// Makes a STATX of a file that this submit has opened, if its path is likely empty, as most are: then the check of the path
/// would cost as much as the call. None if it fails, which costs no more than the check.
pub fn tell_of_opened(op: &Op, opened: &Opened) -> Option<i64> {
    let tells = op.code == Code::Statx && fs::may_mean_descriptor(op.sys_flags) && opened.file.size.is_some();
    let call = || cached_open::statx(op.fd, op.buf, op.sys_flags, op.mode, op.buf2).ok();
    tells.then(call).flatten().map(|value| value as i64)
}

/// Runs an operation on a file that this submit has opened. None if it may wait.
pub fn run_on_opened(
    router: &Router,
    op: &Op,
    opened: &Opened,
    is_empty: impl FnOnce(Memory) -> bool,
    checks: &mut Checks,
    scratch: &mut Scratch,
) -> Option<Step> {
    match op.code {
        Code::Statx if fs::may_mean_descriptor(op.sys_flags) && is_empty(op.buf) => {
            Some(Step::Done(blocking::run(op, 0, NO_PATH, scratch, || None)))
        }
        // Opened for reading, so that nothing is written back.
        Code::Close if op.role == Role::Closes => Some(Step::Done(blocking::run(op, 0, NO_PATH, scratch, || None))),
        Code::Read if op.sys_flags == 0 && !op.at_current() => Some(read_opened(router, op, opened, checks, scratch)),
        _ => None,
    }
}

/// Makes the system call of a STATX of a descriptor or of a CLOSE. None if it may wait.
pub fn call(router: &Router, op: &Op, is_empty: impl FnOnce(Memory) -> bool, scratch: &mut Scratch) -> Option<i64> {
    let at_once = router.finishes_inline()
        && op.fd >= 0
        && match op.code {
            Code::Statx => {
                fs::may_mean_descriptor(op.sys_flags) && cached_open::tells_at_once(op.fd) && is_empty(op.buf)
            }
            // A chain's own descriptor has records.
            Code::Close => op.role != Role::Closes && cached_open::closes_at_once(op.fd),
            _ => false,
        };
    at_once.then(|| blocking::run(op, 0, NO_PATH, scratch, || None))
}

fn read_opened(router: &Router, op: &Op, opened: &Opened, checks: &mut Checks, scratch: &mut Scratch) -> Step {
    let rest = opened.file.size.unwrap_or(0).saturating_sub(op.offset).min(op.len);
    if !checks.allows(rest.max(1)) {
        return run_untried(router, op, true, checks, scratch);
    }
    match cached::read_cached(op.fd, op.buf, op.len, op.offset) {
        // All of the file that there was when it was opened.
        Ok(read) if read == rest => {
            checks.hit(rest);
            Step::Done(read as i64)
        }
        answer => run_after(router, op, answer, true, checks, scratch),
    }
}

fn follow(route: Route, op: &Op, scratch: &mut Scratch) -> Step {
    match route {
        Route::Done(result) => Step::Done(result),
        Route::Native(moved) => Step::Onward(To::Native, moved),
        Route::Worker(moved) => Step::Onward(To::Worker, moved),
        Route::Stream(moved) => Step::Onward(To::Stream, moved),
        Route::Inline(moved) => match nonblocking::attempt(op, moved, scratch, &mut Method::Unknown) {
            Attempt::Done(result) => Step::Done(result),
            Attempt::NotReady(moved) | Attempt::MayWait(moved) => Step::Onward(To::Stream, moved),
        },
    }
}

/// Does for a simple transfer what [`run`] would do. `at_once`: the caller's array has room for its event.
#[inline(always)]
pub fn fast_path(router: &Router, op: &SimpleTransfer, at_once: bool, checks: &mut Checks) -> FastPath {
    if router.reads_too(op, at_once, checks) {
        let answer = cached::read_cached(op.fd, op.buf, op.len, op.offset);
        return after_fast_attempt(router, op, answer, at_once, checks);
    }
    unlike_the_last_read(router, *op, at_once, checks)
}

/// Takes `op` by value, so that the fast path can keep its copy in registers.
#[inline(never)]
fn unlike_the_last_read(router: &Router, op: SimpleTransfer, at_once: bool, checks: &mut Checks) -> FastPath {
    if router.sends_too(&op, checks) {
        return FastPath::Sent;
    }
    if op.fd == OPENED {
        return FastPath::Undecided;
    }
    if router.may_be_cached(&op) {
        if !checks.allows(op.len) {
            return FastPath::Undecided;
        }
        let probe = router.probe(op.fd, checks);
        if let Some(answer) = attempt(router, probe, op.fd, op.buf, op.len, op.offset, checks) {
            if answer == Ok(op.len) {
                checks.remembered().hit_rate.hit();
            }
            return after_fast_attempt(router, &op, answer, at_once, checks);
        }
    }
    if router.sends(&op, checks) { FastPath::Sent } else { FastPath::Untried }
}

#[inline(always)]
fn after_fast_attempt(
    router: &Router,
    op: &SimpleTransfer,
    answer: Result<u64>,
    at_once: bool,
    checks: &mut Checks,
) -> FastPath {
    match answer {
        Ok(read) if read == op.len && at_once => {
            checks.budget -= op.len;
            FastPath::Read
        }
        Err(Errno(libc::EAGAIN)) if router.sends_missed(op, checks) => FastPath::Sent,
        answer => FastPath::Answered(answer),
    }
}

/// Tries a cached read, if that is worth an attempt.
#[inline(always)]
fn attempt(
    router: &Router,
    probe: Probe,
    fd: i32,
    buf: Memory,
    len: u64,
    offset: u64,
    checks: &mut Checks,
) -> Option<Result<u64>> {
    let mut probe = probe;
    if probe == Probe::Unasked {
        let tried = checks.tried.take().map(Some);
        let answer = tried.unwrap_or_else(|| Split::of(buf, len).map(|split| split.read(fd, offset)));
        if answer.is_some_and(|answer| answer == Ok(len) || answer == Err(Errno(libc::EAGAIN))) {
            return answer;
        }
        probe = router.probe_asked(fd, checks);
        // A short read: the caller of this function tries the rest.
        if probe == Probe::Buffered && matches!(answer, Some(Ok(_))) {
            return answer;
        }
    }
    (probe == Probe::Buffered).then(|| cached::read_cached(fd, buf, len, offset))
}
