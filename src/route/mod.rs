//! Chooses the path of an operation: it finishes inside submit, or goes to the kernel's queue, a worker thread or the
//! poller. The caller may close a descriptor at any time, so what the router remembers of its number is only a hint. No
//! result depends on a hint, and submit never waits because of one.

mod hit_rate;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use self::hit_rate::HitRate;
use crate::backend::{Rules, Takes};
use crate::error::{Errno, Result};
use crate::exec::blocking::failed_result;
use crate::exec::nonblocking::{self, Attempt, Method};
use crate::fd::{Checks, InFlight};
use crate::op::{Code, Op, SimpleTransfer};
use crate::sys::file_kind::FileKind;
use crate::sys::mem::Memory;
use crate::sys::rw;

/// Where submit sends an operation, with the bytes that it moved already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Done(i64),
    Native(u64),
    Worker(u64),
    Stream(u64),
}

/// What the fast path decided for a simple transfer.
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

use crate::fd::{INLINE_BUDGET, INLINE_MOST};

/// How a context chooses paths, and what it learned from earlier operations.
pub struct Router {
    rules: Rules,
    /// Each operation takes its fastest path, even if the backend takes it too.
    fastest: bool,
    no_inline: bool,
    hit_rate: Arc<HitRate>,
    in_flight: Arc<InFlight>,
    hints: [AtomicU64; HINTS],
}

const HINTS: usize = 64;

/// What kind of file a descriptor's number was last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hint {
    Nothing = 0,
    /// Its file system does not support RWF_NOWAIT.
    NoWaitUnknown = 1,
    /// Opened with O_DIRECT: reads bypass the page cache, and RWF_NOWAIT would wait for the device.
    Direct = 2,
    /// Opened without O_DIRECT: an attempt at a cached read needs no fcntl(2) first.
    Buffered = 3,
}

impl Router {
    pub fn new(rules: Rules, fastest: bool, no_inline: bool) -> Self {
        Self {
            rules,
            fastest,
            no_inline,
            hit_rate: Arc::default(),
            in_flight: Arc::default(),
            hints: [const { AtomicU64::new(0) }; HINTS],
        }
    }

    pub fn finishes_inline(&self) -> bool {
        !self.no_inline
    }

    /// Chooses the path, and finishes what needs no waiting. A `linked` operation never goes to the kernel's queue,
    /// because a worker thread runs the rest of its chain.
    pub fn decide(&self, op: &Op, linked: bool, checks: &mut Checks) -> Route {
        match op.code {
            Code::Nop if !self.no_inline => Route::Done(0),
            Code::Nop if self.rules.nops && !linked => Route::Native(0),
            code if code.transfers() && op.at_current() => self.decide_current(op, checks),
            code if code.transfers() => self.decide_positional(op, linked, checks),
            _ => Route::Worker(0),
        }
    }

    fn decide_current(&self, op: &Op, checks: &mut Checks) -> Route {
        match checks.kind_at_current(op.fd, op.code.reads()) {
            FileKind::Storage => Route::Worker(0),
            FileKind::Socket | FileKind::Stream => self.attempt_stream(op, 0, checks),
        }
    }

    /// Moves what a stream takes or has now. The poller waits for the rest.
    fn attempt_stream(&self, op: &Op, moved: u64, checks: &mut Checks) -> Route {
        if self.no_inline {
            return Route::Stream(moved);
        }
        match nonblocking::attempt(op, moved, &mut checks.scratch, &mut Method::Unknown) {
            Attempt::Done(result) => Route::Done(result),
            Attempt::NotReady(moved) | Attempt::MayWait(moved) => Route::Stream(moved),
        }
    }

    fn decide_positional(&self, op: &Op, linked: bool, checks: &mut Checks) -> Route {
        let may_be_cached = !self.no_inline && op.code == Code::Read && op.sys_flags == 0 && checks.allows(op.len);
        match may_be_cached.then(|| self.attempt(op.fd, op.buf, op.len, op.offset, checks)).flatten() {
            Some(answer) => self.after_attempt(op, answer, linked, checks),
            None => self.decide_untried(op, linked, checks),
        }
    }

    /// Whether a worker thread should copy a cached read. On every other path the caller's thread copies it.
    fn takes_long_to_copy(&self, op: &Op, checks: &mut Checks) -> bool {
        const WORTH_WAKING: u64 = 16 * 1024;
        let shares = self.fastest || self.rules.copies_in_submit;
        if !shares || self.no_inline || op.code != Code::Read || op.len < WORTH_WAKING {
            return false;
        }
        let more_of_it = self.fastest && checks.cached_fd == Some(op.fd) && op.len > checks.budget;
        more_of_it || op.len > INLINE_BUDGET && !self.is_direct(op.fd, checks)
    }

