//! Waitable timers, and the clock of deadlines.

use std::ptr::null;

use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};
use windows_sys::Win32::System::Threading::{
    CREATE_WAITABLE_TIMER_HIGH_RESOLUTION, CREATE_WAITABLE_TIMER_MANUAL_RESET, CancelWaitableTimer,
    CreateWaitableTimerExW, SetWaitableTimer, TIMER_ALL_ACCESS,
};

use super::super::Descriptors;
use super::error::last;
use super::fd::{AsRawFd, OwnedFd, RawFd};
use crate::error::Result;

/// A timer that is set once it has expired.
pub struct Timer(OwnedFd);

impl Timer {
    pub fn new() -> Result<Self> {
        // Systems before Windows 10 1803 have no high resolution.
        let timer = Self::with(CREATE_WAITABLE_TIMER_MANUAL_RESET | CREATE_WAITABLE_TIMER_HIGH_RESOLUTION);
        timer.or_else(|_| Self::with(CREATE_WAITABLE_TIMER_MANUAL_RESET))
    }

    fn with(flags: u32) -> Result<Self> {
        // SAFETY: neither attributes nor a name.
        let timer = unsafe { CreateWaitableTimerExW(null(), null(), flags, TIMER_ALL_ACCESS) };
        if timer.is_null() { Err(last()) } else { Ok(Self(OwnedFd::of(timer))) }
    }

    /// Sets the timer to `at`, in nanoseconds of [`now`]; None disarms it. Replaces an earlier setting.
    pub fn arm(&self, at: Option<u64>) {
        // The clock of timers is another one than that of `now`, and may be early by a tick of its own.
        const TICK: u64 = 1_000_000;
        let Some(at) = at else {
            // SAFETY: a live timer.
            unsafe { CancelWaitableTimer(self.0.handle()) };
            return self.reset();
        };
        let left = at.saturating_sub(now()).saturating_add(TICK) / 100;
        self.set(i64::try_from(left).unwrap_or(i64::MAX));
    }

    /// Setting a timer makes it not set; nothing else does.
    fn reset(&self) {
        self.set(i64::MAX);
    }

    /// Expires after this many times 100 nanoseconds.
    fn set(&self, left: i64) {
        let due = -left;
        // SAFETY: a live timer and time; no routine.
        unsafe { SetWaitableTimer(self.0.handle(), &raw const due, 0, None, null(), 0) };
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Descriptors for Timer {
    fn descriptors(&self) -> [Option<RawFd>; 2] {
        [None; 2]
    }
}

/// Nanoseconds of the performance counter.
pub fn now() -> u64 {
    let (mut count, mut frequency) = (0, 0);
    // SAFETY: two live numbers; neither call fails on a supported system.
    unsafe {
        QueryPerformanceCounter(&raw mut count);
        QueryPerformanceFrequency(&raw mut frequency);
    }
    (count as u128 * 1_000_000_000 / frequency.max(1) as u128) as u64
}
