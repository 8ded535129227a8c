//! Which way an operation goes: finished inside submit, natively, to a worker, or to the poller.
//! What is remembered about a descriptor's number is a hint only: neither results nor not blocking rest on it.

mod checks;
mod learned;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use self::checks::Checks;
pub use self::learned::{Held, HitRate};
use crate::backend::Kind;
use crate::error::{Errno, Result};
use crate::exec::blocking::ended;
use crate::exec::nonblocking::{self, Attempt, Way};
use crate::op::{Code, Op, SimpleTransfer};
use crate::sys::file_kind::FileKind;
use crate::sys::mem::Memory;
use crate::sys::{rw, uring};

/// Where an operation goes from submit, with the bytes that were moved already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Done(i64),
    Native(u64),
    Worker(u64),
    Stream(u64),
}

/// What becomes of a simple transfer.
pub enum FastPath {
    /// Read in full.
    Read,
    /// It goes to io_uring.
    Sent,
    /// Tried, with this answer.
    Answered(Result<u64>),
    /// Not to be tried.
    Untried,
    Undecided,
}

/// Reads that are longer are worth a worker's time: copying them would hold up the caller.
const INLINE_MOST: u64 = 128 * 1024;
/// Bytes that one submit copies at most, for the same reason.
const INLINE_BUDGET: u64 = 1024 * 1024;

/// A context's choices, and what it learned from their outcome.
pub struct Router {
    kind: Kind,
    /// Nobody named the backend: each operation goes the way that is best for it.
    auto: bool,
    no_inline: bool,
    /// The ring takes no buffered reads.
    direct_reads_only: bool,
    hit_rate: Arc<HitRate>,
    held: Arc<Held>,
    hints: [AtomicU64; HINTS],
}

const HINTS: usize = 64;

/// What a descriptor's number was last seen to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hint {
    Nothing = 0,
    /// Its file system does not know RWF_NOWAIT.
    NoWaitUnknown = 1,
    /// Opened with O_DIRECT: there is no page cache to look into, and RWF_NOWAIT would wait for the device.
    Direct = 2,
    /// Opened without: an attempt on one that was not needs no question first.
    Buffered = 3,
}

impl Router {
    pub fn new(kind: Kind, auto: bool, no_inline: bool) -> Self {
        Self {
            kind,
            auto,
            no_inline,
            direct_reads_only: kind == Kind::Uring && uring::rereads_without_end(),
            hit_rate: Arc::default(),
            held: Arc::default(),
            hints: [const { AtomicU64::new(0) }; HINTS],
        }
    }

    pub fn finishes_inline(&self) -> bool {
        !self.no_inline
    }

    /// Decides, and finishes what can be finished without blocking. `linked` operations keep out of the kernel's
    /// queues: a worker runs their chain on.
    pub fn decide(&self, op: &Op, linked: bool, checks: &mut Checks) -> Route {
        match op.code {
            Code::Nop if !self.no_inline => Route::Done(0),
            Code::Nop if self.kind == Kind::Uring && !linked => Route::Native(0),
            Code::Read | Code::Write | Code::Readv | Code::Writev if op.at_current() => self.decide_current(op, checks),
            Code::Read | Code::Write | Code::Readv | Code::Writev => self.decide_positional(op, linked, checks),
            _ => Route::Worker(0),
        }
    }

    fn decide_current(&self, op: &Op, checks: &mut Checks) -> Route {
        match checks.kind_at_current(op.fd, op.code.reads()) {
            FileKind::Storage => Route::Worker(0),
            FileKind::Socket | FileKind::Stream => self.attempt_stream(op, 0, checks),
        }
    }

