//! Detects fork(2) without a system call per check, and keeps fork(3) out of short sections.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
    unsafe { libc::pthread_atfork(Some(before_fork), Some(in_parent), Some(in_child)) };
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
    // SeqCst, as in `keep_out`: that thread sees this one, or this one sees it.
    FORKING.fetch_add(1, Ordering::SeqCst);
    wait_for(&INSIDE);
    // Relaxed, here and below: fork(2) orders parent and child.
    PARENT.store(marker().load(Ordering::Relaxed), Ordering::Relaxed);
}

extern "C" fn in_parent() {
    // Release pairs with the load in `wait_for`.
    FORKING.fetch_sub(1, Ordering::Release);
}

extern "C" fn in_child() {
    // The threads that they counted do not exist here.
    INSIDE.store(0, Ordering::Relaxed);
    FORKING.store(0, Ordering::Relaxed);
    let parent = PARENT.load(Ordering::Relaxed);
    // Another handler of fork(3) may have used the library in the child already: keep the child's new number.
    marker().compare_exchange(parent, 0, Ordering::Relaxed, Ordering::Relaxed).ok();
}

/// The threads that are inside a section of [`keep_out`].
static INSIDE: AtomicU32 = AtomicU32::new(0);
/// The threads that are inside fork(3).
static FORKING: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// How many sections this thread is inside.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// While it exists, fork(3) in another thread waits: a descriptor that is open but in no list would leak into the child.
/// The thread that begins the section ends it.
pub struct KeepOut(());

impl KeepOut {
    fn begin() -> Self {
        // SeqCst pairs with `before_fork`.
        INSIDE.fetch_add(1, Ordering::SeqCst);
        DEPTH.set(DEPTH.get() + 1);
        Self(())
    }
}

/// Begins such a section, unless fork(3) is in progress. A fork(3) that waits for this thread is not.
pub fn try_keep_out() -> Option<KeepOut> {
    let is_inside = DEPTH.get() > 0;
    let section = KeepOut::begin();
    (is_inside || FORKING.load(Ordering::SeqCst) == 0).then_some(section)
}

/// Begins such a section. It must be short: fork(3) waits for [`LONGEST`] at most, as a signal handler inside the section
/// may call fork(3).
pub fn keep_out() -> KeepOut {
    loop {
        if let Some(inside) = try_keep_out() {
            return inside;
        }
        if !wait_for(&FORKING) {
            return KeepOut::begin();
        }
    }
}

impl Drop for KeepOut {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get().saturating_sub(1));
        // Release pairs with the load in `wait_for`. Saturates: a child of fork(2) begins at 0.
        INSIDE.fetch_update(Ordering::Release, Ordering::Relaxed, |inside| inside.checked_sub(1)).ok();
    }
}

/// How long fork(3) and a section wait for each other.
const LONGEST: Duration = Duration::from_millis(100);

/// Waits until a count is 0; false after [`LONGEST`].
fn wait_for(count: &AtomicU32) -> bool {
    const PAUSE: Duration = Duration::from_micros(20);
    let mut since = None;
    // Acquire pairs with the decrements: what those threads did before is done.
    while count.load(Ordering::Acquire) != 0 {
        if since.get_or_insert_with(Instant::now).elapsed() > LONGEST {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
    true
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_keeps_its_number() {
        assert_eq!(super::process(), super::process());
        assert_ne!(super::process(), 0);
    }

    #[test]
    fn a_section_within_a_section_does_not_wait_for_fork() {
        let outer = super::keep_out();
        let forking = std::thread::spawn(|| super::before_fork());
        while super::FORKING.load(super::Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        assert!(super::try_keep_out().is_some());
        drop(outer);
        forking.join().unwrap();
        super::in_parent();
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
