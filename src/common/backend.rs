//! Backends, and whether they are available.

use std::fmt;

use super::or_abort;
use crate::backend::{self, choice};
use crate::error::Errno;

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
        let choice::Probe { result, why } = or_abort(|| backend::probe(self.number()));
        Probe { why, error: result.err() }
    }

    pub(crate) fn number(self) -> u32 {
        self as u32
    }

    pub(crate) fn of_number(number: u32) -> Self {
        let known = [Self::Uring, Self::Linux, Self::Thread];
        known.into_iter().find(|backend| backend.number() == number).unwrap_or(Self::Auto)
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(backend::name(self.number()).and_then(|name| name.to_str().ok()).unwrap_or_default())
    }
}

impl Probe {
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
