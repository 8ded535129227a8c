//! Operations that are not submitted yet, as the caller describes them.

use std::ffi::c_void;
use std::ptr::null_mut;

use crate::context::{Memory, Source};
use crate::error::Result;
use crate::op::{self, Code, Op, Role, SimpleTransfer};

/// The offset of a read or write at the file's current position, which pipes and sockets need.
///
/// # Examples
/// ```
/// use caio::raw::{CURRENT, Code, Request};
/// let from_a_pipe = Request { fd: 0, offset: CURRENT, ..Request::new(Code::Read) };
/// ```
pub const CURRENT: u64 = op::CURRENT;

/// One operation, as `struct caio_op` describes it. The fields that an operation does not use are zero; else it fails with
/// `EINVAL`.
///
/// # Examples
/// ```
/// use caio::raw::{Code, Request};
/// let sync = Request { user_data: 1, fd: 3, ..Request::new(Code::Fsync) };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The caller's number for the operation, which its completion has.
    pub user_data: u64,
    /// What to do.
    pub code: Code,
    /// The next request of the same submit starts only after this one has succeeded in full.
    pub link: bool,
    /// Goes on after a short transfer.
    pub full: bool,
    /// `offset` is the directory of the second path.
    pub dir2: bool,
    /// The I/O priority, as ioprio_set(2) numbers it. A hint.
    pub priority: u16,
    /// The descriptor, on Windows a HANDLE or a SOCKET: of a file, or of the directory of a path.
    pub fd: i32,
    /// The buffer, the [`IoVec`](super::IoVec)s, or the path.
    pub memory: *mut c_void,
    /// The length of the buffer in bytes, or how many parts there are.
    pub len: u64,
    /// The position in the file, or [`CURRENT`].
    pub offset: u64,
    /// Flags of the system call.
    pub flags: u32,
    /// The mode of a new file, a mask, or another descriptor.
    pub mode: u32,
    /// When to give up; 0 means never.
    pub timeout_ns: u64,
    /// The second buffer or path.
    pub memory2: *mut c_void,
}

impl Request {
    /// A request whose other fields are zero.
    ///
    /// # Examples
    /// ```
    /// use caio::raw::{Code, Request};
    /// let nothing = Request::new(Code::Nop);
    /// ```
    pub const fn new(code: Code) -> Self {
        Self {
            user_data: 0,
            code,
            link: false,
            full: false,
            dir2: false,
            priority: 0,
            fd: 0,
            memory: null_mut(),
            len: 0,
            offset: 0,
            flags: 0,
            mode: 0,
            timeout_ns: 0,
            memory2: null_mut(),
        }
    }

    /// The operation, which may be malformed.
    ///
    /// # Safety
    /// As [`Requests::new`].
    #[inline(always)]
    pub(crate) unsafe fn op(&self) -> Op {
        let Self {
            user_data,
            code,
            link,
            full,
            dir2,
            priority,
            fd,
            memory,
            len,
            offset,
            flags,
            mode,
            timeout_ns,
            memory2,
        } = *self;
        Op {
            user_data,
            code,
            link,
            full,
            dir2,
            ioprio: priority,
            fd,
            // SAFETY: the caller's promise is Memory's.
            buf: unsafe { Memory::new(memory) },
            len,
            offset,
            sys_flags: flags,
            mode,
            timeout_ns,
            // SAFETY: as above.
            buf2: unsafe { Memory::new(memory2) },
            direct: false,
            storage: false,
            cached: false,
            brief: false,
            role: Role::None,
        }
    }
}

/// The requests of one submit.
pub struct Requests<'a>(&'a [Request]);

impl<'a> Requests<'a> {
    /// # Safety
    /// Their memory is valid and untouched until their completions.
    pub unsafe fn new(requests: &'a [Request]) -> Self {
        Self(requests)
    }
}

impl Source for Requests<'_> {
    fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    #[inline(always)]
    fn get(&self, index: u32) -> Result<Op> {
        // SAFETY: the promise of `new`.
        unsafe { self.0[index as usize].op() }.checked()
    }

    #[inline(always)]
    fn simple(&self, index: u32) -> Option<SimpleTransfer> {
        // SAFETY: the promise of `new`.
        unsafe { self.0[index as usize].op() }.simple()
    }
}
