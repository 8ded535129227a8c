//! The registry of in-flight descriptors.

use std::sync::atomic::{AtomicU64, Ordering};

use super::PLACES;

/// In-flight descriptors: those with transfers in the kernel's queue. The caller keeps a descriptor open until the
/// event, so the number stays the same file's, and what the library learned about it stays true.
pub struct InFlight([AtomicU64; PLACES]);

const READS: u64 = 1;
const WRITES: u64 = 2;
const ONE: u64 = 4;

impl Default for InFlight {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; PLACES])
    }
}

impl InFlight {
    // Relaxed in all of these: every change is made under the context's lock. The caller takes a transfer's event under
    // that lock before it reuses the number, and so sees the removal.

    fn place(&self, fd: i32) -> &AtomicU64 {
        &self.0[fd as usize % PLACES]
    }

    pub fn knows(&self, fd: i32, reads: bool) -> bool {
        let value = self.place(fd).load(Ordering::Relaxed);
        value >> 32 == u64::from(fd as u32) && value & if reads { READS } else { WRITES } != 0
    }

    /// Adds transfers that go to the queue. True if they are counted: then [`Self::remove`] each when it completes.
    pub fn add(&self, fd: i32, reads: bool, count: u64) -> bool {
        let place = self.place(fd);
        let value = place.load(Ordering::Relaxed);
        let free = value as u32 == 0;
        if !free && value >> 32 != u64::from(fd as u32) {
            return false;
        }
        let before = if free { u64::from(fd as u32) << 32 } else { value };
        place.store((before | if reads { READS } else { WRITES }) + count * ONE, Ordering::Relaxed);
        true
    }

    pub fn remove(&self, fd: i32, count: u64) {
        let place = self.place(fd);
        let value = place.load(Ordering::Relaxed) - count * ONE;
        // After the last one, the number may become another file's.
        place.store(if value as u32 >= ONE as u32 { value } else { 0 }, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_known_until_its_last_transfer_completes() {
        let in_flight = InFlight::default();
        assert!(in_flight.add(5, true, 2) && in_flight.add(5, false, 1));
        in_flight.remove(5, 2);
        assert!(in_flight.knows(5, true) && in_flight.knows(5, false));
        in_flight.remove(5, 1);
        assert!(!in_flight.knows(5, true) && !in_flight.knows(5, false), "the number may become another file's");
    }

    #[test]
    fn two_descriptors_in_one_place_are_not_mixed_up() {
        let (in_flight, other) = (InFlight::default(), 5 + PLACES as i32);
        assert!(in_flight.add(5, true, 1));
        assert!(!in_flight.add(other, true, 1), "not counted, so it must not be removed");
        assert!(!in_flight.knows(other, true));
        in_flight.remove(5, 1);
        assert!(in_flight.add(other, true, 1) && !in_flight.knows(5, true));
    }
}
