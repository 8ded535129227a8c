//! io_uring: transfers at explicit offsets. Entries are pushed under the context's lock and submitted without it.

use std::sync::Arc;

use super::{Config, Rules, ShortReads, Takes};
use crate::error::Result;
use crate::op::{Code, Op, SimpleTransfer};
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::sys::fd::{AsRawFd, RawFd};
use crate::sys::mem::room;
use crate::sys::thread;
use crate::sys::uring::{self, IoUring, NO_OPERATION, RingSetup, Submission};

/// If the caller named io_uring, the ring gets all reads, also the long copies.
pub fn rules() -> Rules {
    Rules {
        nops: true,
        reads: if uring::rereads_without_end() { Takes::NeverBuffered } else { Takes::All },
        writes: Takes::All,
        // io_uring hands them to a kernel thread.
        slow_buffered_writes: true,
        copies_in_submit: false,
        short_reads: ShortReads::Interrupted,
        resumes: true,
    }
}

pub struct Uring {
    ring: IoUring,
    entering: Arc<Entering>,
    /// Tokens in the order pushed, one per queue entry, to take back entries that the kernel did not consume.
    pushed: Vec<u64>,
    next: usize,
    in_flight: u32,
    /// The limit for `in_flight`, so that completions always fit their ring.
    most: u32,
    /// The thread that enters a deferred ring, set by its first push.
    owner: Option<usize>,
    /// Completions do not signal the eventfd.
    muted: bool,
    /// Opcodes that the ring refuses, one bit each. Workers run them.
    refused: u64,
}

/// How many threads are inside io_uring_enter(2), and whether it still works.
#[derive(Default)]
struct Entering {
    threads: AtomicU32,
    broken: AtomicBool,
}

impl Entering {
    /// Call it under the context's lock, and only while not broken.
    fn comes(&self) {
        // Relaxed: the lock orders it before every `is_over`.
        self.threads.fetch_add(1, Ordering::Relaxed);
    }

    /// True if the thread must check [`Self::is_over`] under the lock.
    fn goes(&self, works: bool) -> bool {
        if !works {
            self.broken.store(true, Ordering::Release);
        }
        // AcqRel pairs with itself: the last thread to leave sees the stores of the others.
        self.threads.fetch_sub(1, Ordering::AcqRel);
        self.is_broken()
    }

    /// Marks the ring as broken before any thread entered it.
    fn break_off(&self) {
        // Release pairs with the acquire in `is_broken`.
        self.broken.store(true, Ordering::Release);
    }

    fn is_broken(&self) -> bool {
        // Acquire pairs with the release in `goes`.
        self.broken.load(Ordering::Acquire)
    }

    /// Broken, and no thread is inside: the kernel will never consume the entries that are left.
    fn is_over(&self) -> bool {
        // Acquire pairs with `goes`: the enters of those threads have returned.
        self.is_broken() && self.threads.load(Ordering::Acquire) == 0
    }
}

/// An io_uring_enter(2) that is due.
pub struct Enter {
    ring: RawFd,
    count: u32,
    flags: u32,
    entering: Arc<Entering>,
}

/// io-wq threads for other than regular files, of which the ring gets few.
const IOWQ_UNBOUNDED: u32 = 4;

impl Uring {
    pub fn open(config: &Config) -> Result<Self> {
        const MOST_ENTRIES: u32 = 4096;
        let requests = config.max_requests.min(32768).next_power_of_two();
        let setup = RingSetup {
            entries: requests.min(MOST_ENTRIES),
            completions: requests * 2,
            deferred: config.single_thread,
            sqpoll: config.sqpoll,
            iowq_workers: [config.workers, IOWQ_UNBOUNDED],
        };
        let mut ring = IoUring::new(setup)?;
        ring.check_transfers(config.events_fd)?;
        ring.register_eventfd(config.events_fd)?;
        let (entries, most) = (ring.entries(), ring.completion_entries() / 2);
        let mut pushed = room(entries as usize)?;
        pushed.resize(entries as usize, NO_OPERATION);
        let (entering, owner) = (Arc::default(), None);
        Ok(Self { ring, entering, pushed, next: 0, in_flight: 0, most, owner, muted: false, refused: 0 })
    }

