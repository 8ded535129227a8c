//! Detects fork(2) without a system call per check.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use super::super::system::os::wipes_on_fork;
use super::mem::PAGE;

/// The last number given. A child continues its parent's count, so that numbers never repeat.
static LAST: AtomicU64 = AtomicU64::new(0);

/// This process's number. Every child of fork(2) has another one.
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

/// The word of [`marker`].
static MARKER: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());

/// A word that holds this process's number, and 0 in a new child. The kernel wipes its page in a child (madvise(2)
/// MADV_WIPEONFORK). A handler of fork(3) does the same for other kernels: qemu-user accepts the advice and does not wipe.
/// Created without a lock, because a child of fork(2) can inherit a lock that is held and never released.
fn marker() -> &'static AtomicU64 {
    // Acquire pairs with the exchange below.
    let known = MARKER.load(Ordering::Acquire);
    if !known.is_null() {
        // SAFETY: never unmapped after it was stored, and only accessed atomically.
        return unsafe { &*known };
    }
    make_marker()
}

#[cold]
fn make_marker() -> &'static AtomicU64 {
    let page = wiped_page();
    let new = page.unwrap_or((&raw const FALLBACK).cast_mut());
    // SAFETY: the handlers touch atomics only. If there is no memory for them, the page is enough on a kernel that wipes it.
    unsafe { libc::pthread_atfork(Some(before_fork), None, Some(in_child)) };
    // AcqRel pairs with the loads: release of ours, acquire of another thread's that was first.
    let kept = match MARKER.compare_exchange(ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => new,
        Err(first) => {
            // SAFETY: the mapping made above, which is not shared.
            page.map(|page| unsafe { libc::munmap(page.cast(), PAGE) });
            first
        }
    };
    // SAFETY: as in `marker`.
    unsafe { &*kept }
}

fn wiped_page() -> Option<*mut AtomicU64> {
    // SAFETY: a new private mapping, at an address that the kernel chooses.
    let page = unsafe {
        let (read_write, private) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        libc::mmap(ptr::null_mut(), PAGE, read_write, private, -1, 0)
    };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the mapping made above.
    if unsafe { !wipes_on_fork(page, PAGE) } {
        // SAFETY: the mapping made above, which is not shared.
        unsafe { libc::munmap(page, PAGE) };
        return None;
    }
    Some(page.cast())
}

/// The word where no page can be wiped.
static FALLBACK: AtomicU64 = AtomicU64::new(0);

/// The number of the process that called fork(3).
static PARENT: AtomicU64 = AtomicU64::new(0);

extern "C" fn before_fork() {
    // Relaxed, here and below: fork(2) orders parent and child.
    PARENT.store(marker().load(Ordering::Relaxed), Ordering::Relaxed);
}

extern "C" fn in_child() {
    let parent = PARENT.load(Ordering::Relaxed);
    // Another handler of fork(3) may have used the library in the child already: keep the child's new number.
    marker().compare_exchange(parent, 0, Ordering::Relaxed, Ordering::Relaxed).ok();
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_keeps_its_number() {
        assert_eq!(super::process(), super::process());
        assert_ne!(super::process(), 0);
    }

    #[test]
    fn a_child_has_another_number_even_if_the_kernel_does_not_wipe_the_page() {
        let parent = super::process();
        let page = std::ptr::from_ref(super::marker()).cast_mut();
        // SAFETY: the page of the marker.
        let kept = unsafe { libc::madvise(page.cast(), super::PAGE, libc::MADV_KEEPONFORK) } == 0;
        // SAFETY: the child makes no call but _exit.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: ends the child.
            unsafe { libc::_exit((super::process() == parent).into()) };
        }
        let mut status = 1;
        // SAFETY: a live int, and the page of the marker.
        unsafe {
            libc::waitpid(child, &raw mut status, 0);
            assert!(!kept || libc::madvise(page.cast(), super::PAGE, libc::MADV_WIPEONFORK) == 0);
        }
        assert_eq!(status, 0);
    }
}
