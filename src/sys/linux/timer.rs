//! timerfd_create(2), and the clock of deadlines.

use std::time::Duration;

use super::super::Descriptors;
pub use super::super::unix::clock::now;
use super::fd::{AsRawFd, OwnedFd, RawFd};
use super::pollable::timespec;
use super::{check, own};
use crate::error::Result;

/// A timer that is readable for poll(2) once it has expired. Non-blocking, close-on-exec.
pub struct Timer(OwnedFd);

impl Timer {
    pub fn new() -> Result<Self> {
        // SAFETY: takes no memory.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) };
        let timer = Self(own(check(fd.into())?));
        // If a filter forbids timerfd_settime(2), this fails here, and no deadline is missed silently.
        timer.set(None)?;
        Ok(timer)
    }

    /// Sets the timer to `at`, in nanoseconds of [`now`]; None disarms it. Replaces an earlier setting.
    pub fn arm(&self, at: Option<u64>) {
        // Cannot fail: all values are in range, and `new` has made the same call.
        self.set(at).ok();
    }

    fn set(&self, at: Option<u64>) -> Result<()> {
        let value = timespec(Duration::from_nanos(at.map_or(0, |at| at.max(1))));
        let interval = timespec(Duration::ZERO);
        let setting = libc::itimerspec { it_interval: interval, it_value: value };
        // SAFETY: a live itimerspec; the old one is not asked for.
        let answer = unsafe {
            libc::timerfd_settime(self.0.as_raw_fd(), libc::TFD_TIMER_ABSTIME, &raw const setting, std::ptr::null_mut())
        };
        check(answer.into()).map(drop)
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Descriptors for Timer {
    fn descriptors(&self) -> [Option<RawFd>; 2] {
        [Some(self.as_raw_fd()), None]
    }
}
