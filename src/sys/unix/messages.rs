//! Texts of the C library.

use std::ffi::CStr;

use super::super::system::os::is_set_uid;
use super::super::text::Word;

/// Puts the text of an errno into `text`, NUL-terminated and cut to size.
pub fn errno_message(errno: i32, text: &mut [u8]) {
    // SAFETY: a live buffer of that size; the XSI form (which libc's declaration is) terminates it.
    unsafe { libc::strerror_r(errno, text.as_mut_ptr().cast(), text.len()) };
}

/// An environment variable; None in a set-uid program, as secure_getenv(3).
pub fn trusted_env(name: &CStr) -> Option<Word> {
    if is_set_uid() {
        return None;
    }
    // SAFETY: a NUL-terminated name. As for every getenv(3), the program must not change the environment meanwhile.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: getenv returns a NUL-terminated string.
    let value = unsafe { CStr::from_ptr(value) };
    Some(Word::new(value.to_str().unwrap_or("(not UTF-8)")))
}
