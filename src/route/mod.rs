//! Chooses the path of an operation from what is known of its descriptor and what the backend takes: inside submit, the
//! kernel's queue, a worker thread or the poller. It makes no attempt itself: [`crate::context`] makes it, and asks again
//! with the answer.

#[cfg(test)]
mod tests;

use crate::backend::{Rules, Takes};
use crate::fd::{Cached, Checks, FileKind, Hint, INLINE_BUDGET, INLINE_MOST, Remembered};
use crate::op::{Code, Op, SimpleTransfer};

/// The path of an operation, with the bytes that it has moved already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// It has completed, with this result.
    Done(i64),
    /// Submit moves what a stream takes or has now.
    Inline(u64),
    /// The kernel's queue.
    Native(u64),
    Worker(u64),
    /// The poller, because it may wait for another process.
    Stream(u64),
}

/// Whether an attempt at a cached read is worth its time, and how to make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    None,
    /// The descriptor's transfers use the page cache.
    Buffered,
    /// A hint says so. If the attempt gives neither all nor EAGAIN, [`Router::probe_asked`] follows.
    Unasked,
}

/// How a context chooses paths.
#[derive(Clone, Copy)]
pub struct Router {
    rules: Rules,
    /// Each operation takes its fastest path, even if the backend takes it too.
    fastest: bool,
    no_inline: bool,
}

impl Router {
    pub fn new(rules: Rules, fastest: bool, no_inline: bool) -> Self {
        Self { rules, fastest, no_inline }
    }

    pub fn finishes_inline(&self) -> bool {
        !self.no_inline
    }

    /// Whether submit tries a cached read first.
    #[inline(always)]
    pub fn decide_cached(&self, op: &Op, checks: &mut Checks) -> Probe {
        let may_be_cached = !self.no_inline && op.code == Code::Read && op.sys_flags == 0 && !op.at_current();
        if may_be_cached && checks.allows(op.len) { self.probe(op.fd, checks) } else { Probe::None }
    }

