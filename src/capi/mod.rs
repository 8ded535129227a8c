//! The C boundary: `include/caio.h` is generated from here. Bodies convert, call, convert back.

mod convert;
mod ctx;
mod info;
mod io;
pub mod types;

pub use ctx::*;
pub use info::*;
pub use io::*;
