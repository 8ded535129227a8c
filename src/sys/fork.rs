//! Tells a forked child from its parent without a system call per question.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use super::mem::PAGE;

/// Numbers given out; a child goes on counting from its parent's, so that it never meets one of them again.
static LAST: AtomicU64 = AtomicU64::new(0);

/// This process's number: another one in every child of fork(2).
pub fn process() -> u64 {
    let number = marker();
    // Relaxed: the value guards nothing but itself; fork(2) orders parent and child.
    match number.load(Ordering::Relaxed) {
        0 => {
            let new = LAST.fetch_add(1, Ordering::Relaxed) + 1;
            match number.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => new,
                Err(first) => first,
            }
        }
        known => known,
    }
}

/// A word of a page that the kernel empties in a child (madvise(2) MADV_WIPEONFORK) and that else holds this process's number.
/// Made without a lock, which fork(2) could leave taken for good in a child.
fn marker() -> &'static AtomicU64 {
    static MARKER: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
    // Acquire pairs with the exchange below.
    let known = MARKER.load(Ordering::Acquire);
    if !known.is_null() {
        // SAFETY: what is in that place is mapped for good, and only atomics touch it.
        return unsafe { &*known };
    }
    make_marker(&MARKER)
}

#[cold]
fn make_marker(place: &AtomicPtr<AtomicU64>) -> &'static AtomicU64 {
    let page = wiped_page();
    let new = page.unwrap_or_else(|| {
        // SAFETY: the handler touches one static atomic.
        unsafe { libc::pthread_atfork(None, None, Some(wipe_fallback)) };
        (&raw const FALLBACK).cast_mut()
    });
    // AcqRel pairs with the loads: release of ours, acquire of another thread's, which was first.
    let kept = match place.compare_exchange(ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => new,
        Err(first) => {
            // SAFETY: the mapping made above, which nobody has seen.
            page.map(|page| unsafe { libc::munmap(page.cast(), PAGE) });
            first
        }
    };
    // SAFETY: as in `marker`.
    unsafe { &*kept }
}

fn wiped_page() -> Option<*mut AtomicU64> {
    // SAFETY: a new private mapping, asked for nowhere in particular.
    let page = unsafe {
        let (read_write, private) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        libc::mmap(ptr::null_mut(), PAGE, read_write, private, -1, 0)
    };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the mapping made above; old kernels (before 4.14) refuse.
    if unsafe { libc::madvise(page, PAGE, libc::MADV_WIPEONFORK) } != 0 {
        // SAFETY: the mapping made above, which nobody has seen.
        unsafe { libc::munmap(page, PAGE) };
        return None;
    }
    Some(page.cast())
}

static FALLBACK: AtomicU64 = AtomicU64::new(0);

extern "C" fn wipe_fallback() {
    FALLBACK.store(0, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_keeps_its_number() {
        assert_eq!(super::process(), super::process());
        assert_ne!(super::process(), 0);
    }
}
