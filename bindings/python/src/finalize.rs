//! Threads of ours that run Python code, and the end of the interpreter.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

static ENDING: AtomicBool = AtomicBool::new(false);
static INSIDE: AtomicUsize = AtomicUsize::new(0);
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Runs `body` attached to the interpreter, unless that is about to end.
pub fn attach<R>(body: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    // SeqCst, as in `at_exit`: either it sees that somebody is inside, or we see that it has begun.
    INSIDE.fetch_add(1, Ordering::SeqCst);
    let result = if ENDING.load(Ordering::SeqCst) { None } else { Python::try_attach(body) };
    INSIDE.fetch_sub(1, Ordering::SeqCst);
    result
}

/// Whether the interpreter is about to end: threads of ours can do nothing more.
pub fn is_ending() -> bool {
    // SeqCst: pairs with `_at_exit`.
    ENDING.load(Ordering::SeqCst)
}

/// From here on no thread of ours enters the interpreter; waits a while for those inside.
#[pyfunction]
pub fn _at_exit(py: Python<'_>) {
    const PATIENCE: Duration = Duration::from_secs(5);
    ENDING.store(true, Ordering::SeqCst);
    let started = Instant::now();
    py.detach(|| {
        while INSIDE.load(Ordering::SeqCst) > 0 && started.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}

/// A child of fork(2) has none of the parent's threads.
#[pyfunction]
pub fn _after_fork() {
    INSIDE.store(0, Ordering::SeqCst);
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// How often this process and those before it were forked off: what was made before the last time is the parent's.
pub fn forks() -> u32 {
    // Relaxed: changed only where the child's one thread begins.
    FORKS.load(Ordering::Relaxed)
}
