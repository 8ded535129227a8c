//! io_uring: transfers at explicit offsets, pushed under the context's lock and entered without it.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use super::Wants;
use crate::error::Result;
use crate::op::{Code, Op, SimpleTransfer};
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::sys::mem::room;
use crate::sys::thread;
use crate::sys::uring::{self, NOBODY, Request, Ring, Setup};

pub struct Uring {
    ring: Ring,
    entering: Arc<Entering>,
    /// Tokens in the order pushed, one place per ring entry: what the kernel did not take can be taken back.
    pushed: Vec<u64>,
    next: usize,
    in_flight: u32,
    /// In flight at most, so that completions always fit their ring.
    most: u32,
    /// The thread that enters a deferred ring, once there is one.
    owner: Option<usize>,
    /// Completions do not signal.
    muted: bool,
}

/// Who is inside io_uring_enter, and whether it still works.
#[derive(Default)]
struct Entering {
    threads: AtomicU32,
    broken: AtomicBool,
}

impl Entering {
    /// Under the context's lock, and only while not broken.
    fn comes(&self) {
        // Relaxed: the lock orders it before every `is_over`.
        self.threads.fetch_add(1, Ordering::Relaxed);
    }

    /// True if the thread must look, under the lock, whether it is over.
    fn goes(&self, works: bool) -> bool {
        if !works {
            self.broken.store(true, Ordering::Release);
        }
        // AcqRel pairs with itself: the last thread to go sees what those before it stored.
        self.threads.fetch_sub(1, Ordering::AcqRel);
        self.is_broken()
    }

    /// Nobody ever got in.
    fn break_off(&self) {
        // Release pairs with the acquire in `is_broken`.
        self.broken.store(true, Ordering::Release);
    }

    fn is_broken(&self) -> bool {
        // Acquire pairs with the release in `goes`.
        self.broken.load(Ordering::Acquire)
    }

    /// Broken, and nobody is inside: what the kernel has not taken it never will.
    fn is_over(&self) -> bool {
        // Acquire pairs with the threads' going: their enters are over.
        self.is_broken() && self.threads.load(Ordering::Acquire) == 0
    }
}

/// One io_uring_enter to be made.
pub struct Enter {
    ring: RawFd,
    count: u32,
    flags: u32,
    entering: Arc<Entering>,
}

/// io-wq threads for regular files: as many as cold reads gain from. For the rest, which we do not send: few.
const IOWQ_UNBOUNDED: u32 = 4;

impl Uring {
    pub fn open(wants: &Wants) -> Result<Self> {
        const MOST_ENTRIES: u32 = 4096;
        let requests = wants.max_requests.min(32768).next_power_of_two();
        let ring = Ring::new(Setup {
            entries: requests.min(MOST_ENTRIES),
            completions: requests * 2,
            deferred: wants.single_thread,
            sqpoll: wants.sqpoll,
            iowq_workers: [wants.workers, IOWQ_UNBOUNDED],
        })?;
        ring.register_eventfd(wants.eventfd)?;
        let (entries, most) = (ring.entries(), ring.completion_entries() / 2);
        let mut pushed = room(entries as usize)?;
        pushed.resize(entries as usize, NOBODY);
        Ok(Self { ring, entering: Arc::default(), pushed, next: 0, in_flight: 0, most, owner: None, muted: false })
    }

