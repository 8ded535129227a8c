//! What is known of descriptors: the answers that one submit got from the kernel, what a context remembers from earlier
//! submits, and the registry of in-flight descriptors.

mod checks;
mod hints;
mod hit_rate;
mod in_flight;

use std::sync::atomic::AtomicBool;

use self::hints::Hints;
use self::hit_rate::HitRate;
use self::in_flight::InFlight;

pub use self::checks::{Cached, Checks, INLINE_BUDGET, INLINE_MOST, OPEN_COST};
pub use self::hints::Hint;
pub use crate::sys::file_kind::FileKind;

/// What a context remembers of descriptors.
#[derive(Default)]
pub struct Remembered {
    pub in_flight: InFlight,
    pub hit_rate: HitRate,
    /// How recent attempts to open cached files ended.
    pub opens: HitRate,
    /// The system has no opens that do not wait.
    pub opens_wait: AtomicBool,
    pub hints: Hints,
}

/// Places in a table by a descriptor's number.
const PLACES: usize = 64;
