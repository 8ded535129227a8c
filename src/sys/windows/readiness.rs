//! Waiting for the library's own events. The system does not tell whether a pipe or console is ready, so the poller makes
//! calls instead.

use std::time::Duration;

use super::super::Descriptors;
use super::event;
use super::fd::{AsRawFd, RawFd, handle};
use super::timer::Timer;
pub use super::waits::Interest;
use crate::error::{Errno, Result};
use crate::sync::Mutex;

/// Nothing is reported at all.
pub const REPORTS_ONCE: bool = true;

/// A set of events, of which there are a few.
pub struct Readiness(Mutex<Vec<RawFd>>);

/// The descriptors that one wait found ready.
#[derive(Default)]
pub struct Ready(());

impl Readiness {
    pub fn new() -> Result<Self> {
        Ok(Self(Mutex::new(Vec::new())))
    }

    /// EPERM: not supported.
    pub fn add(&self, _: RawFd, _: Interest) -> Result<()> {
        Err(Errno(libc::EPERM))
    }

    pub fn modify(&self, _: RawFd, _: Interest) -> Result<()> {
        Err(Errno(libc::EPERM))
    }

    pub fn remove(&self, _: RawFd) {}

    /// Watches an event of the library's own.
    pub fn add_own(&self, fd: RawFd) -> Result<()> {
        let mut own = self.0.lock();
        own.try_reserve(1).map_err(|_| Errno(libc::ENOMEM))?;
        own.push(fd);
        Ok(())
    }

    pub fn add_timer(&self, timer: &Timer) -> Result<()> {
        self.add_own(timer.as_raw_fd())
    }

    /// Sleeps until an event is set or the timeout expires (None: waits without limit).
    pub fn wait(&self, _: &mut Ready, timeout: Option<Duration>) {
        const MOST: usize = 8;
        let own = self.0.lock();
        let mut handles = [std::ptr::null_mut(); MOST];
        let count = own.len().min(MOST);
        handles.iter_mut().zip(own.iter()).for_each(|(place, fd)| *place = handle(*fd));
        drop(own);
        event::wait_any(&handles[..count], timeout).ok();
    }
}

impl AsRawFd for Readiness {
    /// Nothing waits for it.
    fn as_raw_fd(&self) -> RawFd {
        -1
    }
}

impl Descriptors for Readiness {
    fn descriptors(&self) -> [Option<RawFd>; 2] {
        [None; 2]
    }
}

impl Ready {
    pub fn fds(&self) -> impl Iterator<Item = RawFd> + '_ {
        std::iter::empty()
    }
}
