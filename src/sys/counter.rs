//! The counter behind a descriptor that is readable while signals are pending.

/// A trait, so that the model checker can replace the descriptor.
pub trait Signal {
    /// Makes it readable; false if that fails, since it is full and so readable already. Async-signal-safe.
    fn signal(&self) -> bool;
    /// Makes it not readable, and returns how many signals there were since the last call; None if reading fails.
    fn clear(&self) -> Option<u64>;
}

/// The model checker's descriptor: every access orders as a system call does.
#[cfg(all(test, loom))]
pub mod model {
    use super::Signal;
    use crate::sync::atomic::{AtomicU64, Ordering};

    pub struct Counter(AtomicU64);

    impl Counter {
        pub fn new() -> Self {
            Self(AtomicU64::new(0))
        }

        pub fn is_readable(&self) -> bool {
            self.0.load(Ordering::SeqCst) > 0
        }
    }

    impl Signal for Counter {
        fn signal(&self) -> bool {
            self.0.fetch_add(1, Ordering::SeqCst);
            true
        }
        fn clear(&self) -> Option<u64> {
            Some(self.0.swap(0, Ordering::SeqCst))
        }
    }
}
