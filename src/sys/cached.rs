//! Opens that do not wait.

use super::fd::RawFd;
use super::file_kind::File;

/// The answer to an open that must not wait.
#[cfg_attr(any(not(target_os = "linux"), caio_posix), allow(dead_code))]
pub enum Answer {
    Opened(Opened),
    /// ENOENT.
    Absent,
    /// The plain call decides.
    Unknown,
    /// The system does not have such opens.
    Unavailable,
}

/// A regular file or directory.
pub struct Opened {
    pub fd: RawFd,
    pub file: File,
}
