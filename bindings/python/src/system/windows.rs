//! Windows. The descriptors of a Python program belong to its C runtime; the library takes HANDLEs.

use std::ffi::{CStr, c_void};
use std::os::windows::io::{FromRawHandle, OwnedHandle};

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::ResizeBytes;

pub use libc::{O_CREAT, O_EXCL, O_RDONLY, O_WRONLY};

/// The library takes the numbers of Linux, where the C runtime has no such flag.
pub const AT_REMOVEDIR: i32 = 0x200;
pub const AT_SYMLINK_NOFOLLOW: i32 = 0x100;
/// A handle of the library's is not inherited, and O_RDONLY opens a directory.
pub const O_CLOEXEC: i32 = 0;
pub const O_DIRECTORY: i32 = 0;

/// UTF-8 of as many UTF-16 units as a path can have.
pub const LONGEST_LINK: usize = 4 * 32767;

/// What the library takes for a descriptor of the program's. One that is not open becomes an invalid handle, so that the
/// operation fails, as elsewhere.
pub fn handle_of(py: Python<'_>, fd: i32) -> PyResult<i32> {
    static GET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    match GET.import(py, "msvcrt", "get_osfhandle")?.call1((fd,)) {
        // Only the lower half of a handle is significant.
        Ok(handle) => Ok(handle.extract::<i64>()? as i32),
        Err(error) if error.is_instance_of::<PyOSError>(py) => Ok(-1),
        Err(error) => Err(error),
    }
}

/// Closes a handle of the library's that nothing else uses.
pub fn close(handle: i32) {
    // SAFETY: the caller's promise.
    drop(unsafe { OwnedHandle::from_raw_handle(handle as isize as *mut c_void) });
}

/// Removes a file, if it is there.
pub fn remove_file(path: &CStr) {
    std::fs::remove_file(&*path.to_string_lossy()).ok();
}

/// `os.stat` of this system numbers devices by the file system's serial number.
pub fn device([_, minor]: [u32; 2]) -> u64 {
    minor.into()
}

/// Its operation tells.
pub fn is_open_for(_: i32, _: bool, _: bool) -> bool {
    true
}

/// There are no signals.
pub fn block_signals() {}

/// Python's module `errno` has the number of Winsock where the C runtime has another for the same error.
pub fn errno_for_python(errno: i32) -> i32 {
    const WINSOCK: [(i32, i32); 25] = [
        (libc::EADDRINUSE, 10048),
        (libc::EADDRNOTAVAIL, 10049),
        (libc::EAFNOSUPPORT, 10047),
        (libc::EALREADY, 10037),
        (libc::ECONNABORTED, 10053),
        (libc::ECONNREFUSED, 10061),
        (libc::ECONNRESET, 10054),
        (libc::EDESTADDRREQ, 10039),
        (libc::EHOSTUNREACH, 10065),
        (libc::EINPROGRESS, 10036),
        (libc::EISCONN, 10056),
        (libc::ELOOP, 10062),
        (libc::EMSGSIZE, 10040),
        (libc::ENETDOWN, 10050),
        (libc::ENETRESET, 10052),
        (libc::ENETUNREACH, 10051),
        (libc::ENOBUFS, 10055),
        (libc::ENOPROTOOPT, 10042),
        (libc::ENOTCONN, 10057),
        (libc::ENOTSOCK, 10038),
        (libc::EOPNOTSUPP, 10045),
        (libc::EPROTONOSUPPORT, 10043),
        (libc::EPROTOTYPE, 10041),
        (libc::ETIMEDOUT, 10060),
        (libc::EWOULDBLOCK, 10035),
    ];
    WINSOCK.iter().find(|(here, _)| *here == errno).map_or(errno, |(_, there)| *there)
}

/// The interpreter's stable DLL has no function for it.
pub fn resize_bytes() -> Option<ResizeBytes> {
    None
}
