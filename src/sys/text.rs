//! Words from the system: errno texts, the environment, small files.

use std::ffi::{CStr, CString};
use std::sync::OnceLock;

/// The text of an errno of either sign. Static, so that threads and languages need not care who frees it.
pub fn errno_text(error: i32) -> &'static CStr {
    static TEXTS: OnceLock<Vec<CString>> = OnceLock::new();
    let texts = TEXTS.get_or_init(|| (0..MAX_ERRNO).map(describe).collect());
    texts.get(error.unsigned_abs() as usize).map_or(c"Unknown error", CString::as_c_str)
}

const MAX_ERRNO: i32 = 134;

fn describe(errno: i32) -> CString {
    let mut text = [0u8; 256];
    // SAFETY: a live buffer of that size; the XSI form (which libc's declaration is) terminates it.
    unsafe { libc::strerror_r(errno, text.as_mut_ptr().cast(), text.len()) };
    CStr::from_bytes_until_nul(&text).map_or_else(|_| c"Unknown error".into(), CStr::to_owned)
}

/// An environment variable; none in a set-uid program (secure_getenv(3)), which its caller must not steer.
pub fn trusted_env(name: &CStr) -> Option<String> {
    // SAFETY: getauxval takes no memory. AT_SECURE is what secure_getenv looks at; musl's headers lack that call.
    if unsafe { libc::getauxval(libc::AT_SECURE) } != 0 {
        return None;
    }
    // SAFETY: a NUL-terminated name. As for every reader of the environment, a program must not change it meanwhile.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: getenv gives a NUL-terminated string.
    Some(unsafe { CStr::from_ptr(value) }.to_string_lossy().into_owned())
}
