//! Native threads do not handle the application's signals.

/// Blocks all signals in this thread.
pub fn block_all() {
    // SAFETY: the set is on the stack, and filled before it is used.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
    }
}