    /// Chooses the path without an attempt at a cached read. A `linked` operation never goes to the kernel's queue,
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
            FileKind::Socket | FileKind::Stream => self.stream(0),
        }
    }

    /// Submit moves what a stream takes or has now. The poller waits for the rest.
    fn stream(&self, moved: u64) -> Route {
        if self.no_inline { Route::Stream(moved) } else { Route::Inline(moved) }
    }

    fn decide_positional(&self, op: &Op, linked: bool, checks: &mut Checks) -> Route {
        if checks.is_storage(op.fd) && self.takes_long_to_copy(op, checks) {
            return Route::Worker(0);
        }
        self.without_attempt(op, 0, linked, checks)
    }

    /// Whether a worker thread should copy a cached read. On every other path the caller's thread copies it.
    fn takes_long_to_copy(&self, op: &Op, checks: &mut Checks) -> bool {
        const WORTH_WAKING: u64 = 16 * 1024;
        let shares = self.fastest || self.rules.copies_in_submit;
        if !shares || self.no_inline || op.code != Code::Read || op.len < WORTH_WAKING {
            return false;
        }
        let more_of_it = self.fastest && checks.cached_fd == Some(op.fd) && op.len > checks.budget;
        more_of_it || op.len > INLINE_BUDGET && !checks.is_direct(op.fd)
    }

    fn without_attempt(&self, op: &Op, moved: u64, linked: bool, checks: &mut Checks) -> Route {
        if !checks.is_storage(op.fd) {
            return self.stream(moved);
        }
        if !linked && self.native_can(op, checks) { Route::Native(moved) } else { Route::Worker(moved) }
    }

    /// Chooses the path after an attempt at a cached read.
    pub fn decide_after(&self, op: &Op, cached: Cached, linked: bool, checks: &mut Checks) -> Route {
        match cached {
            Cached::Hit(read) => {
                checks.hit(op.len);
                Route::Done(read as i64)
            }
            Cached::Failed(result) => Route::Done(result),
            Cached::Record(read) if read == 0 || !op.full => Route::Done(read as i64),
            Cached::Record(read) => self.rest(op, read, linked, checks),
            Cached::Miss(read) => {
                self.miss(op.fd, checks);
                self.rest(op, read, linked, checks)
            }
            Cached::Unknown(read) => self.without_attempt(op, read, linked, checks),
            Cached::Untold(read) => {
                checks.is_untold(op.fd);
                self.without_attempt(op, read, linked, checks)
            }
        }
    }

    /// The path of what an attempt at a cached read did not get.
    fn rest(&self, op: &Op, read: u64, linked: bool, checks: &mut Checks) -> Route {
        // A backend that takes all reads waits for it. One that takes cached reads only would answer EAGAIN again.
        if self.takes_all(true) && !linked && checks.natively(op.fd, true) {
            Route::Native(read)
        } else if checks.is_storage(op.fd) {
            Route::Worker(read)
        } else {
            self.stream(read)
        }
    }

    /// Whether submit reads a simple transfer as it did the last one of this descriptor, from the page cache. `at_once`: the
    /// caller's array has room for its event.
    #[inline(always)]
    pub fn reads_too(&self, op: &SimpleTransfer, at_once: bool, checks: &Checks) -> bool {
        op.reads && at_once && checks.cached_fd == Some(op.fd) && checks.allows(op.len)
    }

    /// Whether a read that is alone in its submit is likely cached, and its attempt asks nothing first.
    #[inline(always)]
    pub fn reads_single(&self, op: &SimpleTransfer, remembered: &Remembered) -> bool {
        self.may_be_cached(op)
            && (1..=INLINE_MOST).contains(&op.len)
            && remembered.hit_rate.expects_hit()
            && remembered.hints.get(op.fd) == Hint::Buffered
    }

    /// Whether a simple transfer goes to the backend, as the last one of its kind.
    #[inline(always)]
    pub fn sends_too(&self, op: &SimpleTransfer, checks: &Checks) -> bool {
        let sends = checks.sent == Some((op.fd, op.reads)) && op.len <= INLINE_MOST && op.fits_the_kernel();
        if sends && op.reads {
            checks.remembered().hit_rate.note_untried();
        }
        sends
    }

    /// Whether submit completes cached reads, and this is a read.
    #[inline(always)]
    pub fn may_be_cached(&self, op: &SimpleTransfer) -> bool {
        op.reads && !self.no_inline
    }

    /// Whether to send the first simple transfer of its kind to the backend, and then the others.
    #[inline(always)]
    pub fn sends(&self, op: &SimpleTransfer, checks: &mut Checks) -> bool {
        let sends = self.takes_all(op.reads)
            && op.fits_the_kernel()
            && !self.avoids(op.fd, op.reads, checks)
            && checks.natively(op.fd, op.reads);
        if sends {
            checks.sent = Some((op.fd, op.reads));
        }
        sends
    }

    /// The same for a read that was not in the page cache.
    #[inline(always)]
    pub fn sends_missed(&self, op: &SimpleTransfer, checks: &mut Checks) -> bool {
        self.takes_all(true) && op.fits_the_kernel() && self.miss(op.fd, checks)
    }

    /// A read was not in the page cache. True if the backend takes it. EAGAIN may also come from a device, where its
    /// submission would wait.
    #[cold]
    #[inline(never)]
    fn miss(&self, fd: i32, checks: &mut Checks) -> bool {
        let native = self.takes_all(true) && checks.natively(fd, true);
        checks.miss(fd);
        checks.sent = native.then_some((fd, true));
        native
    }

    /// Whether the backend takes all reads, if `reads`, or all writes.
    fn takes_all(&self, reads: bool) -> bool {
        self.rules.takes(reads) == Takes::All
    }

    #[inline(always)]
    pub fn probe(&self, fd: i32, checks: &mut Checks) -> Probe {
        if checks.cached_fd == Some(fd) {
            return Probe::Buffered;
        }
        let hint = checks.hint(fd);
        if matches!(hint, Hint::NoWaitUnknown | Hint::Direct) || !self.expects_cached(fd, checks) {
            return Probe::None;
        }
        if checks.alone && hint == Hint::Buffered { Probe::Unasked } else { self.probe_asked(fd, checks) }
    }

    /// [`Self::probe`], which asks the kernel instead of a hint.
    #[inline(always)]
    pub fn probe_asked(&self, fd: i32, checks: &mut Checks) -> Probe {
        if !checks.is_buffered(fd) {
            return Probe::None;
        }
        checks.cached_fd = Some(fd);
        Probe::Buffered
    }

    /// Whether an attempt at a cached read of a buffered descriptor is worth its time.
    #[inline(always)]
    fn expects_cached(&self, fd: i32, checks: &mut Checks) -> bool {
        const RETRY_AFTER: u32 = 16;
        if !checks.alone && checks.is_decided(fd) {
            checks.remembered().hit_rate.note_untried();
            return false;
        }
        // For a single operation, an attempt costs no more than the check whether the backend takes it. If it fails,
        // the kernel has at least started to read ahead.
        let remembered = checks.remembered();
        let instead = || checks.alone && self.takes_all(true) && !remembered.in_flight.knows(fd, true);
        remembered.hit_rate.is_worth_a_try(RETRY_AFTER) || instead()
    }

    /// Whether the kernel's queue does what the plain system call does, without waiting inside its submission.
    fn native_can(&self, op: &Op, checks: &mut Checks) -> bool {
        let (fd, reads) = (op.fd, op.code.reads());
        op.fits_the_kernel()
            && !self.avoids(fd, reads, checks)
            && match self.rules.takes(reads) {
                Takes::Nothing => false,
                Takes::Direct => checks.is_direct(fd) && checks.natively(fd, reads),
                // Asks the kernel now, because a hint may be stale.
                Takes::NeverBuffered => checks.is_direct_now(fd) && checks.natively(fd, reads),
                Takes::Cached => self.expects_native_hit(fd, checks) && checks.natively_cached(fd),
                Takes::All => checks.natively(fd, reads),
            }
    }

    /// Whether a worker thread is faster than the backend.
    fn avoids(&self, fd: i32, reads: bool, checks: &mut Checks) -> bool {
        self.fastest && self.rules.slow_buffered_writes && !reads && !checks.is_direct(fd)
    }

    /// Whether to send a read that the backend takes only if the page cache has it. The others end with EAGAIN, which
    /// costs a wake-up and then a worker thread each.
    fn expects_native_hit(&self, fd: i32, checks: &mut Checks) -> bool {
        const RETRY_AFTER: u32 = 1024;
        checks.is_decided(fd) || checks.remembered().hit_rate.is_worth_a_try(RETRY_AFTER) || checks.is_direct(fd)
    }
}
