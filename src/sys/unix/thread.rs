//! The library's threads.
//!
//! They come from pthread_create(3), which reports that memory is exhausted. The standard library would abort the
//! process.

use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr;

use super::super::system::os::{errno_place, name_thread};
use super::mem;
use super::signal::AllBlocked;
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
    name_thread(name);
    crate::sync::panic_point("thread");
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
    let errno = super::last();
    let answer = call();
    // SAFETY: this thread's own.
    unsafe { *errno_place() = errno.0 };
    answer
}

/// A number that is unique among living threads.
pub fn id() -> usize {
    thread_local!(static HERE: Cell<u8> = const { Cell::new(0) });
    HERE.with(|here| std::ptr::from_ref(here).addr())
}
