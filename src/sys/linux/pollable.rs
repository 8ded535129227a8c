//! eventfd(2), and sleeping until one of several descriptors is readable.

use std::time::Duration;

use super::super::{Descriptors, Signal};
use super::fd::{AsRawFd, OwnedFd, RawFd};
use super::mem::Memory;
use super::readiness::Readiness;
use super::rw::{self, Transfer};
use super::{check, own};
use crate::error::{Errno, Result};
use crate::sys::CURRENT;

/// A counter that is readable for poll(2) while it is not 0. Non-blocking, close-on-exec.
pub struct Pollable(OwnedFd);

/// What one signal adds to the counter. The kernel adds ones of its own for native completions.
const OURS: u64 = 1 << 32;

impl Pollable {
    pub fn new() -> Result<Self> {
        // SAFETY: takes no memory.
        check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }.into()).map(|fd| Self(own(fd)))
    }
}

impl Signal for Pollable {
    fn signal(&self) -> bool {
        let mut count = OURS;
        loop {
            match transfer(self.0.as_raw_fd(), false, &mut count) {
                Err(Errno(libc::EINTR)) => {}
                answer => return answer.is_ok(),
            }
        }
    }
    fn clear(&self) -> Option<u64> {
        read(self.0.as_raw_fd()).map(|count| count / OURS)
    }
}

impl AsRawFd for Pollable {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Descriptors for Pollable {
    fn descriptors(&self) -> [Option<RawFd>; 2] {
        [Some(self.as_raw_fd()), None]
    }
}

/// Becomes readable with each further signal of a pollable, by the kernel too, while that stays readable.
pub struct Edges(Readiness);

impl Edges {
    pub fn new(of: &Pollable) -> Result<Self> {
        let readiness = Readiness::new()?;
        readiness.add_edges(of.as_raw_fd())?;
        Ok(Self(readiness))
    }

    /// Makes it not readable until the next signal.
    pub fn clear(&self) {
        self.0.drain();
    }
}

impl AsRawFd for Edges {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Descriptors for Edges {
    fn descriptors(&self) -> [Option<RawFd>; 2] {
        [Some(self.as_raw_fd()), None]
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
