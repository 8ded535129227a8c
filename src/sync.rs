//! Locks, and the atomics that the loom tests replace.
//!
//! The locks are the standard library's: each is one futex. A library that parks threads in a process-wide table
//! (parking_lot) does not fit: in a child of fork(2) that table still lists the parent's threads, and the child may make
//! contexts of its own.
//!
//! A panic is a bug and aborts, whatever `panic` setting the program is built with:
//! - Every function that C or pthread_create(3) calls is `extern "C"`, which no panic leaves. The Rust APIs call [`or_abort`].
//! - A panic that unwinds while it holds a lock poisons it, and locking a poisoned lock aborts. No other thread works on
//!   half-changed state in the meantime.

use std::process;
use std::sync::TryLockError;
use std::time::Duration;

pub use std::sync::MutexGuard;

use crate::sys::thread::keeping_errno;

/// With `--cfg loom`, the model checker's: `make check-loom` tries every interleaving.
#[cfg(loom)]
pub use loom::sync::atomic;
#[cfg(not(loom))]
pub use std::sync::atomic;

/// With `--cfg caio_panic`: panics if CAIO_PANIC names this place. tests/unwind checks what becomes of the process.
#[inline(always)]
pub fn panic_point(_place: &str) {
    #[cfg(caio_panic)]
    assert!(std::env::var("CAIO_PANIC").as_deref() != Ok(_place), "a bug in {_place}");
}

/// Aborts if the library panics. Unwinding could free memory that an operation uses.
pub fn or_abort<T>(call: impl FnOnce() -> T) -> T {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            process::abort();
        }
    }
    let bomb = Bomb;
    let answer = call();
    std::mem::forget(bomb);
    answer
}

/// A lock that aborts when it is poisoned.
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    #[inline(always)]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.try_lock().unwrap_or_else(|| self.wait_and_lock())
    }

    /// Waiting on the futex may change errno, which is the caller's.
    #[cold]
    fn wait_and_lock(&self) -> MutexGuard<'_, T> {
        keeping_errno(|| self.0.lock().unwrap_or_else(|_| process::abort()))
    }

    /// The lock, if no thread holds it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(_)) => process::abort(),
        }
    }
}

/// Threads sleep here until the state that a [`Mutex`] guards changes.
pub struct Condvar(std::sync::Condvar);

impl Condvar {
    pub const fn new() -> Self {
        Self(std::sync::Condvar::new())
    }

    /// Sleeps until notified, or for `time`, or spuriously; the answer is true after a timeout.
    pub fn wait_for<'a, T>(&self, guard: MutexGuard<'a, T>, time: Duration) -> (MutexGuard<'a, T>, bool) {
        let (guard, timeout) = self.0.wait_timeout(guard, time).unwrap_or_else(|_| process::abort());
        (guard, timeout.timed_out())
    }

    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sys::thread;
    use std::process::Command;
    use std::thread::spawn;

    const CHILD: &str = "CAIO_TEST_PANIC";

    /// Runs the test `name` again in a process of its own, in which `work` must abort. Tests are built to unwind.
    fn aborts(name: &str, work: impl FnOnce()) {
        if std::env::var_os(CHILD).is_some() {
            work();
            process::exit(0);
        }
        let this = std::env::current_exe().unwrap();
        let child = Command::new(this).args([name, "--exact", "--nocapture"]).env(CHILD, "1").output().unwrap();
        // By the signal, or what Windows has instead.
        let status = child.status.to_string();
        assert!(status.contains("SIGABRT") || status.contains("0xc0000409"), "{child:?}");
    }

    fn poisoned() -> &'static Mutex<u32> {
        let lock: &'static Mutex<u32> = Box::leak(Box::new(Mutex::new(0)));
        let panicked = spawn(|| {
            let _guard = lock.lock();
            panic!("under the lock");
        });
        panicked.join().unwrap_err();
        lock
    }

    #[test]
    fn lock_aborts_after_a_panic_under_the_lock() {
        aborts("sync::tests::lock_aborts_after_a_panic_under_the_lock", || drop(poisoned().lock()));
    }

    #[test]
    fn try_lock_aborts_after_a_panic_under_the_lock() {
        aborts("sync::tests::try_lock_aborts_after_a_panic_under_the_lock", || drop(poisoned().try_lock()));
    }

    #[test]
    fn a_sleeper_aborts_after_a_panic_under_the_lock() {
        aborts("sync::tests::a_sleeper_aborts_after_a_panic_under_the_lock", || {
            static PANICS: Mutex<bool> = Mutex::new(false);
            static CHANGED: Condvar = Condvar::new();
            let mut panics = PANICS.lock();
            // It gets the lock once this thread sleeps.
            spawn(|| {
                let mut panics = PANICS.lock();
                *panics = true;
                CHANGED.notify_one();
                panic!("under the lock");
            });
            while !*panics {
                (panics, _) = CHANGED.wait_for(panics, Duration::from_secs(60));
            }
        });
    }

    #[test]
    fn a_panic_on_a_thread_of_the_library_aborts() {
        aborts("sync::tests::a_panic_on_a_thread_of_the_library_aborts", || {
            thread::spawn(c"caio-test", || panic!("on a thread")).unwrap().join();
        });
    }
}
