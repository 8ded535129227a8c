//! Descriptors: those that operations work on, and those that they open and close.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::path::Path;

use super::lent;
use super::path::{OnPath, PathCall};
use crate::api::open::OpenOptions;
use crate::api::state::{Operation, Outcome};
use crate::context::AT_FDCWD;
use crate::error::Result;
use crate::op::{self, Code, Op};

mod sealed {
    pub trait Sealed {}
}

/// The descriptor of an operation, which owns it until it completes: a file, a socket, an [`Arc`](std::sync::Arc) of one, and
/// everything else that is `AsFd + Send + 'static`. Paths start at [`CWD`] or at a directory.
///
/// Share a file with `Arc`. An operation that gets the file itself closes it when it completes.
///
/// # Examples
/// ```
/// # let ctx = caio::Context::new()?;
/// let file = std::sync::Arc::new(std::fs::File::open("/etc/passwd")?);
/// let first = ctx.read_at(file.clone(), vec![0; 16], 0);
/// let second = ctx.read_at(file, vec![0; 16], 16);
/// let read = ctx.block_on(async { (first.await.0, second.await.0) });
/// # std::io::Result::Ok(())
/// ```
pub trait Descriptor: sealed::Sealed + Send + 'static {
    /// Its number, valid as long as this value lives.
    #[doc(hidden)]
    fn raw(&self) -> RawFd;
}

impl<T: AsFd> sealed::Sealed for T {}
impl<T: AsFd + Send + 'static> Descriptor for T {
    fn raw(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// The type of [`CWD`].
///
/// # Examples
/// ```
/// let here: caio::Cwd = caio::CWD;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Cwd;

/// The current directory, where relative paths start. Absolute paths ignore it.
///
/// # Examples
/// ```
/// # let ctx = caio::Context::new()?;
/// let metadata = ctx.block_on(ctx.stat(caio::CWD, "/etc/passwd"))?;
/// assert!(metadata.is_file());
/// # std::io::Result::Ok(())
/// ```
pub const CWD: Cwd = Cwd;

impl sealed::Sealed for Cwd {}
impl Descriptor for Cwd {
    fn raw(&self) -> RawFd {
        AT_FDCWD
    }
}

/// The type of [`OPENED`].
///
/// # Examples
/// ```
/// let file: caio::Opened = caio::OPENED;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Opened;

/// In a chain: the file that [`ops::open_for_chain`](crate::ops::open_for_chain) has opened before it. Elsewhere the operation
/// fails with `EINVAL`.
///
/// # Examples
/// Read a file with one submission:
/// ```
/// use caio::{CWD, OPENED, OpenOptions, ops};
/// # let ctx = caio::Context::new()?;
/// let (open, read, close) = ctx.submit_chain((
///     ops::open_for_chain(CWD, "/etc/os-release", OpenOptions::new().read(true)),
///     ops::read_at(OPENED, Vec::with_capacity(4096), 0),
///     ops::close_opened(),
/// ));
/// let (size, content) = ctx.block_on(async {
///     open.await?;
///     let (size, content) = read.await;
///     close.await?;
///     std::io::Result::Ok((size?, content))
/// })?;
/// assert_eq!(content.len(), size);
/// # std::io::Result::Ok(())
/// ```
pub const OPENED: Opened = Opened;

impl sealed::Sealed for Opened {}
impl Descriptor for Opened {
    fn raw(&self) -> RawFd {
        op::OPENED
    }
}

/// The descriptor of a context.
pub fn borrowed<T>(_owner: &T, fd: RawFd) -> BorrowedFd<'_> {
    // SAFETY: `Context` calls it with its own descriptor, which stays open as long as the context lives.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// A call on a descriptor that takes no memory.
pub struct OnFd<F> {
    pub fd: F,
    pub op: Op,
}

impl<F: Descriptor> Operation for OnFd<F> {
    type Output = io::Result<()>;

    fn describe(&mut self) -> Result<Op> {
        Ok(Op { fd: self.fd.raw(), ..self.op })
    }

    fn finish(self, outcome: Outcome) -> Self::Output {
        outcome.result().map(drop)
    }
}

/// The same, for a call whose result is a number.
pub struct OnFdSize<F>(pub OnFd<F>);

impl<F: Descriptor> Operation for OnFdSize<F> {
    type Output = io::Result<u64>;

    fn describe(&mut self) -> Result<Op> {
        self.0.describe()
    }

    fn finish(self, outcome: Outcome) -> Self::Output {
        outcome.result()
    }
}

/// Opens a file for its chain.
pub struct OpenForChain<F> {
    path: OnPath<F>,
    /// `struct open_how`, which the library reads when it accepts the operation; None for a plain openat(2).
    how: Option<Box<[u64; 3]>>,
}

impl<F: Descriptor> OpenForChain<F> {
    pub fn new(dir: F, path: &Path, options: &OpenOptions) -> Self {
        let (flags, mode) = (options.flags(), options.permissions());
        let (call, how) = match options.resolution() {
            0 => (PathCall { flags, mode, ..PathCall::of(Code::Openat) }, None),
            resolve => {
                let how = [flags.into(), mode.into(), resolve];
                (PathCall { len: size_of_val(&how) as u64, ..PathCall::of(Code::Openat2) }, Some(Box::new(how)))
            }
        };
        Self { path: OnPath::new(dir, path, call), how }
    }
}

impl<F: Descriptor> Operation for OpenForChain<F> {
    type Output = io::Result<()>;

    fn describe(&mut self) -> Result<Op> {
        let op = self.path.op()?;
        Ok(match &mut self.how {
            Some(how) => Op { buf2: lent((&raw mut **how).cast()), ..op },
            None => op,
        })
    }

    fn finish(self, outcome: Outcome) -> Self::Output {
        outcome.result().map(drop)
    }
}

/// Opens a file.
pub struct Open<F>(pub OpenForChain<F>);

impl<F: Descriptor> Operation for Open<F> {
    type Output = io::Result<OwnedFd>;

    fn describe(&mut self) -> Result<Op> {
        self.0.describe()
    }

    fn finish(self, outcome: Outcome) -> Self::Output {
        // SAFETY: the operation has just opened it, and only its event has the number.
        outcome.result().map(|fd| unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
    }
}

/// Closes a descriptor.
pub struct Close(pub OwnedFd);

impl Operation for Close {
    type Output = io::Result<()>;

    fn describe(&mut self) -> Result<Op> {
        Ok(Op { fd: self.0.as_raw_fd(), ..Op::of(Code::Close) })
    }

    fn finish(self, outcome: Outcome) -> Self::Output {
        if outcome.still_open() {
            drop(self.0);
        } else {
            // The number is gone, or a thread closes it in a moment.
            let _ = self.0.into_raw_fd();
        }
        outcome.result().map(drop)
    }
}
