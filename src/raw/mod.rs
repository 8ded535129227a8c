//! The unsafe layer below the safe API, for bindings of other languages: requests that borrow memory, and completions.
//!
//! It works on each system. A request names memory by its address, and the caller keeps that memory in place until the
//! completion. Nothing is allocated for an operation. Programs in Rust should use [`ops`](crate::ops) instead.
//!
//! ```
//! use caio::raw::{Code, Completion, Context, Options, Request};
//! use std::mem::MaybeUninit;
//! # #[cfg(unix)] {
//! # use std::os::fd::AsRawFd;
//!
//! let file = std::fs::File::open("/etc/passwd").unwrap();
//! let mut buffer = vec![0u8; 4096];
//!
//! let ctx = Context::new(Options::default())?;
//! let read = Request {
//!     user_data: 7,
//!     fd: file.as_raw_fd(),
//!     memory: buffer.as_mut_ptr().cast(),
//!     len: buffer.len() as u64,
//!     ..Request::new(Code::Read)
//! };
//! // SAFETY: the buffer and the file stay in place until the completion below.
//! unsafe { ctx.submit(&[read])? };
//! let mut room = [const { MaybeUninit::uninit() }; 8];
//! let completions = ctx.wait(&mut room, 1, None)?;
//! assert_eq!(completions[0].user_data, 7);
//! let count = completions[0].result()?;
//! println!("{}", String::from_utf8_lossy(&buffer[..count as usize]));
//! # }
//! # Ok::<(), caio::raw::Errno>(())
//! ```
//!
//! # Differences from the C API
//!
//! The calls, the fields and the errors are those of the C API, whose manual pages describe them: caio_op(3),
//! caio_ctx_submit(3) and so on. These have another form:
//! - An error is an [`Errno`], not a negative number. A result of a [`Completion`] is one as in C.
//! - [`Context`] is freed when it is dropped.
//! - The flags `CAIO_FLAG_*` are fields of [`Request`].

mod context;
mod request;

/// The current directory, as the directory of a path.
///
/// # Examples
/// ```
/// use caio::raw::{AT_FDCWD, Code, Request};
/// let open = Request { fd: AT_FDCWD, memory: c"file".as_ptr().cast_mut().cast(), ..Request::new(Code::Openat) };
/// ```
pub use crate::context::AT_FDCWD;
/// A part of the memory of `READV` and `WRITEV`.
///
/// # Examples
/// ```
/// use caio::raw::{Code, IoVec, Request};
/// let (mut head, mut rest) = ([0u8; 16], [0u8; 4096]);
/// let mut parts = [
///     IoVec { iov_base: head.as_mut_ptr().cast(), iov_len: 16 },
///     IoVec { iov_base: rest.as_mut_ptr().cast(), iov_len: 4096 },
/// ];
/// let read = Request { fd: 3, memory: parts.as_mut_ptr().cast(), len: 2, ..Request::new(Code::Readv) };
/// ```
pub use crate::context::IoVec;
pub use crate::context::Options;
pub use crate::error::Errno;
pub use crate::op::{Code, OPENED};
pub use context::{Completion, Context};
pub use request::{CURRENT, Request};
