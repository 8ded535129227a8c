//! io_uring(7): the `io-uring` crate's rings, with the calls that a context makes on them.

use std::sync::atomic::AtomicU64;

use io_uring::{Probe, opcode, squeue, types::Fd};

use super::super::Descriptors;
pub use super::super::requests::{NO_OPERATION, RingSetup, Submission};
use super::fd::{AsRawFd, RawFd};
use super::mem::Memory;
use super::rw::{MAX_TRANSFER, Transfer};
use super::{in_place, pollable};
use crate::error::{Errno, Result};

/// One io_uring instance.
pub struct IoUring {
    ring: io_uring::IoUring,
    sqpoll: bool,
    deferred: bool,
}

impl IoUring {
    /// Sets up a ring that has the features that libcaio needs.
    /// Fails with ENOSYS, EPERM or EACCES if the kernel or a filter forbids that, EOPNOTSUPP if the kernel is too old.
    pub fn new(setup: RingSetup) -> Result<Self> {
        let (ring, deferred) = Self::build(setup)?;
        let params = ring.params();
        if !params.is_feature_nodrop() || !params.is_feature_submit_stable() {
            return Err(Errno(libc::EOPNOTSUPP));
        }
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        let needed = [
            opcode::Nop::CODE,
            opcode::Read::CODE,
            opcode::Write::CODE,
            opcode::Readv::CODE,
            opcode::Writev::CODE,
            opcode::AsyncCancel::CODE,
        ];
        if !needed.iter().all(|code| probe.is_supported(*code)) {
            return Err(Errno(libc::EOPNOTSUPP));
        }
        // Kernels before 5.15 have no such limit.
        let mut workers = setup.iowq_workers;
        ring.submitter().register_iowq_max_workers(&mut workers).ok();
        let sqpoll = params.is_setup_sqpoll();
        Ok(Self { ring, sqpoll, deferred })
    }

    /// Fails with ENOSYS, EPERM or EACCES if this new ring cannot be entered, or refuses reads or writes. From Linux 7.0 a
    /// filter can allow a ring and refuse single opcodes. `eventfd` is read and written to, and is 0 afterwards.
    pub fn check_transfers(&mut self, eventfd: RawFd) -> Result<()> {
        if !self.deferred && !self.sqpoll {
            return self.try_transfers(eventfd);
        }
        // A small ring stands in for it: only the thread that will enable a deferred ring may enter it, and the first
        // completion of a SQPOLL ring takes 2 ms.
        let ring = io_uring::IoUring::builder().dontfork().build(1)?;
        Self { ring, sqpoll: false, deferred: false }.try_transfers(eventfd)
    }

    /// Writes to `eventfd` and reads it through the ring.
    fn try_transfers(&mut self, eventfd: RawFd) -> Result<()> {
        // Static: an error can return from here before the kernel is done with them. The value read is not used.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        static ONE: u64 = 1;
        self.try_transfer(eventfd, false, (&raw const ONE).cast_mut())?;
        // What was written is there, so this does not wait.
        self.try_transfer(eventfd, true, COUNT.as_ptr()).inspect_err(|_| pollable::clear(eventfd))
    }

    /// Moves 8 bytes between `eventfd` and the static at `at`.
    fn try_transfer(&mut self, eventfd: RawFd, reads: bool, at: *mut u64) -> Result<()> {
        // Signals interrupt the wait; bounded in case a filter answers every call with 0.
        const TRIES: u32 = 64;
        // SAFETY: a static of 8 bytes, which only the kernel touches.
        let memory = unsafe { Memory::new(at.cast()) };
        let (count, vectored) = (size_of::<u64>() as u32, false);
        let transfer =
            Submission::Transfer { fd: eventfd, reads, vectored, memory, count, offset: 0, rw_flags: 0, ioprio: 0 };
        self.push(transfer, NO_OPERATION);
        for _ in 0..TRIES {
            match enter_and_wait(self.as_raw_fd(), self.unsubmitted(), 1, IORING_ENTER_GETEVENTS) {
                Err(errno) if errno.0 != libc::EINTR => return Err(errno),
                _ => {}
            }
            if let Some((_, result)) = self.pop() {
                return if result < 0 { Err(Errno(-result)) } else { Ok(()) };
            }
        }
        Err(Errno(libc::EAGAIN))
    }

