//! poll(2).

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::fd::{AsRawFd, RawFd};
use super::pollable::{Pollable, milliseconds};
use super::timer::{Timer, left_until};
pub use super::waits::Interest;
use super::{Descriptors, Signal};
use crate::error::{Errno, Result};

/// Whether readiness is reported once (as by epoll(7)), or as long as it lasts.
pub const REPORTS_ONCE: bool = false;

const NO_MEMORY: Errno = Errno(libc::ENOMEM);

/// The descriptors that one thread watches.
#[derive(Default)]
pub struct Readiness {
    watched: RefCell<Vec<libc::pollfd>>,
    own: RefCell<Vec<RawFd>>,
    timer: RefCell<Option<(Arc<AtomicU64>, Arc<Pollable>)>>,
}

/// The descriptors that one wait found ready.
#[derive(Default)]
pub struct Ready {
    fds: Vec<RawFd>,
    polled: Vec<libc::pollfd>,
}

impl Readiness {
    pub fn new() -> Result<Self> {
        Ok(Self::default())
    }

    /// Watches `fd`; EPERM if poll(2) does not support it, as for some devices of macOS.
    pub fn add(&self, fd: RawFd, interest: Interest) -> Result<()> {
        let mut entry = libc::pollfd { fd, events: interest.events(), revents: 0 };
        // SAFETY: one live pollfd.
        if unsafe { libc::poll(&raw mut entry, 1, 0) } > 0 && entry.revents & libc::POLLNVAL != 0 {
            return Err(Errno(libc::EPERM));
        }
        let mut watched = self.watched.borrow_mut();
        watched.try_reserve(1).map_err(|_| NO_MEMORY)?;
        watched.push(libc::pollfd { revents: 0, ..entry });
        Ok(())
    }

    pub fn modify(&self, fd: RawFd, interest: Interest) -> Result<()> {
        for entry in self.watched.borrow_mut().iter_mut().filter(|entry| entry.fd == fd) {
            entry.events = interest.events();
        }
        Ok(())
    }

    /// Stops watching.
    pub fn remove(&self, fd: RawFd) {
        self.watched.borrow_mut().retain(|entry| entry.fd != fd);
    }

    /// Watches a descriptor of the library's own for reading.
    pub fn add_own(&self, fd: RawFd) -> Result<()> {
        let mut own = self.own.borrow_mut();
        own.try_reserve(1).map_err(|_| NO_MEMORY)?;
        own.push(fd);
        Ok(())
    }

    /// Ends a wait when the timer expires.
    pub fn add_timer(&self, timer: &Timer) -> Result<()> {
        let (at, changed) = timer.shared();
        self.add_own(changed.as_raw_fd())?;
        *self.timer.borrow_mut() = Some((at, changed));
        Ok(())
    }

    /// Sleeps until a descriptor is ready or the timeout expires (None: waits without limit).
    pub fn wait(&self, ready: &mut Ready, timeout: Option<Duration>) {
        let Ready { fds, polled } = ready;
        fds.clear();
        polled.clear();
        let (own, watched, timer) = (self.own.borrow(), self.watched.borrow(), self.timer.borrow());
        let count = own.len() + watched.len();
        if polled.try_reserve(count).is_err() || fds.try_reserve(count).is_err() {
            // Without memory for the list, the poller looks again soon.
            std::thread::sleep(Duration::from_millis(1));
            return;
        }
        polled.extend(own.iter().map(|fd| libc::pollfd { fd: *fd, events: libc::POLLIN, revents: 0 }));
        polled.extend(watched.iter());
        let expires = timer.as_ref().and_then(|(at, _)| left_until(at));
        let timeout = timeout.into_iter().chain(expires).min();
        // SAFETY: that many live pollfds.
        if unsafe { libc::poll(polled.as_mut_ptr(), count as libc::nfds_t, milliseconds(timeout)) } <= 0 {
            return;
        }
        if let Some((_, changed)) = timer.as_ref() {
            let fd = changed.as_raw_fd();
            if polled.iter().any(|entry| entry.fd == fd && entry.revents != 0) {
                changed.clear();
            }
        }
        fds.extend(polled[own.len()..].iter().filter(|entry| entry.revents != 0).map(|entry| entry.fd));
    }
}

impl Descriptors for Readiness {
    fn descriptors(&self) -> [Option<RawFd>; 2] {
        [None; 2]
    }
}

impl Interest {
    fn events(self) -> i16 {
        let read = if self.read { libc::POLLIN } else { 0 };
        let write = if self.write { libc::POLLOUT } else { 0 };
        read | write
    }
}

impl Ready {
    pub fn fds(&self) -> impl Iterator<Item = RawFd> + '_ {
        self.fds.iter().copied()
    }
}