    pub fn fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }

    /// The kernel no longer lets us in: what is in flight ends, nothing new starts.
    pub fn is_broken(&self) -> bool {
        self.entering.is_broken()
    }

    pub fn push(&mut self, token: u64, op: &Op, moved: u64) -> bool {
        let pushed = self.make_ready(1) == 1 && self.push_request(request(op, moved), token);
        self.in_flight += u32::from(pushed);
        pushed
    }

    /// Before so many are pushed: how many of them there is room for.
    pub fn make_ready(&mut self, count: usize) -> usize {
        if self.muted && !self.ring.is_deferred() {
            // It may end while its thread sleeps.
            self.unmute();
        }
        let takes = !self.is_broken() && self.is_enabled();
        let room = (self.most - self.in_flight).min(self.ring.room());
        if takes { count.min(room as usize) } else { 0 }
    }

    /// Of those that there is room for.
    #[inline(always)]
    pub fn push_simple(&mut self, token: u64, op: &SimpleTransfer) {
        let SimpleTransfer { user_data: _, reads, hurried: _, fd, buf, len, offset } = *op;
        let count = len as u32;
        let request =
            Request::Transfer { fd, reads, vectored: false, memory: buf, count, offset, rw_flags: 0, ioprio: 0 };
        assert!(self.push_request(request, token), "there is room");
        self.in_flight += 1;
    }

    /// The first to push is the thread that makes all calls.
    fn is_enabled(&mut self) -> bool {
        if self.ring.is_deferred() && self.owner.is_none() {
            self.owner = Some(thread::id());
            if self.ring.enable().is_err() {
                self.entering.break_off();
                return false;
            }
        }
        true
    }

    /// Whether the calling thread may enter the ring.
    fn may_enter(&self) -> bool {
        !self.ring.is_deferred() || self.owner == Some(thread::id())
    }

    /// The descriptor shows a completion before it can be seen here: the thread that runs it also makes it.
    pub fn signals_first(&self) -> bool {
        self.ring.is_deferred()
    }

    /// Only where nobody else may be asleep: one thread makes all calls, or nothing but what it is about to enter can
    /// complete. What is there already has signalled, and is not kept quiet.
    pub fn mute(&mut self) {
        let alone = if self.ring.is_deferred() { self.may_enter() } else { self.in_flight <= self.ring.unsubmitted() };
        if alone && !self.has_completions() {
            self.ring.signals(false);
            self.muted = true;
        }
    }

    pub fn is_muted(&self) -> bool {
        self.muted
    }

    pub fn unmute(&mut self) {
        self.muted = false;
        self.ring.signals(true);
        // Pairs with the kernel's barrier between its note of a completion and its look at the flag.
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    }

    pub fn cancel(&mut self, token: u64) {
        // Best effort: if there is no room, the operation ends by itself.
        self.push_request(Request::Cancel(token), NOBODY);
    }

    #[inline(always)]
    fn push_request(&mut self, request: Request, user_data: u64) -> bool {
        let pushed = self.ring.push(request, user_data);
        if pushed {
            self.pushed[self.next] = user_data;
            self.next = (self.next + 1) & (self.pushed.len() - 1);
        }
        pushed
    }

    pub fn flush(&mut self) -> Option<Enter> {
        let count = self.ring.unsubmitted();
        if count == 0 || self.is_broken() || !self.may_enter() {
            return None;
        }
        let flags = self.ring.enter_flags()?;
        self.entering.comes();
        Some(Enter { ring: self.fd(), count, flags, entering: self.entering.clone() })
    }

    /// After a failed enter, once nobody is inside: what the kernel did not take never starts there.
    pub fn flushed(&mut self, _: &Enter, mut refused: impl FnMut(u64)) {
        if !self.entering.is_over() {
            return;
        }
        let left = self.ring.unsubmitted() as usize;
        let places = self.pushed.len();
        for back in (1..=left).rev() {
            let token = std::mem::replace(&mut self.pushed[(self.next + places - back) % places], NOBODY);
            if token != NOBODY {
                self.in_flight -= 1;
                refused(token);
            }
        }
    }

    pub fn has_unsent(&mut self) -> bool {
        self.ring.unsubmitted() > 0
    }

    pub fn has_completions(&mut self) -> bool {
        self.ring.has_completions() || self.ring.has_deferred()
    }

    /// Lets what is deferred complete, without a second signal for it; the first was that it waits. True if something did.
    fn run_deferred(&mut self) -> bool {
        // One call runs some twenty, of which few may complete. And the flag may come late, when all have run already: then
        // it stays until there are others.
        const TRIES: u32 = 8;
        self.ring.signals(false);
        for _ in 0..TRIES {
            if uring::get_events(self.fd()).is_err() || self.ring.has_completions() || !self.ring.has_deferred() {
                break;
            }
        }
        if !self.muted {
            self.unmute();
        }
        self.ring.has_completions()
    }

    #[inline(always)]
    pub fn pop(&mut self) -> Option<(u64, i64)> {
        loop {
            let Some((token, result)) = self.ring.pop() else {
                if self.brings_more() {
                    continue;
                }
                return None;
            };
            if token != NOBODY {
                self.in_flight -= 1;
                return Some((token, result.into()));
            }
        }
    }

    /// Whether there are completions now that waited outside the ring.
    #[inline(never)]
    fn brings_more(&mut self) -> bool {
        self.ring.has_deferred() && self.may_enter() && self.run_deferred()
            || self.ring.overflowed() && uring::get_events(self.fd()).is_ok() && self.ring.has_completions()
    }
}

impl Enter {
    /// True if it failed for good, or another one did while this one was inside.
    pub fn run(&mut self) -> bool {
        let works = self.enter_all();
        self.entering.goes(works)
    }

    fn enter_all(&mut self) -> bool {
        const TRIES: u32 = 64;
        let mut failures = 0;
        while self.count > 0 && failures < TRIES {
            match uring::enter(self.ring, self.count, self.flags) {
                // Nothing left: another thread's enter took ours.
                Ok(0) => return true,
                Ok(taken) => self.count = self.count.saturating_sub(taken),
                Err(errno) if errno.0 == libc::EINTR => {}
                // Out of memory for a moment, or completions waiting for room.
                Err(errno) if matches!(errno.0, libc::EAGAIN | libc::EBUSY | libc::ENOMEM) => {
                    failures += 1;
                    std::thread::yield_now();
                }
                Err(_) => return false,
            }
        }
        self.count == 0
    }
}

#[inline(always)]
fn request(op: &Op, moved: u64) -> Request {
    if op.code == Code::Nop {
        return Request::Nop;
    }
    Request::Transfer {
        fd: op.fd,
        reads: op.code.reads(),
        vectored: op.code.vectored(),
        memory: if op.code.vectored() { op.buf } else { op.buf.advanced(moved) },
        count: if op.code.vectored() { op.len } else { op.len - moved } as u32,
        offset: op.offset + moved,
        rw_flags: op.sys_flags,
        ioprio: op.ioprio,
    }
}

#[cfg(all(test, loom))]
mod tests {
    use super::*;
    use loom::sync::{Arc, Mutex};
    use loom::thread;

    #[test]
    fn after_a_failure_somebody_takes_back_what_is_left() {
        loom::model(|| {
            let entering = Arc::new(Entering { threads: AtomicU32::new(0), broken: AtomicBool::new(false) });
            let taken_back = Arc::new(Mutex::new(false));
            let enter = |works: bool| {
                let (entering, taken_back) = (entering.clone(), taken_back.clone());
                move || {
                    if entering.goes(works) {
                        let mut taken_back = taken_back.lock().unwrap();
                        *taken_back |= entering.is_over();
                    }
                }
            };
            entering.comes();
            entering.comes();
            let other = thread::spawn(enter(false));
            enter(true)();
            other.join().unwrap();
            assert!(*taken_back.lock().unwrap());
        });
    }
}
