//! The library's threads: what only Linux tells of them.

pub use super::super::unix::thread::{Handle, id, keeping_errno, spawn};
use super::in_place;
use crate::error::Result;

/// While it exists, the calling thread has this I/O priority, a value of ioprio_set(2). The priority is a hint: if the
/// kernel refuses it, or the thread's own one cannot be read, nothing changes.
pub struct IoPriority {
    own: Option<u64>,
}

const IOPRIO_WHO_PROCESS: libc::c_int = 1;

impl IoPriority {
    pub fn set(value: u16) -> Self {
        // SAFETY: takes no memory; 0 means the calling thread.
        let own = unsafe { in_place!(libc::SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0) };
        let set = own.and_then(|_| set_io_priority(value.into()));
        Self { own: own.ok().filter(|_| set.is_ok()) }
    }
}

impl Drop for IoPriority {
    fn drop(&mut self) {
        if let Some(own) = self.own {
            // The kernel accepts a priority that the thread had before.
            set_io_priority(own).ok();
        }
    }
}

fn set_io_priority(value: u64) -> Result<u64> {
    // SAFETY: takes no memory; 0 means the calling thread.
    unsafe { in_place!(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) }
}

/// The kernel's id of the calling thread, for [`is_asleep`].
pub fn system_id() -> i32 {
    // SAFETY: takes no memory.
    unsafe { in_place!(libc::SYS_gettid) }.map_or(0, |id| id as i32)
}

/// Whether a thread of this process sleeps in the kernel (proc_pid_stat(5)); None if /proc does not tell.
pub fn is_asleep(system_id: i32) -> Option<bool> {
    keeping_errno(|| {
        let text = std::fs::read(format!("/proc/self/task/{system_id}/stat")).ok()?;
        // The name, in parentheses, may itself contain parentheses and spaces.
        let name_end = text.iter().rposition(|byte| *byte == b')')?;
        text.get(name_end + 2).map(|state| matches!(state, b'S' | b'D'))
    })
}
