//! Texts of the system: errors, environment variables.

use std::ffi::CStr;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::mem;
use super::system::messages::errno_message;
pub use super::system::messages::trusted_env;

/// The text of an errno of either sign. Static, so that no thread or binding has to free it.
pub fn errno_text(error: i32) -> &'static CStr {
    // Without a lock: if another thread held it during fork(2), it would stay locked in the child.
    static TEXTS: AtomicPtr<[Text; MAX_ERRNO]> = AtomicPtr::new(ptr::null_mut());
    let texts = once(&TEXTS, || std::array::from_fn(describe));
    let text = texts.and_then(|texts| texts.get(error.unsigned_abs() as usize));
    text.and_then(|text| CStr::from_bytes_until_nul(text).ok()).unwrap_or(c"Unknown error")
}

/// A value that the first call makes, or None without memory. If two threads make it at the same time, the first one's is
/// kept.
fn once<T: Sync>(place: &'static AtomicPtr<T>, make: impl FnOnce() -> T) -> Option<&'static T> {
    // Acquire pairs with the exchange below, so that the value is complete.
    let mut made = place.load(Ordering::Acquire);
    if made.is_null() {
        let new = Box::into_raw(mem::boxed(make()).ok()?);
        // AcqRel pairs with the loads: release of ours, acquire of another's.
        made = match place.compare_exchange(ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => new,
            Err(first) => {
                // SAFETY: made above, and not shared.
                drop(unsafe { Box::from_raw(new) });
                first
            }
        };
    }
    // SAFETY: never freed after it was stored.
    Some(unsafe { &*made })
}

const MAX_ERRNO: usize = 143;

/// NUL-terminated, and cut to size.
type Text = [u8; 128];

fn describe(errno: usize) -> Text {
    let mut text = [0; size_of::<Text>()];
    errno_message(errno as i32, &mut text);
    text
}

/// A short text that needs no allocation. Longer ones are cut.
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
