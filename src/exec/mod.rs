//! How an operation runs as plain system calls: blocking calls on worker threads, and for streams attempts that never
//! wait.

pub mod blocking;
mod copying;
pub mod detached;
pub mod nonblocking;
