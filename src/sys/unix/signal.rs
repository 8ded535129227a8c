//! Signal masks: the library's threads never receive the application's signals.

use std::mem::MaybeUninit;

/// While it exists, the calling thread blocks all signals. A thread that it spawns inherits that mask.
pub struct AllBlocked(libc::sigset_t);

impl AllBlocked {
    pub fn new() -> Self {
        // Zeroed: where a filter forbids the call, nothing fills it.
        let mut old = MaybeUninit::zeroed();
        let mut all = MaybeUninit::uninit();
        // SAFETY: both sets are live; sigfillset and pthread_sigmask fill them and cannot fail with these arguments.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), old.as_mut_ptr());
            Self(old.assume_init())
        }
    }
}

impl Drop for AllBlocked {
    fn drop(&mut self) {
        // SAFETY: a set that pthread_sigmask filled.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}
