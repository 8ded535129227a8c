//! Tests of the promises of the C API; see caio-promises(7). Each test runs on every available backend.
//!
//! A test is a `fn(&Case)`, and `promises!` registers it for each backend. A failure names the backend, the variant
//! of the context, and the directory. Set `CAIO_TEST_DIR` to a directory on a disk.

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

#[path = "../c/mod.rs"]
mod c;

mod current;
mod errno;
mod exactly_once;
mod fork;
mod full;
mod large;
mod links;
mod polling;
mod sizes;
mod stats;
mod submit;

// The short forms of check-targets, and its rows under emulation, go without these: `--cfg caio_quick`.
#[cfg(not(caio_quick))]
mod as_plain;
#[cfg(not(caio_quick))]
mod blocking;
#[cfg(not(caio_quick))]
mod cached_opens;
#[cfg(not(caio_quick))]
mod cancel;
#[cfg(not(caio_quick))]
mod choice;
#[cfg(not(caio_quick))]
mod copies;
#[cfg(not(caio_quick))]
mod eventfd;
#[cfg(not(caio_quick))]
mod footprint;
#[cfg(not(caio_quick))]
mod free;
#[cfg(not(caio_quick))]
mod gate;
#[cfg(not(caio_quick))]
mod ioprio;
#[cfg(all(not(caio_quick), target_pointer_width = "64"))]
mod large_lengths;
#[cfg(not(caio_quick))]
mod opcodes;
#[cfg(not(caio_quick))]
mod opened;
#[cfg(not(caio_quick))]
mod syncs;
#[cfg(not(caio_quick))]
mod threads;
#[cfg(not(caio_quick))]
mod timeouts;
#[cfg(not(caio_quick))]
mod wait;
#[cfg(not(caio_quick))]
mod whole;
