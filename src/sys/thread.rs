//! Threads of the library, and who the calling one is.

use std::cell::Cell;
use std::thread::{Builder, JoinHandle};

use super::signal::AllBlocked;
use crate::error::Result;

/// Starts a thread with all signals blocked and a small stack.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let _blocked_while_spawning = AllBlocked::new();
    let body = move || {
        let _whole_life = AbortOnPanic;
        body();
    };
    Ok(Builder::new().name(name.into()).stack_size(STACK).spawn(body)?)
}

/// A panic is a bug; a thread that died of one would take operations with it that somebody waits for.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

const STACK: usize = 256 * 1024;

/// A number that no other living thread has.
pub fn id() -> usize {
    thread_local!(static HERE: Cell<u8> = const { Cell::new(0) });
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

/// Sets the calling thread's I/O priority, an ioprio_set(2) value; 0 is the process's own.
/// A hint: what the kernel refuses (real-time without the right, nonsense) changes nothing.
pub fn set_io_priority(value: u16) {
    const IOPRIO_WHO_PROCESS: libc::c_int = 1;
    // SAFETY: takes no memory; 0 as who is the calling thread.
    unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, libc::c_int::from(value)) };
}
