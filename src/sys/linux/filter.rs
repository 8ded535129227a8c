//! System calls that a filter forbids, and the calls that do the same work.

use crate::error::Result;

/// Makes `call`, or `other` if a filter forbids it.
///
/// EPERM and EACCES can also be about the file. So `bad` makes the same call with a bad descriptor, which changes nothing:
/// only a filter gives it the same error.
pub fn or_else(
    call: impl FnOnce() -> Result<u64>,
    bad: impl FnOnce() -> Result<u64>,
    other: impl FnOnce() -> Result<u64>,
) -> Result<u64> {
    match call() {
        Err(errno) if errno.is_forbidden() && bad() == Err(errno) => other(),
        answer => answer,
    }
}
