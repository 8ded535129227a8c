//! The library's threads. They come from CreateThread, which reports that memory is exhausted; the standard library would
//! abort the process.

use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{GetLastError, SetLastError};
use windows_sys::Win32::System::IO::CancelSynchronousIo;
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};
use windows_sys::Win32::System::Threading::{
    CreateThread, INFINITE, STACK_SIZE_PARAM_IS_A_RESERVATION, WaitForSingleObject,
};

use super::fd::OwnedFd;
use super::mem;
use crate::error::{Errno, Result};

/// A thread that was started. Dropping it detaches the thread.
pub struct Handle(OwnedFd);

impl Handle {
    /// Waits for the thread to end.
    pub fn join(self) {
        // SAFETY: a live thread's handle.
        unsafe { WaitForSingleObject(self.0.handle(), INFINITE) };
    }

    /// Cancels the call that the thread waits in, if it is one of input or output.
    pub fn cancel_io(&self) {
        // SAFETY: a live thread's handle.
        unsafe { CancelSynchronousIo(self.0.handle()) };
    }
}

/// Starts a thread with a small stack.
pub fn spawn<Body: FnOnce() + Send + 'static>(_: &'static CStr, body: Body) -> Result<Handle> {
    const STACK: usize = 256 * 1024;
    stay_loaded();
    let start = Box::into_raw(mem::boxed(body)?);
    // SAFETY: if and only if this succeeds, `run` takes ownership of `start`, once.
    let thread = unsafe {
        let flags = STACK_SIZE_PARAM_IS_A_RESERVATION;
        CreateThread(null(), STACK, Some(run::<Body>), start.cast(), flags, null_mut())
    };
    if thread.is_null() {
        // SAFETY: no thread owns it.
        drop(unsafe { Box::from_raw(start) });
        return Err(Errno(libc::EAGAIN));
    }
    Ok(Handle(OwnedFd::of(thread)))
}

/// The start routine of the thread. A panic that reaches an `extern` function aborts the process. Otherwise the thread's
/// operation would never complete.
unsafe extern "system" fn run<Body: FnOnce()>(start: *mut c_void) -> u32 {
    // SAFETY: `spawn` made it, and passes ownership.
    let body = unsafe { Box::from_raw(start.cast::<Body>()) };
    body();
    0
}

/// A thread may be on its way out of the library when the program unloads it.
fn stay_loaded() {
    let flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN;
    let here = (stay_loaded as fn() as *const c_void).cast();
    let mut module = null_mut();
    // SAFETY: an address of this module, and a live place for its handle.
    unsafe { GetModuleHandleExW(flags, here, &raw mut module) };
}

/// Keeps the calling thread's last error across `call`, whose failure the library handles itself.
pub fn keeping_errno<T>(call: impl FnOnce() -> T) -> T {
    // SAFETY: takes no memory.
    let code = unsafe { GetLastError() };
    let answer = call();
    // SAFETY: takes no memory.
    unsafe { SetLastError(code) };
    answer
}

/// A number that is unique among living threads.
#[allow(clippy::missing_const_for_thread_local)] // The lint does not see that it is one.
pub fn id() -> usize {
    thread_local!(static HERE: Cell<u8> = const { Cell::new(0) });
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

/// The I/O priority of Linux, which is a hint, has no meaning here.
pub struct IoPriority(());

impl IoPriority {
    pub fn set(_: u16) -> Self {
        Self(())
    }
}

/// The number of a thread, for [`is_asleep`].
pub fn system_id() -> i32 {
    0
}

/// The system does not tell.
pub fn is_asleep(_: i32) -> Option<bool> {
    None
}
