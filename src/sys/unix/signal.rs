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

fn pipe_signal() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: a live set, which sigemptyset fills; neither call can fail with these arguments.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE);
        set.assume_init()
    }
}

fn is_pending() -> bool {
    let mut pending = MaybeUninit::zeroed();
    // SAFETY: a live set, zeroed where a filter forbids the call.
    unsafe {
        libc::sigpending(pending.as_mut_ptr());
        libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1
    }
}

/// While it exists, a write of the calling thread to a pipe without readers raises no SIGPIPE.
pub struct NoPipeSignal {
    old: libc::sigset_t,
    was_pending: bool,
}

impl NoPipeSignal {
    pub fn new() -> Self {
        let mut old = MaybeUninit::zeroed();
        let (was_pending, set) = (is_pending(), pipe_signal());
        // SAFETY: live sets; the call fills `old`, which is zeroed where a filter forbids the call.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, old.as_mut_ptr()) };
        // SAFETY: zeroed or filled.
        Self { old: unsafe { old.assume_init() }, was_pending }
    }
}

impl Drop for NoPipeSignal {
    fn drop(&mut self) {
        if !self.was_pending && is_pending() {
            let (mut taken, set) = (0, pipe_signal());
            // SAFETY: live values. The signal is pending, so that the call does not wait.
            unsafe { libc::sigwait(&raw const set, &raw mut taken) };
        }
        // SAFETY: a set that pthread_sigmask filled.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.old, std::ptr::null_mut()) };
    }
}
