//! Cached execution, inside submit: reads of what the page cache has. They never wait for the disk.

use super::blocking::failed_result;
use crate::error::{Errno, Result};
use crate::fd::{Cached, Checks};
use crate::op::Op;
use crate::sys::rw;

pub use crate::sys::rw::{Split, read_cached};

/// Continues a cached read whose first attempt gave this answer.
pub fn continue_read(op: &Op, first: Result<u64>, checks: &mut Checks) -> Cached {
    let (mut moved, mut answer) = (0, first);
    loop {
        match answer {
            Ok(more) if moved + more < op.len && !checks.is_storage(op.fd) => return Cached::Record(more),
            // A short read ends where the cached pages end, or the file. Only a 0 means the end of the file.
            Ok(more) if more > 0 && moved + more < op.len => moved += more,
            // On Linux 5.9 and 5.10, a 0 may also mean that nothing is cached (preadv2(2), BUGS).
            Ok(0) if !checks.ends_before(op.fd, op.offset.wrapping_add(moved)) => return Cached::Unknown(moved),
            Ok(more) => return Cached::Hit(moved + more),
            Err(Errno(libc::EAGAIN)) => return Cached::Miss(moved),
            // After a filter's error, the plain call decides.
            Err(errno) if errno.0 == libc::EOPNOTSUPP || errno.is_forbidden() => return Cached::Untold(moved),
            Err(errno) => return Cached::Failed(failed_result(op, moved, errno)),
        }
        answer = rw::read_cached(op.fd, op.buf.advanced(moved), op.len - moved, op.offset.wrapping_add(moved));
    }
}