    fn build(setup: RingSetup) -> Result<(io_uring::IoUring, bool)> {
        let mut entries = setup.entries;
        let (mut sqpoll, mut submit_all) = (setup.sqpoll, true);
        let mut deferred = setup.deferred && !sqpoll;
        loop {
            let mut builder = io_uring::IoUring::builder();
            builder.dontfork().setup_clamp().setup_cqsize(setup.completions.max(entries));
            if submit_all {
                builder.setup_submit_all();
            }
            if deferred {
                builder.setup_r_disabled().setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag();
            }
            if sqpoll {
                const IDLE_MS: u32 = 20;
                builder.setup_sqpoll(IDLE_MS);
            }
            let errno = match builder.build(entries) {
                // Before 5.11 the kernel's submission thread takes registered files only.
                Ok(ring) if sqpoll && !ring.params().is_feature_sqpoll_nonfixed() => Errno(libc::EOPNOTSUPP),
                Ok(ring) => return Ok((ring, deferred)),
                Err(error) => Errno::from(error),
            };
            // Drop one option at a time: SQPOLL is a hint, DEFER_TASKRUN needs Linux 6.1, SUBMIT_ALL needs 5.18, and rings can
            // exceed RLIMIT_MEMLOCK.
            match errno.0 {
                libc::EINVAL if deferred => deferred = false,
                libc::EINVAL if submit_all => submit_all = false,
                _ if sqpoll => sqpoll = false,
                libc::ENOMEM if entries > 8 => entries /= 2,
                _ => return Err(errno),
            }
        }
    }

    /// Makes every completion signal `eventfd`.
    pub fn register_eventfd(&self, eventfd: RawFd) -> Result<()> {
        Ok(self.ring.submitter().register_eventfd(eventfd)?)
    }

    pub fn is_deferred(&self) -> bool {
        self.deferred
    }

    /// Makes the calling thread the one that enters a deferred ring.
    pub fn enable(&self) -> Result<()> {
        Ok(self.ring.submitter().register_enable_rings()?)
    }

    /// Whether completions wait for the next [`get_events`].
    pub fn has_deferred(&mut self) -> bool {
        self.deferred && self.ring.submission().taskrun()
    }

    /// Sets whether completions signal the eventfd.
    pub fn signals(&mut self, on: bool) {
        let completion = self.ring.completion();
        if on { completion.enable_eventfd() } else { completion.disable_eventfd() }
    }

    pub fn entries(&self) -> u32 {
        self.ring.params().sq_entries()
    }

    pub fn completion_entries(&self) -> u32 {
        self.ring.params().cq_entries()
    }

    /// Adds an entry to the submission queue, for the next [`enter`]; false if the queue is full.
    #[inline(always)]
    pub fn push(&mut self, submission: Submission, user_data: u64) -> bool {
        let Submission::Transfer { fd, reads, vectored, memory, count, offset, rw_flags, ioprio } = submission else {
            return match submission {
                Submission::Cancel(whom) => self.put(opcode::AsyncCancel::new(whom).build(), user_data),
                _ => self.put(opcode::Nop::new().build(), user_data),
            };
        };
        let (fd, flags) = (Fd(fd), rw_flags as i32);
        let (bytes, vectors) = (memory.address().cast::<u8>(), memory.address().cast::<libc::iovec>());
        // One `put` per opcode: a single one for all would assemble the entry on the stack and stall on reading it back.
        macro_rules! transfer {
            ($kind:ident of $memory:expr) => {{
                let transfer = opcode::$kind::new(fd, $memory, count).offset(offset).rw_flags(flags).ioprio(ioprio);
                self.put(transfer.build(), user_data)
            }};
        }
        match (reads, vectored) {
            (true, false) => transfer!(Read of bytes),
            (false, false) => transfer!(Write of bytes),
            (true, true) => transfer!(Readv of vectors),
            (false, true) => transfer!(Writev of vectors),
        }
    }

    #[inline(always)]
    fn put(&mut self, entry: squeue::Entry, user_data: u64) -> bool {
        // SAFETY: the memory in it is valid until the operation's event (Memory), which its completion precedes.
        unsafe { self.ring.submission().push(&entry.user_data(user_data)) }.is_ok()
    }

