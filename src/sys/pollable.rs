//! eventfd(2), and sleeping until one of several descriptors is readable.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::mem::Memory;
use super::rw::{self, Transfer};
use super::{check, own};
use crate::error::{Errno, Result};
use crate::op::CURRENT;

/// A counter that is readable for poll(2) while it is not 0. Non-blocking, close-on-exec.
pub struct Pollable(OwnedFd);

impl Pollable {
    pub fn new() -> Result<Self> {
        // SAFETY: takes no memory.
        check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }.into()).map(|fd| Self(own(fd)))
    }

    /// Makes it readable. Async-signal-safe.
    pub fn signal(&self) {
        // EAGAIN means that the counter is full, and so readable already.
        add(self.0.as_raw_fd(), 1);
    }

    /// Makes it not readable.
    pub fn clear(&self) {
        read(self.0.as_raw_fd());
    }
}

/// A counter that is readable while it is not 0; a trait, so that the model checker can replace the eventfd.
pub trait Signal {
    /// Adds `count`, which makes it readable; false if that fails. Async-signal-safe.
    fn add(&self, count: u64) -> bool;
    /// Makes it not readable, and returns what was added since the last call; None if reading fails.
    fn clear(&self) -> Option<u64>;
}

/// The model checker's eventfd: every access orders as a system call does.
#[cfg(all(test, loom))]
pub mod model {
    use super::Signal;
    use crate::sync::atomic::{AtomicU64, Ordering};

    pub struct Counter(AtomicU64);

    impl Counter {
        pub fn new() -> Self {
            Self(AtomicU64::new(0))
        }

        pub fn is_readable(&self) -> bool {
            self.0.load(Ordering::SeqCst) > 0
        }
    }

    impl Signal for Counter {
        fn add(&self, count: u64) -> bool {
            self.0.fetch_add(count, Ordering::SeqCst);
            true
        }
        fn clear(&self) -> Option<u64> {
            Some(self.0.swap(0, Ordering::SeqCst))
        }
    }
}

impl Signal for Pollable {
    fn add(&self, count: u64) -> bool {
        add(self.0.as_raw_fd(), count)
    }
    fn clear(&self) -> Option<u64> {
        read(self.0.as_raw_fd())
    }
}

impl AsRawFd for Pollable {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Adds to an eventfd's counter; false if that fails.
pub fn add(fd: RawFd, mut count: u64) -> bool {
    loop {
        match transfer(fd, false, &mut count) {
            Err(Errno(libc::EINTR)) => {}
            answer => return answer.is_ok(),
        }
    }
}

/// Sets an eventfd's counter to 0.
pub fn clear(fd: RawFd) {
    read(fd);
}

fn read(fd: RawFd) -> Option<u64> {
    let mut count = 0u64;
    match transfer(fd, true, &mut count) {
        Ok(_) => Some(count),
        // It was clear already.
        Err(Errno(libc::EAGAIN)) => Some(0),
        Err(_) => None,
    }
}

/// Reads or writes 8 bytes.
#[inline(always)]
fn transfer(fd: RawFd, reads: bool, count: &mut u64) -> Result<u64> {
    // SAFETY: 8 live bytes, which the kernel changes only in a read.
    let memory = unsafe { Memory::new(std::ptr::from_mut(count).cast()) };
    rw::transfer(&Transfer { fd, reads, vectored: false, memory, count: 8, offset: CURRENT, flags: 0 })
}

/// Sleeps in ppoll(2) until a descriptor is readable, the timeout expires (None: no limit), or a signal handler ran
/// (EINTR). Returns which are readable. ppoll(2) ignores a negative descriptor.
pub fn sleep_until_readable<const N: usize>(fds: [RawFd; N], timeout: Option<Duration>) -> Result<[bool; N]> {
    let mut watched = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let time = timeout.map(timespec);
    let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: N live pollfds, and a timespec that outlives the call or NULL.
    let slept = check(unsafe { libc::ppoll(watched.as_mut_ptr(), N as libc::nfds_t, time, std::ptr::null()) }.into());
    if slept.is_err_and(Errno::is_forbidden) {
        // A filter forbids ppoll(2). The timeout of poll(2) is in whole milliseconds.
        let whole = timeout.map_or(-1, |time| time.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(i32::MAX));
        // SAFETY: N live pollfds.
        check(unsafe { libc::poll(watched.as_mut_ptr(), N as libc::nfds_t, whole) }.into())?;
    } else {
        slept?;
    }
    Ok(watched.map(|fd| fd.revents != 0))
}

pub(super) fn timespec(duration: Duration) -> libc::timespec {
    // 68 years fit into the seconds of every system.
    const MAX_SECONDS: u64 = i32::MAX as u64;
    libc::timespec { tv_sec: duration.as_secs().min(MAX_SECONDS) as _, tv_nsec: duration.subsec_nanos() as _ }
}
