//! The one error type: an errno, as `errno(3)` numbers it.

use std::borrow::Cow;
use std::fmt;

use crate::sys::text::errno_text;

/// A positive errno, on Windows in the C runtime's numbers. The C ABI hands it out negated.
///
/// # Examples
/// ```
/// assert_eq!(caio::raw::Errno(2).text(), "No such file or directory");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

/// The result of each function that can fail.
pub type Result<T> = std::result::Result<T, Errno>;

impl Errno {
    /// The system's text, without the number.
    ///
    /// # Examples
    /// ```
    /// println!("{}", caio::raw::Errno(22).text());
    /// ```
    pub fn text(self) -> Cow<'static, str> {
        errno_text(self.0).to_string_lossy()
    }

    /// Whether a filter or a kernel that lacks the call may have given it: another call may do the work.
    pub(crate) fn is_forbidden(self) -> bool {
        matches!(self.0, libc::ENOSYS | libc::EPERM | libc::EACCES)
    }

    /// The form in which an event or a C function carries it.
    pub(crate) fn as_result(self) -> i64 {
        -i64::from(self.0)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (os error {})", self.text(), self.0)
    }
}

impl std::error::Error for Errno {}
