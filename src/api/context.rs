//! The handle of a context, and how to make one.

use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::block_on::block_on;
use super::core::Core;
use super::op::Op;
use super::open::OpenOptions;
use super::ops;
use super::owned::{Descriptor, IoBuf, IoBufMut, Metadata, borrowed};
use super::request::{Requests, Submission};
use crate::backend::Backend;
use crate::context::{Options, Stats};

/// A context: the operations in flight, and a descriptor that is readable while completions are pending.
///
/// Any thread may use it, also several at the same time. In an event loop, watch the descriptor ([`AsFd`]) and call
/// [`poll`](Self::poll) when it is readable. Without a loop, call [`wait`](Self::wait) or [`block_on`](Self::block_on).
///
/// Dropping it cancels the operations that can be stopped, waits for running disk operations, and completes all. In a child of
/// fork(2), every method fails with `EOWNERDEAD`; dropping the context there leaks its memory and does not affect the parent.
///
/// # Examples
/// ```
/// let ctx = caio::Context::new()?;
/// let file = std::fs::File::open("/etc/os-release")?;
/// let (read, buffer) = ctx.block_on(ctx.read_at(file, vec![0; 4096], 0));
/// println!("{}", String::from_utf8_lossy(&buffer[..read?]));
/// # std::io::Result::Ok(())
/// ```
pub struct Context {
    core: Arc<Core>,
    fd: RawFd,
}

/// The options of a context, which [`Context::builder`] makes.
///
/// # Examples
/// ```
/// let ctx = caio::Context::builder().backend(caio::Backend::Thread).max_requests(64).build()?;
/// assert_eq!(ctx.max_requests()?, 64);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "call build"]
pub struct Builder(Options);

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $example:literal;)+) => {
        $(
            $(#[$doc])*
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let ctx = caio::Context::builder().", stringify!($name), "(", $example, ").build()?;")]
            /// # std::io::Result::Ok(())
            /// ```
            pub fn $name(mut self, $name: $type) -> Self {
                self.0.$name = $name;
                self
            }
        )+
    };
}

impl Builder {
    options! {
        /// The backend. [`Backend::Auto`] by default. Another one never falls back: the build fails if it is not available.
        backend: Backend = "caio::Backend::Thread";
        /// The most operations that are submitted and whose events are not taken. 512 by default.
        max_requests: u32 = "64";
        /// The most worker threads. 0 means a default.
        threads: u32 = "4";
        /// A hint: io_uring may use a kernel thread for submissions. False by default.
        sqpoll: bool = "false";
        /// A hint: each operation takes its fastest path, even if the named backend supports it. Always true with
        /// [`Backend::Auto`].
        fastest_path: bool = "true";
        /// A promise that one thread makes all calls, which are faster then. Calls of other threads fail with `EPERM`: an
        /// operation dropped there is not cancelled, and a context dropped there is leaked. False by default.
        single_thread: bool = "true";
    }

    /// Whether cached reads may complete when they are submitted. True by default.
    ///
    /// # Examples
    /// ```
    /// let ctx = caio::Context::builder().inline(false).build()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn inline(mut self, inline: bool) -> Self {
        self.0.no_inline = !inline;
        self
    }

    /// Makes the context.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`, or the reason why the backend is not available: see [`Backend::probe`].
    /// `EINVAL` if `max_requests` is larger than `i32::MAX`.
    ///
    /// # Examples
    /// ```
    /// let ctx = caio::Context::builder().build()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn build(self) -> io::Result<Context> {
        let core = Core::new(self.0)?;
        let fd = core.call(|engine| engine.events_fd())? as RawFd;
        Ok(Context { core, fd })
    }
}

