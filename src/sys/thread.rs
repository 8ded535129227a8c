//! Threads of the library, and who the calling one is.
//!
//! By pthread_create(3): what the standard library allocates for a thread, and in it, ends the process when memory runs
//! out; this yields an error.

use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr;

use super::signal::AllBlocked;
use super::{in_place, mem};
use crate::error::{Errno, Result};

/// A thread that was started. Dropped, it lets the thread go on by itself.
pub struct Handle(libc::pthread_t);

// SAFETY: any thread may join or detach a thread. (musl's pthread_t is a pointer, which Rust does not know that of.)
unsafe impl Send for Handle {}

impl Handle {
    /// Waits for the thread's end.
    pub fn join(self) {
        let thread = ManuallyDrop::new(self).0;
        // SAFETY: a thread that is neither joined nor detached: that takes the handle.
        unsafe { libc::pthread_join(thread, ptr::null_mut()) };
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: as in join.
        unsafe { libc::pthread_detach(self.0) };
    }
}

struct Start<Body> {
    name: &'static CStr,
    body: Body,
}

/// Starts a thread with all signals blocked and a small stack.
pub fn spawn<Body: FnOnce() + Send + 'static>(name: &'static CStr, body: Body) -> Result<Handle> {
    let _blocked_while_spawning = AllBlocked::new();
    let start = Box::into_raw(mem::boxed(Start { name, body })?);
    let create = |attributes: *const libc::pthread_attr_t| {
        let mut thread = MaybeUninit::uninit();
        // SAFETY: `run` takes over `start`, once, if and only if this succeeds.
        match unsafe { libc::pthread_create(thread.as_mut_ptr(), attributes, run::<Body>, start.cast()) } {
            // SAFETY: filled by a call that succeeded.
            0 => Ok(Handle(unsafe { thread.assume_init() })),
            error => Err(Errno(error)),
        }
    };
    let made = keeping_errno(|| match with_small_stack(create) {
        // The program's thread-local variables alone may be larger; the default is made for such programs.
        Err(Errno(libc::EINVAL)) => create(ptr::null()),
        other => other,
    });
    made.inspect_err(|_| {
        // SAFETY: no thread has taken it over.
        drop(unsafe { Box::from_raw(start) });
    })
}

/// What pthread_create(3) calls. A panic that reaches an `extern "C"` function aborts: a thread that ended of one would
/// lose the completion of its operation.
extern "C" fn run<Body: FnOnce()>(start: *mut c_void) -> *mut c_void {
    // SAFETY: `spawn` made it, and hands it over here.
    let Start { name, body } = *unsafe { Box::from_raw(start.cast::<Start<Body>>()) };
    // SAFETY: a live string; a thread that cannot be named works without.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    body();
    ptr::null_mut()
}

fn with_small_stack<R>(create: impl FnOnce(*const libc::pthread_attr_t) -> R) -> R {
    const STACK: usize = 256 * 1024;
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: initialised here; neither call fails with these arguments.
    unsafe {
        libc::pthread_attr_init(attributes.as_mut_ptr());
        libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK);
    }
    let made = create(attributes.as_ptr());
    // SAFETY: initialised above, and used no more.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    made
}

/// Leaves the calling thread's errno as it was, whatever the C library says of what is tried in between.
pub fn keeping_errno<T>(call: impl FnOnce() -> T) -> T {
    let errno = Errno::last();
    let answer = call();
    // SAFETY: this thread's own.
    unsafe { *libc::__errno_location() = errno.0 };
    answer
}

/// A number that no other living thread has.
pub fn id() -> usize {
    thread_local!(static HERE: Cell<u8> = const { Cell::new(0) });
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

/// While it lives, the calling thread has another I/O priority, an ioprio_set(2) value.
/// A hint: what the kernel refuses (real-time without the right, nonsense) changes nothing, and neither does anything where
/// the thread's own priority cannot be read.
pub struct IoPriority {
    own: Option<u64>,
}

const IOPRIO_WHO_PROCESS: libc::c_int = 1;

impl IoPriority {
    pub fn set(value: u16) -> Self {
        // SAFETY: takes no memory; 0 as who is the calling thread.
        let own = unsafe { in_place!(libc::SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0) };
        let set = own.and_then(|_| set_io_priority(value.into()));
        Self { own: own.ok().filter(|_| set.is_ok()) }
    }
}

impl Drop for IoPriority {
    fn drop(&mut self) {
        if let Some(own) = self.own {
            // What it had before is allowed.
            set_io_priority(own).ok();
        }
    }
}

fn set_io_priority(value: u64) -> Result<u64> {
    // SAFETY: takes no memory; 0 as who is the calling thread.
    unsafe { in_place!(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) }
}

/// The calling thread's number in the system, for [`is_asleep`].
pub fn system_id() -> i32 {
    // SAFETY: takes no memory.
    unsafe { in_place!(libc::SYS_gettid) }.map_or(0, |id| id as i32)
}

/// Whether a living thread of this process sleeps inside a system call (proc_pid_stat(5)); None where /proc does not say.
pub fn is_asleep(system_id: i32) -> Option<bool> {
    keeping_errno(|| {
        let text = std::fs::read(format!("/proc/self/task/{system_id}/stat")).ok()?;
        // The name, in parentheses, may hold anything.
        let name_end = text.iter().rposition(|byte| *byte == b')')?;
        text.get(name_end + 2).map(|state| matches!(state, b'S' | b'D'))
    })
}
