//! The C boundary: `include/caio.h` is generated from here. Bodies convert, call, convert back.
//! Each export is `extern "C"`, so that a panic aborts there even in a program that is built to unwind.

mod convert;
mod ctx;
mod info;
mod io;
pub mod types;

pub use ctx::*;
pub use info::*;
pub use io::*;
