//! What kind of file a descriptor's number was last. The caller may close a descriptor at any time, so this is only a
//! hint: no result depends on it, and submit never waits because of one.

use std::sync::atomic::{AtomicU64, Ordering};

use super::PLACES;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    Nothing = 0,
    /// Its file system does not tell which pages are cached.
    NoWaitUnknown = 1,
    /// Opened for direct transfers: reads bypass the page cache, and an attempt at a cached read would wait for the
    /// device.
    Direct = 2,
    /// Opened for buffered transfers: an attempt at a cached read needs no question first.
    Buffered = 3,
}

pub struct Hints([AtomicU64; PLACES]);

impl Default for Hints {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; PLACES])
    }
}

impl Hints {
    /// A hint expires after some uses. Then the kernel is asked again.
    #[inline]
    pub fn get(&self, fd: i32) -> Hint {
        let place = &self.0[fd as usize % PLACES];
        // Relaxed: nothing else is published with a hint, and a lost update costs one system call at most.
        let value = place.load(Ordering::Relaxed);
        let (number, uses, kind) = ((value >> 32) as u32, (value >> 8) as u16, value as u8);
        if number != fd as u32 || uses == 0 {
            return Hint::Nothing;
        }
        place.store(value - (1 << 8), Ordering::Relaxed);
        match kind {
            1 => Hint::NoWaitUnknown,
            2 => Hint::Direct,
            3 => Hint::Buffered,
            _ => Hint::Nothing,
        }
    }

    pub fn set(&self, fd: i32, hint: Hint) {
        const USES: u64 = 64;
        let value = u64::from(fd as u32) << 32 | USES << 8 | hint as u64;
        self.0[fd as usize % PLACES].store(value, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_of_one_number_and_expires() {
        let hints = Hints::default();
        hints.set(5, Hint::Direct);
        assert!(hints.get(5 + PLACES as i32) == Hint::Nothing, "another number in the same place");
        let uses = (0..1000).take_while(|_| hints.get(5) == Hint::Direct).count();
        assert_eq!(uses, 64);
    }
}
