//! Facts about the library and this machine.

use std::ffi::{c_char, c_int};

use super::types::*;
use crate::backend::Backend;
use crate::context::{errno_text, keeping_errno};
use crate::error::Errno;

/// Returns the version of the library at run time: major << 16 | minor << 8 | patch.
///
/// Threads: any.
/// Blocks: no.
///
/// See caio_version(3).
#[unsafe(no_mangle)]
pub extern "C" fn caio_version() -> u32 {
    CAIO_VERSION_MAJOR << 16 | CAIO_VERSION_MINOR << 8 | CAIO_VERSION_PATCH
}

/// Returns the text of an errno value, positive or negative. Never NULL.
///
/// Ownership: the string is static.
/// Threads: any.
/// Blocks: no.
///
/// See caio_strerror(3).
#[unsafe(no_mangle)]
pub extern "C" fn caio_strerror(error: c_int) -> *const c_char {
    errno_text(error).as_ptr()
}

/// Returns the name of a backend: "auto", "uring", "linux" or "thread". Returns NULL if the number is unknown.
///
/// Ownership: the string is static.
/// Threads: any.
/// Blocks: no.
///
/// See caio_backend_name(3).
#[unsafe(no_mangle)]
pub extern "C" fn caio_backend_name(backend: u32) -> *const c_char {
    Backend::from_number(backend).map_or(std::ptr::null(), |backend| backend.name().as_ptr())
}

/// Checks whether a backend is available now. Always stores a sentence for the user in `why`.
/// The sentence reports the cause and the fix. For AUTO, it reports which backend a new context would use, and the reason.
///
/// Ownership: `why` is the caller's. The call truncates the sentence to `why_size` and ends it with a null byte.
/// `why` may be NULL if `why_size` is 0.
/// Threads: any.
/// Blocks: no.
/// Units: `why_size` is in bytes.
/// Errors: `-EINVAL` (unknown backend; `why` is NULL with a size). Otherwise the error of `caio_ctx_new` with this backend.
///
/// See caio_backend_probe(3).
///
/// # Safety
/// `why` is NULL or has room for `why_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_backend_probe(backend: u32, why: *mut c_char, why_size: usize) -> c_int {
    if why.is_null() && why_size > 0 {
        return -libc::EINVAL;
    }
    let (text, error) = keeping_errno(|| match Backend::from_number(backend).map(Backend::probe) {
        Some(probe) => (probe.to_string(), probe.errno()),
        None => (
            format!("{backend} is not a backend; use 0 (auto), 1 (uring), 2 (linux) or 3 (thread)"),
            Some(Errno(libc::EINVAL)),
        ),
    });
    // SAFETY: `why` has room for `why_size` bytes, as the caller promises.
    unsafe { tell(&text, why, why_size) };
    error.map_or(0, |errno| -errno.0)
}

/// Stores a text, cut to size and NUL-terminated.
///
/// # Safety
/// `to` has room for `size` bytes; it is ignored if `size` is 0.
pub(super) unsafe fn tell(text: &str, to: *mut c_char, size: usize) {
    if size == 0 {
        return;
    }
    let length = cut(text, size - 1);
    // SAFETY: `length < size`, which the caller promises is there.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), to.cast(), length);
        to.add(length).write(0);
    }
}

/// The longest prefix of at most `most` bytes that does not cut a character.
fn cut(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
