//! The C boundary. Each body converts, calls, and converts back. cbindgen generates `include/caio.h` from here.
//! Each export is `extern "C"`, so that a panic aborts there even in a program that is built to unwind.

mod check;
mod convert;
mod ctx;
mod info;
mod io;
pub mod types;

pub use check::*;
pub use ctx::*;
pub use info::*;
pub use io::*;
