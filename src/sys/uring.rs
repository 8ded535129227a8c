//! One io_uring(7): the `io-uring` crate's rings, entered and reaped as a context needs.

use std::os::fd::{AsRawFd, RawFd};

use io_uring::{IoUring, Probe, opcode, squeue, types::Fd};

use super::in_place;
use super::mem::Memory;
use super::rw::{MAX_TRANSFER, Transfer};
use crate::error::{Errno, Result};

pub struct Ring {
    ring: IoUring,
    sqpoll: bool,
    deferred: bool,
}

/// A request of the kernel.
#[derive(Clone, Copy)]
pub enum Request {
    Nop,
    /// Stop the request with that user data; the answer carries [`NOBODY`].
    Cancel(u64),
    Transfer {
        fd: RawFd,
        reads: bool,
        vectored: bool,
        memory: Memory,
        count: u32,
        offset: u64,
        rw_flags: u32,
        ioprio: u16,
    },
}

/// User data of completions that stand for no operation.
pub const NOBODY: u64 = u64::MAX;

/// What a new ring should be.
#[derive(Clone, Copy)]
pub struct Setup {
    pub entries: u32,
    pub completions: u32,
    /// One thread, which [`Ring::enable`]s it, makes all calls that enter it, and completions wait for such a call
    /// (IORING_SETUP_DEFER_TASKRUN). A wish: [`Ring::is_deferred`] tells.
    pub deferred: bool,
    pub sqpoll: bool,
    /// Most io-wq threads: for regular files, and for the rest.
    pub iowq_workers: [u32; 2],
}

impl Ring {
    /// Sets up a ring that this process can use: the features that libcaio needs are there, entering it is allowed.
    /// ENOSYS or EPERM where the kernel or a filter forbids it, EOPNOTSUPP where the kernel is too old.
    pub fn new(setup: Setup) -> Result<Self> {
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
        // A cap that old kernels (before 5.15) do not know is only a cap.
        let mut workers = setup.iowq_workers;
        ring.submitter().register_iowq_max_workers(&mut workers).ok();
        match enter(ring.as_raw_fd(), 0, 0) {
            // Not enabled yet: entering it is allowed.
            Err(Errno(libc::EBADFD)) if deferred => {}
            entered => drop(entered?),
        }
        let sqpoll = params.is_setup_sqpoll();
        Ok(Self { ring, sqpoll, deferred })
    }

    fn build(setup: Setup) -> Result<(IoUring, bool)> {
        let mut entries = setup.entries;
        let (mut sqpoll, mut submit_all) = (setup.sqpoll, true);
        let mut deferred = setup.deferred && !sqpoll;
        loop {
            let mut builder = IoUring::builder();
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
                // Before 5.11 that thread takes registered files only.
                Ok(ring) if sqpoll && !ring.params().is_feature_sqpoll_nonfixed() => Errno(libc::EOPNOTSUPP),
                Ok(ring) => return Ok((ring, deferred)),
                Err(error) => Errno::from(error),
            };
            // One wish less each time: a kernel thread is a hint, DEFER_TASKRUN came with 6.1, SUBMIT_ALL with 5.18, memory
            // may be locked only so far.
            match errno.0 {
                libc::EINVAL if deferred => deferred = false,
                libc::EINVAL if submit_all => submit_all = false,
                _ if sqpoll => sqpoll = false,
                libc::ENOMEM if entries > 8 => entries /= 2,
                _ => return Err(errno),
            }
        }
    }

    /// Every completion makes `eventfd` readable.
    pub fn register_eventfd(&self, eventfd: RawFd) -> Result<()> {
        Ok(self.ring.submitter().register_eventfd(eventfd)?)
    }

    pub fn is_deferred(&self) -> bool {
        self.deferred
    }

    /// From now on, the calling thread enters a deferred ring.
    pub fn enable(&self) -> Result<()> {
        Ok(self.ring.submitter().register_enable_rings()?)
    }

    /// Completions wait for the next [`get_events`].
    pub fn has_deferred(&mut self) -> bool {
        self.deferred && self.ring.submission().taskrun()
    }

    /// Completions signal the eventfd, or do not.
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

    /// Puts a request where the next [`enter`] finds it; false if there is no room.
    #[inline(always)]
    pub fn push(&mut self, request: Request, user_data: u64) -> bool {
        let Request::Transfer { fd, reads, vectored, memory, count, offset, rw_flags, ioprio } = request else {
            return match request {
                Request::Cancel(whom) => self.put(opcode::AsyncCancel::new(whom).build(), user_data),
                _ => self.put(opcode::Nop::new().build(), user_data),
            };
        };
        let (fd, flags) = (Fd(fd), rw_flags as i32);
        let (bytes, vectors) = (memory.address().cast::<u8>(), memory.address().cast::<libc::iovec>());
        // Each put by itself: an entry that may be one or another is put together on the stack, and read from there too soon.
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

    /// Puts a transfer there that a kernel thread makes, and may sleep in; false if there is no room.
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

    /// How many requests it takes before an [`enter`].
    pub fn room(&mut self) -> u32 {
        let submission = self.ring.submission();
        (submission.capacity() - submission.len()) as u32
    }

    /// How many requests the kernel has not taken yet.
    pub fn unsubmitted(&mut self) -> u32 {
        self.ring.submission().len() as u32
    }

    /// The flags that [`enter`] needs now, or None if the kernel's own thread will see the requests.
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

    /// The kernel keeps completions that the ring had no room for; [`get_events`] brings them.
    pub fn overflowed(&mut self) -> bool {
        self.ring.submission().cq_overflow()
    }
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}

/// Hands up to `count` requests to the kernel (io_uring_enter(2)); returns how many it took. Waits for nothing.
pub fn enter(ring: RawFd, count: u32, flags: u32) -> Result<u32> {
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: no memory beside the rings.
    unsafe { in_place!(libc::SYS_io_uring_enter, ring, count, 0, flags, none, 0) }.map(|taken| taken as u32)
}

const IORING_ENTER_GETEVENTS: u32 = 1;

/// Brings completions that wait outside the ring, for room or on a deferred ring for this call, into it. Waits for nothing.
pub fn get_events(ring: RawFd) -> Result<u32> {
    enter(ring, 0, IORING_ENTER_GETEVENTS)
}

/// Buffered reads do not belong in a ring: Linux 5.9 to 5.11 ask a disk again and again for a page that it cannot read, and
/// such a request never ends. (5.12: "mm/filemap: don't call ->readpage if IOCB_WAITQ is set".) Only the version tells.
pub fn rereads_without_end() -> bool {
    // SAFETY: utsname is plain data, filled by the call.
    let mut name: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: `name` is live and large enough.
    if unsafe { libc::uname(&raw mut name) } != 0 {
        return false;
    }
    let release = name.release.map(|byte| byte as u8);
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
    fn releases_that_reread_without_end() {
        let affected = |release: &str| is_from_5_9_to_5_11(release.as_bytes());
        assert!(["5.9.0", "5.10.0-30-cloud-amd64", "5.10.218", "5.11-rc1"].into_iter().all(affected));
        assert!(
            !["", "5", "4.18.0-553.el8", "5.8.18", "5.1.11", "5.12.0", "5.100.1", "6.10.3", "15.9"]
                .into_iter()
                .any(affected)
        );
    }
}
