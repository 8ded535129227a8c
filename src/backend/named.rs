//! Backends as a program names them, and whether they are available.

use std::ffi::CStr;
use std::fmt;

use super::{Kind, choice};
use crate::error::{Errno, Result};
use crate::sync::or_abort;

/// What does the work of a context.
///
/// # Examples
/// ```
/// let ctx = caio::Context::builder().backend(caio::Backend::Thread).build()?;
/// assert_eq!(ctx.backend()?.to_string(), "thread");
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum Backend {
    /// The best one that is available. `CAIO_IMPL` and a file can change the choice; see caio(7).
    #[default]
    Auto = 0,
    /// io_uring.
    Uring = 1,
    /// Linux kernel AIO.
    Linux = 2,
    /// Worker threads and plain system calls.
    Thread = 3,
}

/// Whether a backend is available now, of [`Backend::probe`]. Displays a sentence for the user.
///
/// # Examples
/// ```
/// let probe = caio::Backend::Thread.probe();
/// assert!(probe.is_available());
/// println!("{probe}");
/// ```
#[derive(Clone, Debug)]
pub struct Probe {
    why: String,
    error: Option<Errno>,
}

impl Backend {
    /// Checks whether the backend is available now.
    ///
    /// # Examples
    /// ```
    /// println!("{}", caio::Backend::Uring.probe());
    /// ```
    pub fn probe(self) -> Probe {
        or_abort(|| choice::probe(self))
    }

    /// The backend with a number of `CAIO_BACKEND_*`.
    #[cfg(feature = "capi")]
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        let mut all = [Self::Auto].into_iter().chain(Kind::ALL.map(Self::from));
        all.find(|backend| *backend as u32 == number)
    }

    pub(crate) fn name(self) -> &'static CStr {
        self.kind().map_or(c"auto", Kind::c_name)
    }

    /// None for [`Self::Auto`], which chooses one.
    pub(super) fn kind(self) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| self == Self::from(*kind))
    }
}

impl From<Kind> for Backend {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Uring => Self::Uring,
            Kind::Linux => Self::Linux,
            Kind::Thread => Self::Thread,
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name().to_str().unwrap_or_default())
    }
}

impl Probe {
    pub(super) fn new(result: Result<()>, why: String) -> Self {
        Self { why, error: result.err() }
    }

    /// Whether a context with this backend can be made.
    ///
    /// # Examples
    /// ```
    /// assert!(caio::Backend::Thread.probe().is_available());
    /// ```
    pub fn is_available(&self) -> bool {
        self.error.is_none()
    }

    /// The error that a context with this backend would yield.
    ///
    /// # Examples
    /// ```
    /// if let Some(errno) = caio::Backend::Linux.probe().errno() {
    ///     println!("{errno}");
    /// }
    /// ```
    pub fn errno(&self) -> Option<Errno> {
        self.error
    }
}

/// The cause and the fix, or which backend [`Backend::Auto`] takes.
impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.why)
    }
}