impl Context {
    /// A context with all options at their defaults.
    ///
    /// # Errors
    /// As [`Builder::build`].
    ///
    /// # Examples
    /// ```
    /// let ctx = caio::Context::new()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn new() -> io::Result<Self> {
        Self::builder().build()
    }

    /// The options of a new context, at their defaults.
    ///
    /// # Examples
    /// ```
    /// let ctx = caio::Context::builder().max_requests(1024).build()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn builder() -> Builder {
        Builder(Options::default())
    }

    /// Submits a request, or several at once, which is faster than one by one. There is no order between them.
    ///
    /// It never waits for the disk. If the context is full (`max_requests`), the operations that do not fit complete with `EAGAIN`
    /// ([`WouldBlock`](io::ErrorKind::WouldBlock)).
    ///
    /// # Examples
    /// ```
    /// use caio::{CWD, ops};
    /// # let ctx = caio::Context::new()?;
    /// let (user, group) = ctx.submit((ops::stat(CWD, "/etc/passwd"), ops::stat(CWD, "/etc/group")));
    /// let (user, group) = ctx.block_on(async { (user.await, group.await) });
    /// println!("{} and {} bytes", user?.len(), group?.len());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn submit<R: Requests>(&self, requests: R) -> R::Ops {
        let mut submission = Submission::new(&self.core);
        let ops = requests.enter(&mut submission);
        submission.send();
        ops
    }

    /// Submits a chain: each operation starts only after the one before it has succeeded in full. After a failure or a short
    /// transfer, the rest completes with `ECANCELED`. A chain is accepted as a whole or not at all.
    ///
    /// Dropping one of the operations cancels it, and so the rest of the chain.
    ///
    /// # Examples
    /// ```
    /// use caio::{CWD, ops};
    /// # let ctx = caio::Context::new()?;
    /// # let folder = std::env::temp_dir().join(format!("caio-doc-chain-{}", std::process::id()));
    /// # std::fs::create_dir(&folder)?;
    /// # let (old, new) = (folder.join("old"), folder.join("new"));
    /// let file = std::sync::Arc::new(std::fs::File::create(&old)?);
    /// let write = ops::write_at(file.clone(), "content", 0).full();
    /// let (_write, _sync, rename) = ctx.submit_chain((write, ops::fsync(file), ops::rename(CWD, &old, &new)));
    /// ctx.block_on(rename)?;
    /// # std::fs::remove_dir_all(&folder)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn submit_chain<R: Requests>(&self, requests: R) -> R::Ops {
        let mut submission = Submission::new(&self.core);
        let ops = requests.enter(&mut submission);
        submission.send_chain();
        ops
    }

    /// Completes the operations whose events are pending, and returns how many. It never blocks.
    ///
    /// Call it once for each time that the descriptor becomes readable, and return to the loop. One call completes a limited
    /// number of operations, and the descriptor stays readable while more are pending. For an edge-triggered loop, repeat it
    /// until it returns 0.
    ///
    /// # Errors
    /// `EPERM` on another thread than that of [`Builder::single_thread`]; `EOWNERDEAD` in a child of fork(2).
    ///
    /// # Examples
    /// ```
    /// # let ctx = caio::Context::new()?;
    /// let op = ctx.stat(caio::CWD, "/etc/passwd");
    /// while !op.is_complete() {
    ///     ctx.poll()?; // better: only when the descriptor is readable
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    pub fn poll(&self) -> io::Result<usize> {
        self.core.poll()
    }

    /// Sleeps until operations have completed, and returns how many. Another thread may have completed them.
    ///
    /// It also returns when `timeout` is over or a thread calls [`wake`](Self::wake). None means no limit, even if nothing is in
    /// flight. If several threads need operations of their own, use [`block_on`](Self::block_on).
    ///
    /// # Errors
    /// [`Interrupted`](io::ErrorKind::Interrupted) if a signal handler ran, and those of [`poll`](Self::poll).
    ///
    /// # Examples
    /// ```
    /// # let ctx = caio::Context::new()?;
    /// ctx.stat(caio::CWD, "/etc/passwd").on_complete(|metadata| println!("{metadata:?}"));
    /// assert_eq!(ctx.wait(None)?, 1);
    /// assert_eq!(ctx.wait(Some(std::time::Duration::from_millis(1)))?, 0);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<usize> {
        let before = self.core.completed();
        let completed = self.core.poll()?;
        if completed > 0 {
            return Ok(completed);
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.core.run_until(deadline, &mut |turns| turns.completed != before || std::mem::take(&mut turns.woken))?;
        Ok((self.core.completed() - before) as usize)
    }

    /// Ends a [`wait`](Self::wait) that is sleeping, or else makes the next one return early.
    ///
    /// # Examples
    /// ```
    /// # let ctx = caio::Context::new()?;
    /// ctx.wake();
    /// assert_eq!(ctx.wait(None)?, 0);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn wake(&self) {
        self.core.change(|turns| turns.woken = true);
    }

    /// Runs a future on this thread, and completes operations while it is pending. Several threads may call it at the same time.
    ///
    /// # Panics
    /// In a child of fork(2), and on another thread than that of [`Builder::single_thread`].
    ///
    /// # Examples
    /// ```
    /// # let ctx = caio::Context::new()?;
    /// let size = ctx.block_on(async {
    ///     let metadata = ctx.stat(caio::CWD, "/etc/passwd").await?;
    ///     std::io::Result::Ok(metadata.len())
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on(&self.core, future)
    }

    /// Asks every operation to stop, and returns how many there are. Each still completes.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    ///
    /// # Examples
    /// ```
    /// # let ctx = caio::Context::new()?;
    /// assert_eq!(ctx.cancel_all()?, 0);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn cancel_all(&self) -> io::Result<usize> {
        Ok(self.core.call(|engine| engine.cancel_all())? as usize)
    }

    /// The backend in use, never [`Backend::Auto`].
    ///
    /// # Errors
    /// `EOWNERDEAD` in a child of fork(2).
    ///
    /// # Examples
    /// ```
    /// assert_ne!(caio::Context::new()?.backend()?, caio::Backend::Auto);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn backend(&self) -> io::Result<Backend> {
        Ok(self.core.call(|engine| engine.backend())?)
    }

    /// The most operations that are submitted and whose events are not taken.
    ///
    /// # Errors
    /// `EOWNERDEAD` in a child of fork(2).
    ///
    /// # Examples
    /// ```
    /// assert_eq!(caio::Context::new()?.max_requests()?, 512);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn max_requests(&self) -> io::Result<usize> {
        Ok(self.core.call(|engine| engine.max_requests())? as usize)
    }

    /// Counters since the context was made.
    ///
    /// # Errors
    /// `EOWNERDEAD` in a child of fork(2).
    ///
    /// # Examples
    /// ```
    /// # let ctx = caio::Context::new()?;
    /// ctx.block_on(ctx.stat(caio::CWD, "/etc"))?;
    /// assert_eq!(ctx.stats()?.submitted, 1);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn stats(&self) -> io::Result<Stats> {
        Ok(self.core.call(|engine| engine.stats())?)
    }
}

