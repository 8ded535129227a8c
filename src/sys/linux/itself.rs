//! AT_EMPTY_PATH where the system call does not know it: the file of a descriptor has a path in /proc (proc_pid_fd(5)).

use std::ffi::CStr;
use std::io::Write;

/// Whether an operation means the descriptor itself.
pub fn is_meant(path: &CStr, flags: u32) -> bool {
    flags & libc::AT_EMPTY_PATH as u32 != 0 && path.is_empty()
}

/// Calls `work` with a path of the descriptor's file. Follow its symbolic link.
pub fn by_path<R>(fd: i32, work: impl FnOnce(&CStr) -> R) -> R {
    if fd == libc::AT_FDCWD {
        return work(c".");
    }
    let mut path = [0u8; 32];
    // The array is longer than any such path.
    write!(&mut path[..], "/proc/self/fd/{fd}\0").ok();
    work(CStr::from_bytes_until_nul(&path).unwrap_or(c""))
}
