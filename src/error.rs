//! The one error type: an errno, as `errno(3)` numbers it.

use std::fmt;

/// A positive errno. The C ABI hands it out negated.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

/// The result of each function that can fail.
pub type Result<T> = std::result::Result<T, Errno>;

impl Errno {
    /// The caller's last failed system call's errno.
    pub fn last() -> Self {
        Self(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    }

    /// Whether a filter or a kernel that lacks the call may have given it: another call may do the work.
    pub fn is_forbidden(self) -> bool {
        matches!(self.0, libc::ENOSYS | libc::EPERM | libc::EACCES)
    }

    /// The form in which an event or a C function carries it.
    pub fn as_result(self) -> i64 {
        -i64::from(self.0)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", std::io::Error::from_raw_os_error(self.0))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", std::io::Error::from_raw_os_error(self.0))
    }
}

impl std::error::Error for Errno {}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}