    pub fn fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }

    /// io_uring_enter(2) fails: operations in flight complete, but no new ones start.
    pub fn is_broken(&self) -> bool {
        self.entering.is_broken()
    }

    pub fn takes(&self, code: Code) -> bool {
        !self.is_broken() && self.refused & bit(code) == 0
    }

    /// Stops using the ring for this opcode.
    pub fn refuse(&mut self, code: Code) {
        self.refused |= bit(code);
    }

    pub fn push(&mut self, token: u64, op: &Op, moved: u64) -> bool {
        let pushed = self.takes(op.code) && self.has_room(1) == 1 && self.push_entry(entry(op, moved), token);
        self.in_flight += u32::from(pushed);
        pushed
    }

    /// How many of `count` simple transfers [`Self::push_simple`] takes now.
    pub fn make_ready(&mut self, count: usize) -> usize {
        if self.refused & (bit(Code::Read) | bit(Code::Write)) == 0 { self.has_room(count) } else { 0 }
    }

    /// How many of `count` entries there is room for.
    fn has_room(&mut self, count: usize) -> usize {
        if self.muted && !self.ring.is_deferred() {
            // The new operation may complete while the submitting thread sleeps.
            self.unmute();
        }
        let takes = !self.is_broken() && self.is_enabled();
        let room = (self.most - self.in_flight).min(self.ring.room());
        if takes { count.min(room as usize) } else { 0 }
    }

    /// Pushes one of those that [`Self::make_ready`] has room for.
    #[inline(always)]
    pub fn push_simple(&mut self, token: u64, op: &SimpleTransfer) {
        let SimpleTransfer { user_data: _, reads, hurried: _, fd, buf, len, offset } = *op;
        let count = len as u32;
        let entry =
            Submission::Transfer { fd, reads, vectored: false, memory: buf, count, offset, rw_flags: 0, ioprio: 0 };
        assert!(self.push_entry(entry, token), "there is room");
        self.in_flight += 1;
    }

    /// The first thread that pushes is the one that makes all calls (CAIO_CTX_SINGLE_THREAD).
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

    /// Whether the eventfd is signalled before a completion is in the ring: a deferred completion signals, then waits for the
    /// thread to enter.
    pub fn signals_first(&self) -> bool {
        self.ring.is_deferred()
    }

    /// Keeps completions from signalling while no other thread may sleep on the eventfd: one thread makes all calls, or only
    /// the entries that it is about to submit can complete. Completions that are there have signalled already.
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
        // Pairs with the kernel's barrier between writing a completion and reading this flag.
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    }

    pub fn cancel(&mut self, token: u64) {
        // Best effort: if the queue is full, the operation ends by itself.
        self.push_entry(Submission::Cancel(token), NO_OPERATION);
    }

    #[inline(always)]
    fn push_entry(&mut self, entry: Submission, user_data: u64) -> bool {
        let pushed = self.ring.push(entry, user_data);
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

    /// After a failed enter, once no thread is inside: gives back the entries that the kernel did not consume.
    pub fn flushed(&mut self, _: &Enter, mut refused: impl FnMut(u64)) {
        if !self.entering.is_over() {
            return;
        }
        let left = self.ring.unsubmitted() as usize;
        let places = self.pushed.len();
        for back in (1..=left).rev() {
            let token = std::mem::replace(&mut self.pushed[(self.next + places - back) % places], NO_OPERATION);
            if token != NO_OPERATION {
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

    /// Runs deferred completions without signalling them again. True if there are completions then.
    fn run_deferred(&mut self) -> bool {
        // One call runs about twenty, few of which may complete. The flag can also be set late, after all of them ran: then
        // it stays set until there are others.
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
            if token != NO_OPERATION {
                self.in_flight -= 1;
                return Some((token, result.into()));
            }
        }
    }

    /// Fetches completions that were deferred or overflowed; true if there are some.
    #[inline(never)]
    fn brings_more(&mut self) -> bool {
        self.ring.has_deferred() && self.may_enter() && self.run_deferred()
            || self.ring.overflowed() && uring::get_events(self.fd()).is_ok() && self.ring.has_completions()
    }
}

impl Enter {
    /// Submits; true if the ring is broken, by this call or another one at the same time.
    pub fn run(&mut self) -> bool {
        let works = self.enter_all();
        self.entering.goes(works)
    }

    fn enter_all(&mut self) -> bool {
        const TRIES: u32 = 64;
        let mut failures = 0;
        while self.count > 0 && failures < TRIES {
            match uring::enter(self.ring, self.count, self.flags) {
                // Another thread's enter consumed these entries.
                Ok(0) => return true,
                Ok(taken) => self.count = self.count.saturating_sub(taken),
                Err(errno) if errno.0 == libc::EINTR => {}
                // No memory at the moment, or completions that overflowed.
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

fn bit(code: Code) -> u64 {
    1 << code as u32
}

#[inline(always)]
fn entry(op: &Op, moved: u64) -> Submission {
    if op.code == Code::Nop {
        return Submission::Nop;
    }
    Submission::Transfer {
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
    fn after_a_failed_enter_one_thread_takes_back_the_entries() {
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
