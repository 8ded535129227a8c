//! epoll(7).

use std::time::Duration;

use super::super::Descriptors;
use super::fd::{AsRawFd, OwnedFd, RawFd};
use super::timer::Timer;
pub use super::waits::Interest;
use super::{check, own};
use crate::error::{Errno, Result};

/// Whether readiness is reported once, or as long as it lasts (as by poll(2)).
pub const REPORTS_ONCE: bool = true;

/// An epoll instance; close-on-exec.
pub struct Readiness(OwnedFd);

/// The descriptors that one wait found ready.
pub struct Ready {
    events: [libc::epoll_event; 32],
    count: usize,
}

impl Readiness {
    pub fn new() -> Result<Self> {
        // SAFETY: takes no memory.
        let epoll = Self(own(check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }.into())?));
        // Fails here if a filter forbids waiting: the poller would spin.
        epoll.fetch(&mut Ready::default(), 0)?;
        Ok(epoll)
    }

    /// Watches `fd`, and reports it immediately if it is ready; EPERM if epoll does not support it.
    pub fn add(&self, fd: RawFd, interest: Interest) -> Result<()> {
        match self.control(libc::EPOLL_CTL_ADD, fd, interest.events()) {
            // The caller closed this number while a dup kept the file open, so that epoll still watches it.
            Err(errno) if errno.0 == libc::EEXIST => self.modify(fd, interest),
            other => other,
        }
    }

    pub fn modify(&self, fd: RawFd, interest: Interest) -> Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, interest.events())
    }

    /// Stops watching. A failure means that the caller closed the number, which also ends the watch.
    pub fn remove(&self, fd: RawFd) {
        self.control(libc::EPOLL_CTL_DEL, fd, 0).ok();
    }

    /// Watches an eventfd edge-triggered: each later write to it makes this instance readable once.
    pub(super) fn add_edges(&self, fd: RawFd) -> Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, (libc::EPOLLIN | libc::EPOLLET) as u32)
    }

    /// Watches a descriptor of the library's own for reading, level-triggered.
    pub fn add_own(&self, fd: RawFd) -> Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN as u32)
    }

    /// Ends a wait when the timer expires.
    pub fn add_timer(&self, timer: &Timer) -> Result<()> {
        self.add_own(timer.as_raw_fd())
    }

    /// Sleeps until a descriptor is ready or the timeout expires (None: waits without limit).
    pub fn wait(&self, ready: &mut Ready, timeout: Option<Duration>) {
        // Rounded up, so that the timeout never expires early.
        let milliseconds =
            timeout.map_or(-1, |time| i32::try_from(time.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
        ready.count = self.fetch(ready, milliseconds).unwrap_or(0);
    }

    /// Takes what is ready without sleeping, so that the instance is not readable until the next edge.
    pub(super) fn drain(&self) {
        self.fetch(&mut Ready::default(), 0).ok();
    }

    /// epoll_wait(2), or epoll_pwait(2) if a filter forbids that.
    fn fetch(&self, ready: &mut Ready, timeout: i32) -> Result<usize> {
        let room = ready.events.len() as i32;
        let (epoll, events) = (self.0.as_raw_fd(), ready.events.as_mut_ptr());
        // SAFETY: `room` live events.
        match check(unsafe { libc::epoll_wait(epoll, events, room, timeout) }.into()) {
            Err(errno) if errno.is_forbidden() => {
                // SAFETY: the same, and no signal mask.
                check(unsafe { libc::epoll_pwait(epoll, events, room, timeout, std::ptr::null()) }.into())
            }
            // A signal handler ran: none is ready.
            Err(Errno(libc::EINTR)) => Ok(0),
            answer => answer,
        }
        .map(|count| count as usize)
    }

    fn control(&self, what: i32, fd: RawFd, events: u32) -> Result<()> {
        let mut event = libc::epoll_event { events, u64: fd as u64 };
        // SAFETY: a live event.
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), what, fd, &raw mut event) }.into()).map(drop)
    }
}

impl AsRawFd for Readiness {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Descriptors for Readiness {
    fn descriptors(&self) -> [Option<RawFd>; 2] {
        [Some(self.as_raw_fd()), None]
    }
}

impl Interest {
    /// Edge-triggered (epoll(7)): a descriptor that stays hung up does not wake the poller again and again.
    fn events(self) -> u32 {
        let read = if self.read { libc::EPOLLIN | libc::EPOLLRDHUP } else { 0 };
        let write = if self.write { libc::EPOLLOUT } else { 0 };
        (read | write | libc::EPOLLET) as u32
    }
}

impl Default for Ready {
    fn default() -> Self {
        Self { events: [libc::epoll_event { events: 0, u64: 0 }; 32], count: 0 }
    }
}

impl Ready {
    pub fn fds(&self) -> impl Iterator<Item = RawFd> + '_ {
        self.events[..self.count].iter().map(|event| event.u64 as RawFd)
    }
}
