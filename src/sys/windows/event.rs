//! Event objects, and sleeping until one of several is set.

use std::ptr::null;
use std::time::Duration;

use windows_sys::Win32::Foundation::{HANDLE, WAIT_FAILED, WAIT_OBJECT_0};
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, ResetEvent, SetEvent, WaitForMultipleObjects, WaitForSingleObject,
};

use super::error::last;
use super::fd::{AsRawFd, OwnedFd, RawFd};
use crate::error::Result;

/// A manual-reset event.
pub struct Event(OwnedFd);

impl Event {
    pub fn new() -> Result<Self> {
        // SAFETY: neither attributes nor a name.
        let event = unsafe { CreateEventW(null(), 1, 0, null()) };
        if event.is_null() { Err(last()) } else { Ok(Self(OwnedFd::of(event))) }
    }

    pub fn set(&self) {
        // SAFETY: a live event.
        unsafe { SetEvent(self.handle()) };
    }

    pub fn reset(&self) {
        // SAFETY: a live event.
        unsafe { ResetEvent(self.handle()) };
    }

    pub fn handle(&self) -> HANDLE {
        self.0.handle()
    }
}

impl AsRawFd for Event {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Sleeps until a handle is set or the timeout expires (None: no limit).
pub fn wait_any(handles: &[HANDLE], timeout: Option<Duration>) -> Result<()> {
    // Rounded up, so that the timeout never expires early. An infinite one is another number.
    let whole =
        |time: Duration| u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(INFINITE).min(INFINITE - 1);
    // SAFETY: live handles, of which the caller has fewer than the limit.
    let slept =
        unsafe { WaitForMultipleObjects(handles.len() as u32, handles.as_ptr(), 0, timeout.map_or(INFINITE, whole)) };
    if slept == WAIT_FAILED { Err(last()) } else { Ok(()) }
}

pub fn is_set(handle: HANDLE) -> bool {
    // SAFETY: a live handle.
    unsafe { WaitForSingleObject(handle, 0) == WAIT_OBJECT_0 }
}
