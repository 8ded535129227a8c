//! The safe Rust API, on top of `context`. Only `owned` contains `unsafe`.

mod block_on;
mod context;
mod core;
mod op;
mod open;
pub mod ops;
#[allow(unsafe_code)]
mod owned;
mod request;
#[cfg(miri)]
#[allow(unsafe_code)]
mod simulated;
mod state;
mod table;
#[cfg(all(test, not(loom)))]
mod tests;
mod turns;

pub use context::{Builder, Context};
pub use op::Op;
pub use open::OpenOptions;
pub use owned::{CWD, Cwd, Descriptor, FileSystem, FileTime, IoBuf, IoBufMut, Metadata, OPENED, Opened, Slice};
pub use request::{Request, Requests};
