//! Making an operation with plain system calls: blocking ones on worker threads, attempts that never wait for
//! everything that may wait for another party.

pub mod blocking;
pub mod detached;
pub mod interruptible;
pub mod nonblocking;