macro_rules! shortcuts {
    ($($name:ident<$($type:ident: $bound:path),*>($($argument:ident: $of:ty),*) -> $output:ty, $example:literal;)+) => {
        /// Operations: each submits the request of the same name of [`ops`](crate::ops).
        impl Context {
            $(
                #[doc = concat!("Submits [`ops::", stringify!($name), "`].")]
                ///
                /// # Examples
                /// ```
                /// # use std::fs::File;
                /// # let ctx = caio::Context::new()?;
                #[doc = $example]
                /// # std::io::Result::Ok(())
                /// ```
                pub fn $name<$($type: $bound),*>(&self, $($argument: $of),*) -> Op<$output> {
                    self.submit(ops::$name($($argument),*))
                }
            )+
        }
    };
}

shortcuts! {
    read_at<F: Descriptor, B: IoBufMut>(fd: F, buffer: B, offset: u64) -> (io::Result<usize>, B),
        "let op = ctx.read_at(File::open(\"/etc/passwd\")?, vec![0; 4096], 0);";
    read<F: Descriptor, B: IoBufMut>(fd: F, buffer: B) -> (io::Result<usize>, B),
        "let op = ctx.read(File::open(\"/etc/passwd\")?, vec![0; 4096]);";
    write_at<F: Descriptor, B: IoBuf>(fd: F, buffer: B, offset: u64) -> (io::Result<usize>, B),
        "let op = ctx.write_at(File::open(\"/dev/null\")?, \"text\", 0);";
    write<F: Descriptor, B: IoBuf>(fd: F, buffer: B) -> (io::Result<usize>, B),
        "let op = ctx.write(File::open(\"/dev/null\")?, \"text\");";
    readv_at<F: Descriptor, B: IoBufMut>(fd: F, buffers: Vec<B>, offset: u64) -> (io::Result<usize>, Vec<B>),
        "let op = ctx.readv_at(File::open(\"/etc/passwd\")?, vec![vec![0; 16], vec![0; 16]], 0);";
    writev_at<F: Descriptor, B: IoBuf>(fd: F, buffers: Vec<B>, offset: u64) -> (io::Result<usize>, Vec<B>),
        "let op = ctx.writev_at(File::open(\"/dev/null\")?, vec![\"head\", \"body\"], 0);";
    fsync<F: Descriptor>(fd: F) -> io::Result<()>, "ctx.block_on(ctx.fsync(File::open(\"/etc\")?))?;";
    fdatasync<F: Descriptor>(fd: F) -> io::Result<()>, "ctx.block_on(ctx.fdatasync(File::open(\"/etc\")?))?;";
    open<F: Descriptor, P: AsRef<Path>>(dir: F, path: P, options: &OpenOptions) -> io::Result<OwnedFd>,
        "let op = ctx.open(caio::CWD, \"/etc/passwd\", caio::OpenOptions::new().read(true));";
    close<F: Into<OwnedFd>>(fd: F) -> io::Result<()>, "ctx.block_on(ctx.close(File::open(\"/etc\")?))?;";
    stat<F: Descriptor, P: AsRef<Path>>(dir: F, path: P) -> io::Result<Metadata>,
        "assert!(ctx.block_on(ctx.stat(caio::CWD, \"/etc\"))?.is_dir());";
    rename<F: Descriptor, P: AsRef<Path>, Q: AsRef<Path>>(dir: F, from: P, to: Q) -> io::Result<()>,
        "let op = ctx.rename(caio::CWD, \"/no/such/file\", \"/no/such/name\");";
    unlink<F: Descriptor, P: AsRef<Path>>(dir: F, path: P) -> io::Result<()>,
        "let op = ctx.unlink(caio::CWD, \"/no/such/file\");";
    mkdir<F: Descriptor, P: AsRef<Path>>(dir: F, path: P, mode: u32) -> io::Result<()>,
        "let op = ctx.mkdir(caio::CWD, \"/no/such/folder\", 0o755);";
}

/// The descriptor is only for waiting: do not read, write or close it. A dup(2) has the same readiness.
impl AsFd for Context {
    fn as_fd(&self) -> BorrowedFd<'_> {
        borrowed(self, self.fd)
    }
}

impl AsRawFd for Context {
    fn as_raw_fd(&self) -> RawFd {
        self.fd
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if !self.core.end() {
            // The kernel may still use the memory of the operations.
            std::mem::forget(self.core.clone());
        }
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("fd", &self.fd).finish_non_exhaustive()
    }
}
