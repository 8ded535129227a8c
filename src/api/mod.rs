//! The safe Rust API, on top of `context`. Only `owned` contains `unsafe`.

mod backend;
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

pub use backend::{Backend, Probe};
pub use context::{Builder, Context, Stats};
pub use op::Op;
pub use open::OpenOptions;
pub use owned::{CWD, Cwd, Descriptor, IoBuf, IoBufMut, Metadata, OPENED, Opened, Slice};
pub use request::{Request, Requests};
