//! The counters of a context.

/// Counters of a context since it was made, of `Context::stats`.
///
/// # Examples
/// ```
/// let stats = caio::Context::new()?.stats()?;
/// assert_eq!((stats.submitted, stats.in_flight), (0, 0));
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Operations that are submitted and whose events are not taken, now.
    pub in_flight: u32,
    /// Operations that were accepted.
    pub submitted: u64,
    /// Operations that completed.
    pub completed: u64,
    /// Those that completed with `ECANCELED`.
    pub cancelled: u64,
    /// Those that completed inside submit, without blocking.
    pub done_inline: u64,
    /// Those that io_uring or kernel AIO completed.
    pub done_native: u64,
    /// Those that a worker thread completed.
    pub done_worker: u64,
    /// Operations that were retried on another path.
    pub retried: u64,
}