    fn without_attempt(&self, op: &Op, moved: u64, linked: bool, checks: &mut Checks) -> Route {
        if !checks.is_storage(op.fd) {
            return self.attempt_stream(op, moved, checks);
        }
        if !linked && self.native_can(op, checks) { Route::Native(moved) } else { Route::Worker(moved) }
    }

    fn after_attempt(&self, op: &Op, attempt: Result<u64>, linked: bool, checks: &mut Checks) -> Route {
        match self.finish_attempt(op, attempt, checks) {
            Cached::Done(result) => Route::Done(result),
            // The backend waits for the rest. One that takes cached reads only would answer EAGAIN again.
            Cached::Rest(moved) if self.takes_all(true) && !linked && self.natively(op.fd, true, checks) => {
                Route::Native(moved)
            }
            Cached::Rest(moved) if !checks.is_storage(op.fd) => self.attempt_stream(op, moved, checks),
            Cached::Rest(moved) => Route::Worker(moved),
            Cached::Unknown(moved) => self.without_attempt(op, moved, linked, checks),
        }
    }

    /// Does for a simple transfer what [`Self::decide`] would do. `at_once`: the caller's array has room for its event.
    #[inline(always)]
    pub fn fast_path(&self, op: &SimpleTransfer, at_once: bool, checks: &mut Checks) -> FastPath {
        if op.reads && at_once && checks.cached_fd == Some(op.fd) && checks.allows(op.len) {
            return self.after_fast_attempt(op, rw::read_cached(op.fd, op.buf, op.len, op.offset), at_once, checks);
        }
        if checks.sent == Some((op.fd, op.reads)) && op.len <= INLINE_MOST && op.fits_the_kernel() {
            if op.reads {
                self.hit_rate.note_untried();
            }
            return FastPath::Sent;
        }
        self.first_of_its_kind(*op, at_once, checks)
    }

    /// Takes `op` by value, so that the fast path can keep its copy in registers.
    #[inline(never)]
    fn first_of_its_kind(&self, op: SimpleTransfer, at_once: bool, checks: &mut Checks) -> FastPath {
        if op.reads && !self.no_inline {
            if !checks.allows(op.len) {
                return FastPath::Undecided;
            }
            if let Some(answer) = self.attempt(op.fd, op.buf, op.len, op.offset, checks) {
                if answer == Ok(op.len) {
                    self.hit_rate.hit();
                }
                return self.after_fast_attempt(&op, answer, at_once, checks);
            }
        }
        let sent = self.takes_all(op.reads)
            && op.fits_the_kernel()
            && !self.avoids(op.fd, op.reads, checks)
            && self.natively(op.fd, op.reads, checks);
        if !sent {
            return FastPath::Untried;
        }
        checks.sent = Some((op.fd, op.reads));
        FastPath::Sent
    }

