//! The descriptors with a call under way that may wait for another process.
//!
//! While one waits on a handle of synchronous use, any question about that handle waits for it too, even GetFileType. So
//! what is known of the handle is kept here until then.

use super::fd::RawFd;
use super::file_kind::FileKind;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

static CALLS: Mutex<Vec<(RawFd, FileKind)>> = Mutex::new(Vec::new());
/// Their number, so that without any, there is no lock to take.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A call under way, until it is dropped.
pub struct Running(RawFd, FileKind);

impl Running {
    /// Without memory, it is not listed.
    pub fn new(fd: RawFd, kind: FileKind) -> Option<Self> {
        let mut calls = CALLS.lock();
        calls.try_reserve(1).ok()?;
        calls.push((fd, kind));
        // Relaxed, here and below: the lock orders the list, and a reader that comes too early asks the system.
        COUNT.fetch_add(1, Ordering::Relaxed);
        Some(Self(fd, kind))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut calls = CALLS.lock();
        if let Some(at) = calls.iter().position(|call| *call == (self.0, self.1)) {
            calls.swap_remove(at);
            COUNT.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The kind of a descriptor with such a call.
pub fn kind_of(fd: RawFd) -> Option<FileKind> {
    if COUNT.load(Ordering::Relaxed) == 0 {
        return None;
    }
    CALLS.lock().iter().find(|call| call.0 == fd).map(|call| call.1)
}
