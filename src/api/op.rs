//! The handle of a submitted operation.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use super::core::Core;
use super::state::Pending;
use super::table::Id;

/// A submitted operation: a future of its output, which also works without `async`.
///
/// An operation completes inside [`Context::poll`](crate::Context::poll), [`wait`](crate::Context::wait) or
/// [`block_on`](crate::Context::block_on), when any thread calls one, and when the context is dropped. As a future it needs no
/// particular runtime. Its first poll also takes events, so that cached reads are ready at once.
///
/// **Dropping it cancels the operation.** The operation keeps its buffers and descriptors until it has ended, and then drops them.
/// A descriptor that it opened is closed. [`detach`](Self::detach) lets it run.
///
/// # Examples
/// ```
/// # let ctx = caio::Context::new()?;
/// let mut op = ctx.stat(caio::CWD, "/etc/passwd");
/// let metadata = loop {
///     match op.take() {
///         Ok(metadata) => break metadata?,
///         Err(pending) => op = pending,
///     }
///     ctx.wait(None)?;
/// };
/// assert!(metadata.is_file());
/// # std::io::Result::Ok(())
/// ```
#[must_use = "dropping an operation cancels it"]
pub struct Op<O> {
    state: Arc<dyn Pending<O>>,
    core: Weak<Core>,
    /// None if it was never submitted, or does not need to be cancelled any more.
    id: Option<Id>,
    polled: bool,
}

impl<O> Op<O> {
    pub(super) fn new(state: Arc<dyn Pending<O>>, core: &Arc<Core>, id: Option<Id>) -> Self {
        Self { state, core: Arc::downgrade(core), id, polled: false }
    }

    /// Whether it has completed, so that [`take`](Self::take) gives the output.
    ///
    /// # Examples
    /// ```
    /// # let ctx = caio::Context::new()?;
    /// let op = ctx.stat(caio::CWD, "/etc/passwd");
    /// while !op.is_complete() {
    ///     ctx.wait(None)?;
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn is_complete(&self) -> bool {
        self.state.is_complete()
    }

    /// The output, or the operation itself if it has not completed. Does not take events.
    ///
    /// # Examples
    /// ```
    /// # let ctx = caio::Context::new()?;
    /// let op = ctx.stat(caio::CWD, "/etc/passwd");
    /// ctx.wait(None)?;
    /// match op.take() {
    ///     Ok(metadata) => assert!(metadata?.is_file()),
    ///     Err(op) => assert!(ctx.block_on(op)?.is_file()),
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn take(mut self) -> Result<O, Self> {
        match self.state.take() {
            Some(output) => {
                self.id = None;
                Ok(output)
            }
            None => Err(self),
        }
    }

    /// Asks the operation to stop. It still completes: with `ECANCELED` if it was stopped, with its result if not.
    ///
    /// # Examples
    /// ```
    /// # let ctx = caio::Context::new()?;
    /// let (read, _write) = std::io::pipe()?;
    /// let op = ctx.read(read, vec![0; 16]);
    /// op.cancel();
    /// let (result, _buffer) = ctx.block_on(op);
    /// assert_eq!(result.unwrap_err().raw_os_error(), Some(125));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn cancel(&self) {
        if let (Some(id), Some(core)) = (self.id, self.core.upgrade()) {
            core.cancel(id);
        }
    }

    /// Lets the operation run without this handle. Its output is dropped.
    ///
    /// # Examples
    /// ```
    /// # let ctx = caio::Context::new()?;
    /// # let path = std::env::temp_dir().join(format!("caio-doc-detach-{}", std::process::id()));
    /// let file = std::fs::File::create(&path)?;
    /// ctx.write_at(file, "text", 0).detach();
    /// ctx.wait(None)?;
    /// assert_eq!(std::fs::read(&path)?, b"text");
    /// # std::fs::remove_file(&path)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn detach(mut self) {
        self.id = None;
    }

    /// Calls `callback` with the output when the operation completes: inside [`poll`](crate::Context::poll) or
    /// [`wait`](crate::Context::wait), on the thread that calls it, or right here if it has completed.
    ///
    /// # Examples
    /// ```
    /// # let ctx = caio::Context::new()?;
    /// let file = std::fs::File::open("/etc/passwd")?;
    /// ctx.read_at(file, vec![0; 16], 0).on_complete(|(read, buffer)| println!("{read:?} {buffer:?}"));
    /// ctx.wait(None)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn on_complete(mut self, callback: impl FnOnce(O) + Send + 'static) {
        self.id = None;
        self.state.on_complete(Box::new(callback));
    }
}

impl<O> Future for Op<O> {
    type Output = O;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<O> {
        if !std::mem::replace(&mut self.polled, true)
            && !self.state.is_complete()
            && let Some(core) = self.core.upgrade()
        {
            core.poll_once();
        }
        match self.state.poll(context.waker()) {
            Some(output) => {
                self.id = None;
                Poll::Ready(output)
            }
            None => Poll::Pending,
        }
    }
}

impl<O> Drop for Op<O> {
    fn drop(&mut self) {
        if self.id.is_some() && !self.state.is_complete() {
            self.cancel();
        }
    }
}

impl<O> fmt::Debug for Op<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Op").field("is_complete", &self.is_complete()).finish_non_exhaustive()
    }
}
