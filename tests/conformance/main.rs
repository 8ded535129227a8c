//! The promises of the C API, stated one by one and run on every backend.
//!
//! Every promise is a `fn(&Case)`; `promises!` makes it a test of each backend. A failing test names the backend,
//! the variant of the context, and the folder. `CAIO_TEST_DIR` names a folder on a disk to test in.

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

#[path = "../c/mod.rs"]
mod c;
mod gate;

mod blocking;
mod cancel;
mod choice;
mod current;
mod errno;
mod eventfd;
mod exactly_once;
mod footprint;
mod fork;
mod free;
mod full;
mod large;
mod links;
mod polling;
mod sizes;
mod stats;
mod submit;
mod syncs;
mod threads;
mod timeouts;
mod wait;
mod whole;
