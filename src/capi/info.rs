//! The library about itself and about this machine.

use std::ffi::{c_char, c_int};

use super::types::*;
use crate::backend;
use crate::context::{errno_text, keeping_errno};

/// The library's version: major << 16 | minor << 8 | patch. Threads: any. Blocks: no.
#[unsafe(no_mangle)]
pub extern "C" fn caio_version() -> u32 {
    CAIO_VERSION_MAJOR << 16 | CAIO_VERSION_MINOR << 8 | CAIO_VERSION_PATCH
}

/// The text of an errno of either sign. Never NULL; static memory. Threads: any. Blocks: no.
#[unsafe(no_mangle)]
pub extern "C" fn caio_strerror(error: c_int) -> *const c_char {
    errno_text(error).as_ptr()
}

/// "auto", "uring", "linux" or "thread"; NULL if unknown. Static memory. Threads: any. Blocks: no.
#[unsafe(no_mangle)]
pub extern "C" fn caio_backend_name(backend: u32) -> *const c_char {
    match backend {
        CAIO_BACKEND_AUTO => c"auto".as_ptr(),
        CAIO_BACKEND_URING => c"uring".as_ptr(),
        CAIO_BACKEND_LINUX => c"linux".as_ptr(),
        CAIO_BACKEND_THREAD => c"thread".as_ptr(),
        _ => std::ptr::null(),
    }
}

/// Asks the kernel anew whether a backend can be had now. Returns 0 or a negative errno, and always fills `why` with a
/// sentence that a user can act on (for AUTO: which backend it takes and why).
///
/// Ownership: `why` is the caller's; NUL-terminated and cut to `why_size`; NULL with size 0 is allowed.
/// Threads: any. Blocks: no. Errors: `-EINVAL` (unknown backend, `why` NULL with a size), else the backend's reason.
///
/// # Safety
/// `why` is NULL or has room for `why_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_backend_probe(backend: u32, why: *mut c_char, why_size: usize) -> c_int {
    if why.is_null() && why_size > 0 {
        return -libc::EINVAL;
    }
    let probe = keeping_errno(|| backend::probe(backend));
    if why_size > 0 {
        let length = cut(&probe.why, why_size - 1);
        // SAFETY: `length < why_size`, which the caller says is there.
        unsafe {
            std::ptr::copy_nonoverlapping(probe.why.as_ptr(), why.cast(), length);
            why.add(length).write(0);
        }
    }
    match probe.result {
        Ok(()) => 0,
        Err(errno) => -errno.0,
    }
}

/// The longest prefix of at most `most` bytes that does not cut a character.
fn cut(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
