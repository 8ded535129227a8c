//! Words from the system: errno texts, the environment, small files.

use std::ffi::CStr;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::mem;

/// The text of an errno of either sign. Static, so that threads and languages need not care who frees it.
pub fn errno_text(error: i32) -> &'static CStr {
    // No lock that is taken once: fork(2) may leave it taken for good, in a child.
    static TEXTS: AtomicPtr<[Text; MAX_ERRNO]> = AtomicPtr::new(ptr::null_mut());
    let texts = once(&TEXTS, || std::array::from_fn(describe));
    let text = texts.and_then(|texts| texts.get(error.unsigned_abs() as usize));
    text.and_then(|text| CStr::from_bytes_until_nul(text).ok()).unwrap_or(c"Unknown error")
}

/// What is made when it is first asked for, if there is memory; if two threads make it at a time, the first one's stays.
fn once<T: Sync>(place: &'static AtomicPtr<T>, make: impl FnOnce() -> T) -> Option<&'static T> {
    // Acquire pairs with the exchange below: what is seen is whole.
    let mut made = place.load(Ordering::Acquire);
    if made.is_null() {
        let new = Box::into_raw(mem::boxed(make()).ok()?);
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
    Some(unsafe { &*made })
}

const MAX_ERRNO: usize = 134;

/// NUL-terminated; of a longer one the beginning.
type Text = [u8; 128];

fn describe(errno: usize) -> Text {
    let mut text = [0; size_of::<Text>()];
    // SAFETY: a live buffer of that size; the XSI form (which libc's declaration is) terminates it.
    unsafe { libc::strerror_r(errno as i32, text.as_mut_ptr().cast(), text.len()) };
    text
}

/// An environment variable; none in a set-uid program (secure_getenv(3)), which its caller must not steer.
pub fn trusted_env(name: &CStr) -> Option<Word> {
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
    let value = unsafe { CStr::from_ptr(value) };
    Some(Word::new(value.to_str().unwrap_or("(not UTF-8)")))
}

/// A short text without memory of its own; of a longer one the beginning.
pub struct Word {
    text: [u8; Self::MOST],
    length: usize,
}

impl Word {
    const MOST: usize = 64;

    pub fn new(text: &str) -> Self {
        let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
        let length = ends.take_while(|end| *end <= Self::MOST).last().unwrap_or(0);
        let mut word = Self { text: [0; Self::MOST], length };
        word.text[..length].copy_from_slice(&text.as_bytes()[..length]);
        word
    }

    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.text[..self.length]).expect("cut where a character begins")
    }
}
