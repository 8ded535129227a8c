//! How an operation runs as plain system calls: cached reads inside submit, attempts on streams that never wait, and
//! blocking calls on worker threads.

pub mod blocking;
pub mod cached;
pub mod copying;
pub mod detached;
pub mod nonblocking;