    /// Adds a transfer that a kernel thread makes and may sleep in; false if the queue is full.
    pub fn push_blocking(&mut self, transfer: &Transfer, user_data: u64) -> bool {
        let Transfer { fd, reads, vectored, memory, count, offset, flags } = *transfer;
        let (fd, flags, count) = (Fd(fd), flags as i32, count.min(MAX_TRANSFER) as u32);
        let (bytes, vectors) = (memory.address().cast::<u8>(), memory.address().cast::<libc::iovec>());
        let entry = match (reads, vectored) {
            (true, false) => opcode::Read::new(fd, bytes, count).offset(offset).rw_flags(flags).build(),
            (false, false) => opcode::Write::new(fd, bytes, count).offset(offset).rw_flags(flags).build(),
            (true, true) => opcode::Readv::new(fd, vectors, count).offset(offset).rw_flags(flags).build(),
            (false, true) => opcode::Writev::new(fd, vectors, count).offset(offset).rw_flags(flags).build(),
        };
        self.put(entry.flags(squeue::Flags::ASYNC), user_data)
    }

    /// How many more entries the submission queue has room for.
    pub fn room(&mut self) -> u32 {
        let submission = self.ring.submission();
        (submission.capacity() - submission.len()) as u32
    }

    /// How many entries the kernel has not consumed yet.
    pub fn unsubmitted(&mut self) -> u32 {
        self.ring.submission().len() as u32
    }

    /// The flags for [`enter`], or None if the kernel's submission thread is awake and needs no call.
    pub fn enter_flags(&mut self) -> Option<u32> {
        const IORING_ENTER_SQ_WAKEUP: u32 = 1 << 1;
        if !self.sqpoll {
            return Some(if self.deferred { IORING_ENTER_GETEVENTS } else { 0 });
        }
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst); // pairs with the kernel thread's before it sleeps
        self.ring.submission().need_wakeup().then_some(IORING_ENTER_SQ_WAKEUP)
    }

    pub fn has_completions(&mut self) -> bool {
        !self.ring.completion().is_empty()
    }

    /// A completion's user data and result.
    #[inline(always)]
    pub fn pop(&mut self) -> Option<(u64, i32)> {
        self.ring.completion().next().map(|entry| (entry.user_data(), entry.result()))
    }

    /// Whether the kernel holds completions that did not fit the ring; [`get_events`] fetches them.
    pub fn overflowed(&mut self) -> bool {
        self.ring.submission().cq_overflow()
    }
}

impl AsRawFd for IoUring {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}

impl Descriptors for IoUring {
    fn descriptors(&self) -> [Option<RawFd>; 2] {
        [Some(self.as_raw_fd()), None]
    }
}

/// Submits up to `count` entries (io_uring_enter(2)) without waiting; returns how many the kernel consumed.
pub fn enter(ring: RawFd, count: u32, flags: u32) -> Result<u32> {
    enter_and_wait(ring, count, 0, flags)
}

/// The same, and waits for `completions`.
#[inline(always)]
fn enter_and_wait(ring: RawFd, count: u32, completions: u32, flags: u32) -> Result<u32> {
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: no memory beside the rings.
    unsafe { in_place!(libc::SYS_io_uring_enter, ring, count, completions, flags, none, 0) }.map(|taken| taken as u32)
}

const IORING_ENTER_GETEVENTS: u32 = 1;

/// Moves completions that overflowed or were deferred into the ring, without waiting for more.
pub fn get_events(ring: RawFd) -> Result<u32> {
    enter(ring, 0, IORING_ENTER_GETEVENTS)
}

/// Whether a buffered read of a bad block never completes on a ring. Linux 5.9 to 5.11 retry it without end; 5.12 has
/// "mm/filemap: don't call ->readpage if IOCB_WAITQ is set". Only the version tells.
pub fn rereads_without_end() -> bool {
    // SAFETY: utsname is plain data, filled by the call.
    let mut name: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: `name` is live and large enough.
    if unsafe { libc::uname(&raw mut name) } != 0 {
        return false;
    }
    let release = name.release.map(|byte| byte.to_ne_bytes()[0]);
    std::ffi::CStr::from_bytes_until_nul(&release).is_ok_and(|text| is_from_5_9_to_5_11(text.to_bytes()))
}

fn is_from_5_9_to_5_11(release: &[u8]) -> bool {
    let mut numbers = release.split(|byte| !byte.is_ascii_digit());
    numbers.next() == Some(b"5") && matches!(numbers.next(), Some(b"9" | b"10" | b"11"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_5_9_to_5_11_reread_bad_blocks_without_end() {
        let affected = |release: &str| is_from_5_9_to_5_11(release.as_bytes());
        assert!(["5.9.0", "5.10.0-30-cloud-amd64", "5.10.218", "5.11-rc1"].into_iter().all(affected));
        assert!(
            !["", "5", "4.18.0-553.el8", "5.8.18", "5.1.11", "5.12.0", "5.100.1", "6.10.3", "15.9"]
                .into_iter()
                .any(affected)
        );
    }
}