    /// For what may wait for another party: what can be moved now is, the poller waits for the rest.
    fn attempt_stream(&self, op: &Op, moved: u64, checks: &mut Checks) -> Route {
        if self.no_inline {
            return Route::Stream(moved);
        }
        match nonblocking::attempt(op, moved, &mut checks.scratch, &mut Way::Unknown) {
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

    /// What is in the page cache is copied in the caller's time wherever it goes but to a worker.
    fn takes_long_to_copy(&self, op: &Op, checks: &mut Checks) -> bool {
        const WORTH_WAKING: u64 = 16 * 1024;
        // An io_uring that was asked for by name gets them all.
        let shares = self.auto || self.kind == Kind::Linux;
        if !shares || self.no_inline || op.code != Code::Read || op.len < WORTH_WAKING {
            return false;
        }
        let more_of_it = self.auto && checks.cached_fd == Some(op.fd) && op.len > checks.budget;
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
            // The kernel has checked the descriptor: it has positions. Its AIO would only find the same.
            Cached::Rest(moved) if self.ring_takes(true) && !linked => Route::Native(moved),
            Cached::Rest(moved) if !checks.is_storage(op.fd) => self.attempt_stream(op, moved, checks),
            Cached::Rest(moved) => Route::Worker(moved),
            Cached::Unknown(moved) => self.without_attempt(op, moved, linked, checks),
        }
    }

    /// What becomes of a simple transfer; what [`Self::decide`] would make of it. `at_once`: the caller takes its event.
    #[inline(always)]
    pub fn fast_path(&self, op: &SimpleTransfer, at_once: bool, checks: &mut Checks) -> FastPath {
        if op.reads && at_once && checks.cached_fd == Some(op.fd) && checks.allows(op.len) {
            return self.after_fast_attempt(op, rw::read_cached(op.fd, op.buf, op.len, op.offset), at_once, checks);
        }
        if checks.sent == Some((op.fd, op.reads)) && op.len <= INLINE_MOST && op.fits_the_kernel() {
            if op.reads {
                self.hit_rate.leaves_out();
            }
            return FastPath::Sent;
        }
        self.first_of_its_kind(*op, at_once, checks)
    }

    /// By value, so that the others can stay in registers.
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
        let sent = self.ring_takes(op.reads)
            && op.fits_the_kernel()
            && (op.reads || !self.auto || self.is_direct(op.fd, checks))
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
            Err(Errno(libc::EAGAIN)) if self.ring_takes(true) && op.fits_the_kernel() => {
                self.misses(op.fd, checks);
                FastPath::Sent
            }
            answer => FastPath::Answered(answer),
        }
    }

    /// A read was not in the page cache: those after it are not tried. The attempt got far enough to answer
    /// [`Checks::natively`] for them.
    fn misses(&self, fd: i32, checks: &mut Checks) {
        self.hit_rate.miss();
        checks.cached_fd = None;
        checks.known(fd).reads = Some(true);
        checks.sent = self.ring_takes(true).then_some((fd, true));
    }

    /// There is a ring, for buffered reads too, or for writes.
    fn ring_takes(&self, reads: bool) -> bool {
        self.kind == Kind::Uring && !(reads && self.direct_reads_only)
    }

    /// [`Self::decide`] for a simple transfer of which [`Self::fast_path`] gave this answer.
    pub fn decide_after(&self, op: &Op, answer: Result<u64>, checks: &mut Checks) -> Route {
        self.after_attempt(op, answer, false, checks)
    }

    /// The same, where it is not to be tried.
    pub fn decide_untried(&self, op: &Op, linked: bool, checks: &mut Checks) -> Route {
        if checks.is_storage(op.fd) && self.takes_long_to_copy(op, checks) {
            return Route::Worker(0);
        }
        self.without_attempt(op, 0, linked, checks)
    }

    /// What a read finds in the page cache, if it is worth an attempt.
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
            // Short: the rest is tried next.
            if let Some(Ok(_)) = answer {
                return answer;
            }
        }
        Some(rw::read_cached(fd, buf, len, offset))
    }

    /// Whether reads of a buffered descriptor are worth an attempt.
    #[inline(always)]
    fn expects_cached(&self, fd: i32, checks: &mut Checks) -> bool {
        const RETRY_AFTER: u32 = 16;
        if !checks.alone && checks.is_decided(fd) {
            self.hit_rate.leaves_out();
            return false;
        }
        // Alone, an attempt costs no more than the question whether the ring may have it, and in vain it has started the
        // transfer.
        let instead = || checks.alone && self.ring_takes(true) && !self.held.knows(fd, true);
        self.hit_rate.is_worth_a_try(RETRY_AFTER) || instead()
    }

    /// Whether RWF_NOWAIT looks into the page cache, asked once in a submit.
    fn is_buffered(&self, fd: i32, checks: &mut Checks) -> bool {
        if self.is_direct(fd, checks) || checks.status_flags(fd).is_none() {
            return false;
        }
        if checks.alone {
            self.set_hint(fd, Hint::Buffered);
        }
        true
    }

    /// What the native side holds.
    pub fn held(&self) -> Arc<Held> {
        self.held.clone()
    }

    /// What the native side tells about attempts that it made.
    pub fn hit_rate(&self) -> Arc<HitRate> {
        self.hit_rate.clone()
    }

    /// What comes of a read whose first attempt answered `attempt`.
    fn finish_attempt(&self, op: &Op, mut attempt: Result<u64>, checks: &mut Checks) -> Cached {
        let mut moved = 0;
        loop {
            match attempt {
                // One record of a device; more is another one.
                Ok(more) if moved + more < op.len && !checks.is_storage(op.fd) => {
                    let goes_on = op.full && more > 0;
                    return if goes_on { Cached::Rest(more) } else { Cached::Done(more as i64) };
                }
                // A short answer may be the end of what is cached, or of the file: only a 0 is the latter.
                Ok(more) if more > 0 && moved + more < op.len => moved += more,
                // Not even that on Linux 5.9 and 5.10 (preadv2(2), BUGS).
                Ok(0) if !checks.ends_before(op.fd, op.offset.wrapping_add(moved)) => return Cached::Unknown(moved),
                Ok(more) => {
                    self.hit_rate.hit();
                    checks.budget = checks.budget.saturating_sub(op.len);
                    return Cached::Done((moved + more) as i64);
                }
                Err(Errno(libc::EAGAIN)) => {
                    self.misses(op.fd, checks);
                    return Cached::Rest(moved);
                }
                Err(Errno(libc::EOPNOTSUPP | libc::ENOSYS)) => {
                    checks.cached_fd = None;
                    self.set_hint(op.fd, Hint::NoWaitUnknown);
                    return Cached::Unknown(moved);
                }
                Err(errno) => return Cached::Done(ended(op, moved, errno)),
            }
            attempt = rw::read_cached(op.fd, op.buf.advanced(moved), op.len - moved, op.offset.wrapping_add(moved));
        }
    }

    /// Whether the kernel's queue takes it with the plain call's meaning.
    fn native_can(&self, op: &Op, checks: &mut Checks) -> bool {
        let flags = (libc::RWF_DSYNC | libc::RWF_SYNC | libc::RWF_APPEND) as u32;
        // Of nothing to move, the plain calls still look at the file; of too much, at all of the address range.
        let form = i64::try_from(op.offset).is_ok()
            && (1..=rw::MAX_TRANSFER).contains(&op.len)
            && op.sys_flags & !flags == 0
            && (!op.code.vectored() || op.len <= libc::UIO_MAXIOV as u64)
            && priority_is_common(op.ioprio);
        form && match self.kind {
            Kind::Thread => false,
            // io_uring has a kernel thread make buffered writes, which takes longer than ours do.
            Kind::Uring if self.auto && !op.code.reads() && !self.is_direct(op.fd, checks) => false,
            // Asked now, not remembered: a buffered read that is taken for a direct one might never end.
            Kind::Uring if self.direct_reads_only && op.code.reads() && !checks.is_direct(op.fd) => false,
            Kind::Uring => self.natively(op.fd, op.code.reads(), checks),
            // io_submit runs buffered writes itself; without O_DIRECT they are a worker's.
            Kind::Linux if op.code.reads() => self.kernel_aio_reads(op.fd, checks),
            Kind::Linux => self.is_direct(op.fd, checks) && checks.knows_nowait(op.fd, false),
        }
    }

    /// Buffered reads only while they are found in the page cache: RWF_NOWAIT sends the others back, and each of those is
    /// an event of the descriptor's that brings nothing.
    fn kernel_aio_reads(&self, fd: i32, checks: &mut Checks) -> bool {
        const RETRY_AFTER: u32 = 1024;
        let wanted = checks.is_decided(fd) || self.hit_rate.is_worth_a_try(RETRY_AFTER) || self.is_direct(fd, checks);
        wanted && (self.held.knows(fd, true) || checks.knows_nowait(fd, true))
    }

    /// The kernel's queue takes it, without waiting and with the plain call's errors. If not, a worker makes that call.
    fn natively(&self, fd: i32, reads: bool, checks: &mut Checks) -> bool {
        self.held.knows(fd, reads) || checks.natively(fd, reads)
    }

    /// Notes of a transfer that goes to a worker what it would have to ask: whether only a disk is waited for, and whether
    /// it is a write to the device, as those gain from many workers.
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

    /// Each hint serves a while and is then found out anew.
    fn hint(&self, fd: i32) -> Hint {
        let place = &self.hints[fd as usize % HINTS];
        // Relaxed: a hint that another thread changes at the same time is as good as the other one.
        let value = place.load(Ordering::Relaxed);
        let (whose, uses, kind) = ((value >> 32) as u32, (value >> 8) as u16, value as u8);
        if whose != fd as u32 || uses == 0 {
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
    /// Not in the page cache, after so many bytes that were.
    Rest(u64),
    /// The file system does not tell.
    Unknown(u64),
}

/// Best-effort and idle priorities of a level that exists; the kernel's queues refuse others, which are a hint all the same.
fn priority_is_common(value: u16) -> bool {
    const BEST_EFFORT: u16 = 2;
    const IDLE: u16 = 3;
    let (class, level) = (value >> 13, value & 0x1fff);
    value == 0 || (matches!(class, BEST_EFFORT | IDLE) && level < 8)
}
