//! What is known of a descriptor: the answers of this submit, and the registry of in-flight descriptors.

mod checks;
mod in_flight;

pub use self::checks::{Checks, INLINE_BUDGET, INLINE_MOST};
pub use self::in_flight::InFlight;
