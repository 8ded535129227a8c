//! What the shared modules of Unix ask this system for.

use std::ffi::CStr;

use super::fd::OwnedFd;
use super::{check, own};
use crate::error::Result;

/// The calling thread's errno.
pub fn errno_place() -> *mut i32 {
    // SAFETY: takes no memory.
    unsafe { libc::__errno_location() }
}

/// Whether the program runs with more rights than its caller. secure_getenv(3), which musl lacks, checks AT_SECURE as well.
pub fn is_set_uid() -> bool {
    // SAFETY: takes no memory.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Names the calling thread. A failure is harmless: the thread has no name.
pub fn name_thread(name: &CStr) {
    // SAFETY: a live string.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Makes the kernel wipe a page in a child of fork(2) (madvise(2) MADV_WIPEONFORK). False on kernels before 4.14.
///
/// # Safety
/// The page is a private mapping of the caller's.
pub unsafe fn wipes_on_fork(page: *mut libc::c_void, length: usize) -> bool {
    // SAFETY: as promised.
    unsafe { libc::madvise(page, length, libc::MADV_WIPEONFORK) == 0 }
}

/// A pipe: the end to read from, and the end to write to. Both are non-blocking and close-on-exec.
pub fn pipe() -> Result<[OwnedFd; 2]> {
    let mut ends = [0; 2];
    // SAFETY: two live ints.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) }.into())?;
    Ok(ends.map(|fd| own(fd as u64)))
}
