//! Threads of ours leave the application's signals alone.

/// Blocks all signals in this thread.
pub fn block_all() {
    // SAFETY: a set on the stack, filled before it is used.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
    }
}
