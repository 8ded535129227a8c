//! The library's threads.
//!
//! They come from pthread_create(3), which reports that memory is exhausted. The standard library would abort the
//! process.

use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr;

use super::signal::AllBlocked;
use super::{in_place, mem};
use crate::error::{Errno, Result};

/// A thread that was started. Dropping it detaches the thread.
pub struct Handle(libc::pthread_t);

// SAFETY: any thread may join or detach a thread. (On musl, pthread_t is a pointer, which is not Send.)
unsafe impl Send for Handle {}

impl Handle {
    /// Waits for the thread to end.
    pub fn join(self) {
        let thread = ManuallyDrop::new(self).0;
        // SAFETY: the thread is neither joined nor detached, as both consume the handle.
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
        // SAFETY: if and only if this succeeds, `run` takes ownership of `start`, once.
        match unsafe { libc::pthread_create(thread.as_mut_ptr(), attributes, run::<Body>, start.cast()) } {
            // SAFETY: filled by a call that succeeded.
            0 => Ok(Handle(unsafe { thread.assume_init() })),
            error => Err(Errno(error)),
        }
    };
    let made = keeping_errno(|| match with_small_stack(create) {
        // The program's thread-local variables may not fit into the small stack. The default size allows for them.
        Err(Errno(libc::EINVAL)) => create(ptr::null()),
        other => other,
    });
    made.inspect_err(|_| {
        // SAFETY: no thread owns it.
        drop(unsafe { Box::from_raw(start) });
    })
}

/// The start routine of the thread. A panic that reaches an `extern "C"` function aborts the process. Otherwise the
/// thread's operation would never complete.
extern "C" fn run<Body: FnOnce()>(start: *mut c_void) -> *mut c_void {
    // SAFETY: `spawn` made it, and passes ownership.
    let Start { name, body } = *unsafe { Box::from_raw(start.cast::<Start<Body>>()) };
    // SAFETY: a live string. A failure is harmless: the thread has no name.
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
    // SAFETY: initialised above, and not used any more.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    made
}

/// Keeps the calling thread's errno across `call`, whose failure the library handles itself.
pub fn keeping_errno<T>(call: impl FnOnce() -> T) -> T {
    let errno = Errno::last();
    let answer = call();
    // SAFETY: this thread's own.
    unsafe { *libc::__errno_location() = errno.0 };
    answer
}

/// A number that is unique among living threads.
pub fn id() -> usize {
    thread_local!(static HERE: Cell<u8> = const { Cell::new(0) });
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

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
