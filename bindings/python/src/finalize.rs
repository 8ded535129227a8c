//! Native threads that run Python code, at the end of the interpreter.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

static ENDING: AtomicBool = AtomicBool::new(false);
static INSIDE: AtomicUsize = AtomicUsize::new(0);
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Runs `body` attached to the interpreter, unless that is ending.
pub fn attach<R>(body: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    // SeqCst pairs with `_at_exit`: either it sees this thread in INSIDE, or this thread sees ENDING.
    INSIDE.fetch_add(1, Ordering::SeqCst);
    let result = if ENDING.load(Ordering::SeqCst) { None } else { Python::try_attach(body) };
    INSIDE.fetch_sub(1, Ordering::SeqCst);
    result
}

/// Whether the interpreter is ending: native threads can no longer attach.
pub fn is_ending() -> bool {
    // SeqCst: pairs with `_at_exit`.
    ENDING.load(Ordering::SeqCst)
}

/// Keeps native threads out of the interpreter, and waits up to five seconds for those inside.
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

/// Called in a child of fork(2), which has none of the parent's threads.
#[pyfunction]
pub fn _after_fork() {
    INSIDE.store(0, Ordering::SeqCst);
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Counts the forks between the first process and this one. An object with a smaller count belongs to a parent.
pub fn forks() -> u32 {
    // Relaxed: it changes only in a child that has one thread.
    FORKS.load(Ordering::Relaxed)
}