    #[inline(always)]
    fn after_fast_attempt(
        &self,
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
            Err(Errno(libc::EAGAIN))
                if self.takes_all(true) && op.fits_the_kernel() && self.note_miss(op.fd, checks) =>
            {
                FastPath::Sent
            }
            answer => FastPath::Answered(answer),
        }
    }

    /// A read was not in the page cache, so this submit does not try the next ones. True if the backend takes this one.
    /// EAGAIN may also come from a device, where its submission would wait.
    fn note_miss(&self, fd: i32, checks: &mut Checks) -> bool {
        self.hit_rate.miss();
        checks.cached_fd = None;
        let native = self.takes_all(true) && self.natively(fd, true, checks);
        checks.known(fd).reads.get_or_insert(true);
        checks.sent = native.then_some((fd, true));
        native
    }

    /// Whether the backend takes all reads, if `reads`, or all writes.
    fn takes_all(&self, reads: bool) -> bool {
        self.rules.takes(reads) == Takes::All
    }

    /// [`Self::decide`] after [`Self::fast_path`] tried the transfer, with this answer.
    pub fn decide_after(&self, op: &Op, answer: Result<u64>, checks: &mut Checks) -> Route {
        self.after_attempt(op, answer, false, checks)
    }

    /// [`Self::decide`] without an attempt at a cached read.
    pub fn decide_untried(&self, op: &Op, linked: bool, checks: &mut Checks) -> Route {
        if checks.is_storage(op.fd) && self.takes_long_to_copy(op, checks) {
            return Route::Worker(0);
        }
        self.without_attempt(op, 0, linked, checks)
    }

    /// Tries a cached read, if that is worth an attempt.
    #[inline(always)]
    fn attempt(&self, fd: i32, buf: Memory, len: u64, offset: u64, checks: &mut Checks) -> Option<Result<u64>> {
        if checks.cached_fd != Some(fd) {
            let hint = self.hint(fd);
            if matches!(hint, Hint::NoWaitUnknown | Hint::Direct) || !self.expects_cached(fd, checks) {
                return None;
            }
            let unasked = checks.alone && hint == Hint::Buffered;
            let answer = unasked.then(|| rw::read_cached_unasked(fd, buf, len, offset)).flatten();
            if answer.is_some_and(|answer| answer == Ok(len) || answer == Err(Errno(libc::EAGAIN))) {
                return answer;
            }
            if !self.is_buffered(fd, checks) {
                return None;
            }
            checks.cached_fd = Some(fd);
            // A short read: the caller of this function tries the rest.
            if let Some(Ok(_)) = answer {
                return answer;
            }
        }
        Some(rw::read_cached(fd, buf, len, offset))
    }

    /// Whether an attempt at a cached read of a buffered descriptor is worth its time.
    #[inline(always)]
    fn expects_cached(&self, fd: i32, checks: &mut Checks) -> bool {
        const RETRY_AFTER: u32 = 16;
        if !checks.alone && checks.is_decided(fd) {
            self.hit_rate.note_untried();
            return false;
        }
        // For a single operation, an attempt costs no more than the check whether the backend takes it. If it fails,
        // the kernel has at least started to read ahead.
        let instead = || checks.alone && self.takes_all(true) && !self.in_flight.knows(fd, true);
        self.hit_rate.is_worth_a_try(RETRY_AFTER) || instead()
    }

    /// Whether the descriptor is valid and was opened without O_DIRECT; each submit asks the kernel once.
    fn is_buffered(&self, fd: i32, checks: &mut Checks) -> bool {
        if self.is_direct(fd, checks) || checks.status_flags(fd).is_none() {
            return false;
        }
        if checks.alone {
            self.set_hint(fd, Hint::Buffered);
        }
        true
    }

    /// The descriptors with transfers in the kernel's queue.
    pub fn in_flight(&self) -> Arc<InFlight> {
        self.in_flight.clone()
    }

    /// The hit rate, for attempts that the backend makes.
    pub fn hit_rate(&self) -> Arc<HitRate> {
        self.hit_rate.clone()
    }

    /// Continues a cached read whose first attempt answered `attempt`.
    fn finish_attempt(&self, op: &Op, mut attempt: Result<u64>, checks: &mut Checks) -> Cached {
        let mut moved = 0;
        loop {
            match attempt {
                // A device returned one record. A second read would take the next one.
                Ok(more) if moved + more < op.len && !checks.is_storage(op.fd) => {
                    let continues = op.full && more > 0;
                    return if continues { Cached::Rest(more) } else { Cached::Done(more as i64) };
                }
                // A short read ends where the cached pages end, or the file. Only a 0 means the end of the file.
                Ok(more) if more > 0 && moved + more < op.len => moved += more,
                // On Linux 5.9 and 5.10, a 0 may also mean that nothing is cached (preadv2(2), BUGS).
                Ok(0) if !checks.ends_before(op.fd, op.offset.wrapping_add(moved)) => return Cached::Unknown(moved),
                Ok(more) => {
                    self.hit_rate.hit();
                    checks.budget = checks.budget.saturating_sub(op.len);
                    return Cached::Done((moved + more) as i64);
                }
                Err(Errno(libc::EAGAIN)) => {
                    self.note_miss(op.fd, checks);
                    return Cached::Rest(moved);
                }
                // A filter may forbid preadv2(2): the plain call decides.
                Err(errno) if errno.0 == libc::EOPNOTSUPP || errno.is_forbidden() => {
                    checks.cached_fd = None;
                    self.set_hint(op.fd, Hint::NoWaitUnknown);
                    return Cached::Unknown(moved);
                }
                Err(errno) => return Cached::Done(failed_result(op, moved, errno)),
            }
            attempt = rw::read_cached(op.fd, op.buf.advanced(moved), op.len - moved, op.offset.wrapping_add(moved));
        }
    }

    /// Whether the kernel's queue does what the plain system call does, without waiting inside its submission.
    fn native_can(&self, op: &Op, checks: &mut Checks) -> bool {
        let flags = rw::flags::SYNCED | rw::flags::APPEND;
        // A plain call checks the file even for 0 bytes, and the whole address range even beyond MAX_TRANSFER.
        let form = i64::try_from(op.offset).is_ok()
            && (1..=rw::MAX_TRANSFER).contains(&op.len)
            && op.sys_flags & !flags == 0
            && (!op.code.vectored() || op.len <= rw::MOST_PARTS)
            && priority_is_common(op.ioprio);
        let (fd, reads) = (op.fd, op.code.reads());
        form && !self.avoids(fd, reads, checks)
            && match self.rules.takes(reads) {
                Takes::Nothing => false,
                Takes::Direct => self.is_direct(fd, checks) && self.natively(fd, reads, checks),
                // Asks the kernel now, because a hint may be stale.
                Takes::NeverBuffered => checks.is_direct(fd) && self.natively(fd, reads, checks),
                Takes::Cached => self.takes_cached(fd, checks),
                Takes::All => self.natively(fd, reads, checks),
            }
    }

    /// Whether a worker thread is faster than the backend.
    fn avoids(&self, fd: i32, reads: bool, checks: &mut Checks) -> bool {
        self.fastest && self.rules.slow_buffered_writes && !reads && !self.is_direct(fd, checks)
    }

    /// Whether to send a read that the backend takes only if the page cache has it. The others end with EAGAIN, which
    /// costs a wake-up and then a worker thread each.
    fn takes_cached(&self, fd: i32, checks: &mut Checks) -> bool {
        const RETRY_AFTER: u32 = 1024;
        let wanted = checks.is_decided(fd) || self.hit_rate.is_worth_a_try(RETRY_AFTER) || self.is_direct(fd, checks);
        wanted && (self.in_flight.knows(fd, true) || checks.knows_nowait(fd, true))
    }

    /// Whether the kernel takes transfers of this descriptor without waiting inside a submission, and with the errors of
    /// the plain call.
    fn natively(&self, fd: i32, reads: bool, checks: &mut Checks) -> bool {
        self.in_flight.knows(fd, reads) || checks.natively(fd, reads)
    }

    /// Marks a transfer for its worker thread: whether it can wait only for a disk, and whether it is a direct write.
    /// Direct writes gain from many worker threads.
    pub fn mark(&self, op: &mut Op, checks: &mut Checks) {
        if op.code.transfers() {
            op.storage = if op.at_current() {
                checks.kind_at_current(op.fd, op.code.reads()) == FileKind::Storage
            } else {
                checks.is_storage(op.fd)
            };
            op.direct = !op.code.reads() && self.is_direct(op.fd, checks);
        }
    }

    fn is_direct(&self, fd: i32, checks: &mut Checks) -> bool {
        if self.hint(fd) == Hint::Direct {
            return true;
        }
        let direct = checks.is_direct(fd);
        if direct {
            self.set_hint(fd, Hint::Direct);
        }
        direct
    }

    /// A hint expires after some uses. Then the router asks the kernel again.
    fn hint(&self, fd: i32) -> Hint {
        let place = &self.hints[fd as usize % HINTS];
        // Relaxed: nothing else is published with a hint, and a lost update costs one system call at most.
        let value = place.load(Ordering::Relaxed);
        let (number, uses, kind) = ((value >> 32) as u32, (value >> 8) as u16, value as u8);
        if number != fd as u32 || uses == 0 {
            return Hint::Nothing;
        }
        place.store(value - (1 << 8), Ordering::Relaxed);
        match kind {
            1 => Hint::NoWaitUnknown,
            2 => Hint::Direct,
            3 => Hint::Buffered,
            _ => Hint::Nothing,
        }
    }

    fn set_hint(&self, fd: i32, hint: Hint) {
        const USES: u64 = 64;
        let value = u64::from(fd as u32) << 32 | USES << 8 | hint as u64;
        self.hints[fd as usize % HINTS].store(value, Ordering::Relaxed);
    }
}

enum Cached {
    Done(i64),
    /// The page cache had this many bytes, and not the next one.
    Rest(u64),
    /// The file system does not tell what is cached, after this many bytes.
    Unknown(u64),
}

/// Whether every kernel's queue accepts this priority. It refuses others, but a priority is a hint and must not fail.
fn priority_is_common(value: u16) -> bool {
    const BEST_EFFORT: u16 = 2;
    const IDLE: u16 = 3;
    let (class, level) = (value >> 13, value & 0x1fff);
    value == 0 || (matches!(class, BEST_EFFORT | IDLE) && level < 8)
}
