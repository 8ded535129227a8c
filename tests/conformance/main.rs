//! Tests of the promises of the C API; see caio-promises(7). Each test runs on every available backend.
//!
//! A test is a `fn(&Case)`, and `promises!` registers it for each backend. A failure names the backend, the variant
//! of the context, and the directory. Set `CAIO_TEST_DIR` to a directory on a disk.

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

#[path = "../c/mod.rs"]
mod c;
mod gate;

mod as_plain;
mod blocking;
mod cached_opens;
mod cancel;
mod choice;
mod copies;
mod current;
mod errno;
mod eventfd;
mod exactly_once;
mod footprint;
mod fork;
mod free;
mod full;
mod ioprio;
mod large;
#[cfg(target_pointer_width = "64")]
mod large_lengths;
mod links;
mod opcodes;
mod opened;
mod polling;
mod sizes;
mod stats;
mod submit;
mod syncs;
mod threads;
mod timeouts;
mod wait;
mod whole;
