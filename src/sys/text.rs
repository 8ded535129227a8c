//! Words from the system: errno texts, the environment, small files.

use std::ffi::{CStr, CString};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The text of an errno of either sign. Static, so that threads and languages need not care who frees it.
pub fn errno_text(error: i32) -> &'static CStr {
    // No lock that is taken once: fork(2) may leave it taken for good, in a child.
    static TEXTS: AtomicPtr<Vec<CString>> = AtomicPtr::new(ptr::null_mut());
    let texts = once(&TEXTS, || (0..MAX_ERRNO).map(describe).collect());
    texts.get(error.unsigned_abs() as usize).map_or(c"Unknown error", CString::as_c_str)
}

/// What is made when it is first asked for; if two threads make it at a time, the first one's stays.
fn once<T: Sync>(place: &'static AtomicPtr<T>, make: impl FnOnce() -> T) -> &'static T {
    // Acquire pairs with the exchange below: what is seen is whole.
    let mut made = place.load(Ordering::Acquire);
    if made.is_null() {
        let new = Box::into_raw(Box::new(make()));
        // AcqRel pairs with the loads: release of ours, acquire of another's.
        made = match place.compare_exchange(ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => new,
            Err(first) => {
                // SAFETY: made above, and seen by nobody.
                drop(unsafe { Box::from_raw(new) });
                first
            }
        };
    }
    // SAFETY: never freed once it is in its place.
    unsafe { &*made }
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
