//! An operation with the fields of the C API.

use std::io;

use crate::api::request::Request;
use crate::api::state::{Operation, Outcome};
use crate::error::Result;
use crate::op::Op;
use crate::raw;

/// An operation with the fields of the C API, for what no other request can express. The output is its result, and `owned`,
/// which the operation keeps until it completes: the owner of the memory and of the descriptor. A malformed operation fails
/// with `EINVAL`.
///
/// It takes its options from the methods of [`Request`], and ignores `user_data`, `link`, `full`, `priority` and `timeout_ns` of
/// `fields`. The descriptor that an open yields belongs to the program, which loses it if it drops the output.
///
/// # Safety
/// Until the operation completes, its memory is valid, no other code accesses what the operation writes or writes what it reads,
/// and nothing closes the descriptor. Memory that `owned` owns is on the heap: moving `owned` does not move it.
///
/// # Examples
/// ```
/// use caio::{ops, raw};
/// use std::os::fd::AsRawFd;
///
/// # let ctx = caio::Context::new()?;
/// let file = std::fs::File::open("/etc/passwd")?;
/// let mut buffer = vec![0; 4];
/// let memory = buffer.as_mut_ptr().cast();
/// let read = raw::Request { fd: file.as_raw_fd(), memory, len: 4, ..raw::Request::new(raw::Code::Read) };
/// // SAFETY: the operation keeps the file and the buffer until it completes, and the bytes are on the heap.
/// let request = unsafe { ops::raw(read, (file, buffer)) };
/// let (result, (_file, buffer)) = ctx.block_on(ctx.submit(request));
/// assert_eq!((result?, &buffer[..]), (4, &b"root"[..]));
/// # std::io::Result::Ok(())
/// ```
pub unsafe fn raw<T: Send + 'static>(fields: raw::Request, owned: T) -> Request<(io::Result<u64>, T)> {
    // SAFETY: the caller's promise.
    let op = unsafe { fields.op() }.checked();
    Request::new(Raw { op: op.map(|op| Op { link: false, ..op }), owned })
}

struct Raw<T> {
    op: Result<Op>,
    owned: T,
}

impl<T: Send + 'static> Operation for Raw<T> {
    type Output = (io::Result<u64>, T);

    fn describe(&mut self) -> Result<Op> {
        self.op
    }

    fn finish(self, outcome: Outcome) -> Self::Output {
        (outcome.result(), self.owned)
    }
}
