//! Tells a forked child from its parent without a system call per question.

use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A page that the kernel empties in a child (madvise(2) MADV_WIPEONFORK) and that else holds this process's number.
struct Marker(NonNull<AtomicU64>);

// SAFETY: the page lives as long as the process, and only atomics touch it.
unsafe impl Send for Marker {}
// SAFETY: as above.
unsafe impl Sync for Marker {}

/// Numbers given out; a child goes on counting from its parent's, so that it never meets one of them again.
static LAST: AtomicU64 = AtomicU64::new(0);

/// This process's number: another one in every child of fork(2).
pub fn process() -> u64 {
    static MARKER: OnceLock<Marker> = OnceLock::new();
    let marker = MARKER.get_or_init(Marker::new);
    // SAFETY: the page is mapped for good.
    let number = unsafe { marker.0.as_ref() };
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

impl Marker {
    fn new() -> Self {
        let page = Self::wiped_page().unwrap_or_else(|| {
            // SAFETY: the handler touches one static atomic.
            unsafe { libc::pthread_atfork(None, None, Some(wipe_fallback)) };
            NonNull::from(&FALLBACK)
        });
        Self(page)
    }

    fn wiped_page() -> Option<NonNull<AtomicU64>> {
        const PAGE: usize = 4096;
        // SAFETY: a new private mapping, asked for nowhere in particular.
        let page = unsafe {
            let (read_write, private) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            libc::mmap(std::ptr::null_mut(), PAGE, read_write, private, -1, 0)
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
        NonNull::new(page.cast())
    }
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
