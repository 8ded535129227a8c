//! Linux, macOS and other POSIX systems. The library takes the descriptors of the program.

use std::ffi::{CStr, OsStr, c_void};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use pyo3::prelude::*;

use super::ResizeBytes;

pub use libc::{AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_WRONLY};

/// The length of the longest text of a symbolic link.
pub const LONGEST_LINK: usize = libc::PATH_MAX as usize;

/// What the library takes for a descriptor of the program's.
pub fn handle_of(_: Python<'_>, fd: i32) -> PyResult<i32> {
    Ok(fd)
}

/// Closes a descriptor of the library's that nothing else uses.
pub fn close(handle: i32) {
    // SAFETY: the caller's promise.
    drop(unsafe { OwnedFd::from_raw_fd(handle) });
}

/// Removes a file, if it is there.
pub fn remove_file(path: &CStr) {
    std::fs::remove_file(OsStr::from_bytes(path.to_bytes())).ok();
}

/// The number of a device, as in struct stat.
#[allow(clippy::unnecessary_cast)]
pub fn device([major, minor]: [u32; 2]) -> u64 {
    libc::makedev(major as _, minor as _) as u64
}

/// Whether the descriptor is open, and open for reading or writing as asked.
pub fn is_open_for(fd: i32, reads: bool, writes: bool) -> bool {
    // SAFETY: F_GETFL only reads the descriptor's flags.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    let mode = flags & libc::O_ACCMODE;
    let refused = mode == libc::O_WRONLY && reads || mode == libc::O_RDONLY && writes;
    // Linux has descriptors that are open for neither.
    #[cfg(target_os = "linux")]
    let refused = refused || flags & libc::O_PATH != 0;
    flags >= 0 && !refused
}

/// Blocks all signals in this thread: native threads do not handle the application's.
pub fn block_signals() {
    // SAFETY: the set is on the stack, and filled before it is used.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
    }
}

/// Python's module `errno` has the system's numbers.
pub fn errno_for_python(errno: i32) -> i32 {
    errno
}

/// How to shorten a `bytes` object in place, if the interpreter can.
pub fn resize_bytes() -> Option<ResizeBytes> {
    // SAFETY: a name; a function of that name has this type.
    unsafe {
        let found = libc::dlsym(libc::RTLD_DEFAULT, c"_PyBytes_Resize".as_ptr());
        (!found.is_null()).then(|| std::mem::transmute::<*mut c_void, ResizeBytes>(found))
    }
}
