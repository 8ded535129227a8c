//! The C ABI's constants and structs. Their values and layout never change; `include/caio.h` is made from here.

#![allow(non_camel_case_types)]

use std::ffi::c_void;

/// Major version of this header; `caio_version` gives the library's.
pub const CAIO_VERSION_MAJOR: u32 = 0;
/// Minor version of this header.
pub const CAIO_VERSION_MINOR: u32 = 1;
/// Patch version of this header.
pub const CAIO_VERSION_PATCH: u32 = 0;

/// Backend: the best one that works at this moment (see `CAIO_IMPL` in caio(7)).
pub const CAIO_BACKEND_AUTO: u32 = 0;
/// Backend: io_uring(7).
pub const CAIO_BACKEND_URING: u32 = 1;
/// Backend: Linux kernel AIO, io_submit(2).
pub const CAIO_BACKEND_LINUX: u32 = 2;
/// Backend: worker threads and plain system calls.
pub const CAIO_BACKEND_THREAD: u32 = 3;

/// Does nothing and succeeds. Uses no field; `fd` is ignored.
pub const CAIO_OP_NOP: u8 = 0;
/// pread(2), or read(2) at `CAIO_OFFSET_CURRENT`. Uses `fd buf len offset sys_flags` (`RWF_*`).
pub const CAIO_OP_READ: u8 = 1;
/// pwrite(2), or write(2) at `CAIO_OFFSET_CURRENT`. Uses `fd buf len offset sys_flags` (`RWF_*`).
pub const CAIO_OP_WRITE: u8 = 2;
/// fsync(2). Uses `fd`.
pub const CAIO_OP_FSYNC: u8 = 3;
/// fdatasync(2). Uses `fd`.
pub const CAIO_OP_FDSYNC: u8 = 4;
/// preadv2(2): `buf` is an array of `len` struct iovec. Uses `fd buf len offset sys_flags`.
pub const CAIO_OP_READV: u8 = 5;
/// pwritev2(2): `buf` is an array of `len` struct iovec. Uses `fd buf len offset sys_flags`.
pub const CAIO_OP_WRITEV: u8 = 6;
/// sync_file_range(2). Uses `fd len offset sys_flags` (`SYNC_FILE_RANGE_*`).
pub const CAIO_OP_SYNC_RANGE: u8 = 7;
/// fallocate(2). Uses `fd len offset sys_flags` (`FALLOC_FL_*`).
pub const CAIO_OP_ALLOCATE: u8 = 8;
/// ftruncate(2) to `offset`. Uses `fd offset`.
pub const CAIO_OP_TRUNCATE: u8 = 9;
/// openat(2); the result is the new descriptor. Uses `fd buf` (path) `sys_flags` (`O_*`) `mode`.
pub const CAIO_OP_OPENAT: u8 = 10;
/// close(2). Uses `fd`. `-ECANCELED` means still open; any other result means the number is gone.
pub const CAIO_OP_CLOSE: u8 = 11;
/// statx(2). Uses `fd buf` (path) `sys_flags` (`AT_*`) `mode` (mask) `buf2` (struct statx).
pub const CAIO_OP_STATX: u8 = 12;
/// renameat2(2) within one directory descriptor. Uses `fd buf` (old path) `buf2` (new path) `sys_flags` (`RENAME_*`).
pub const CAIO_OP_RENAMEAT: u8 = 13;
/// unlinkat(2). Uses `fd buf` (path) `sys_flags` (`AT_REMOVEDIR`).
pub const CAIO_OP_UNLINKAT: u8 = 14;
/// mkdirat(2). Uses `fd buf` (path) `mode`.
pub const CAIO_OP_MKDIRAT: u8 = 15;

/// The next operation of this call starts only after this one succeeded in full; else it and the
/// rest of its chain yield `-ECANCELED`.
pub const CAIO_FLAG_LINK: u8 = 1;
/// READ* and WRITE*: finish short transfers inside the library: all of `len`, or end of file.
pub const CAIO_FLAG_FULL: u8 = 2;

/// Promise: one thread makes all submit, poll, wait, cancel and free calls; others get `-EPERM`.
pub const CAIO_CTX_SINGLE_THREAD: u32 = 1;
/// Hint: let io_uring use a kernel submission thread.
pub const CAIO_CTX_SQPOLL: u32 = 2;
/// Never finish an operation inside `caio_ctx_submit`.
pub const CAIO_CTX_NO_INLINE: u32 = 4;

/// Offset: the file's current position (also for pipes, sockets and terminals).
pub const CAIO_OFFSET_CURRENT: u64 = u64::MAX;

/// Options of `caio_ctx_new`: zero it and set `size`, or start from `CAIO_OPTIONS_INIT`.
/// A larger `size` than the library knows is fine while the unknown tail is zero, else `-E2BIG`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct caio_options {
    /// `sizeof(caio_options)`.
    pub size: u32,
    /// `CAIO_BACKEND_*`; AUTO honours the environment's `CAIO_IMPL`. A named backend never falls back.
    pub backend: u32,
    /// Operations accepted and not yet polled, at most; 0 means 512.
    pub max_requests: u32,
    /// Worker threads of this context, at most; 0 means a default.
    pub threads: u32,
    /// `CAIO_CTX_*`.
    pub flags: u32,
    /// Must be 0.
    pub reserved32: u32,
    /// Must be 0.
    pub reserved: [u64; 5],
}

/// One operation: zero it, set what the opcode uses; any other field that is set is `-EINVAL`.
///
/// `fd`, buffers, the iovec array with what it points to, and the statx buffer must stay valid and
/// untouched until the operation's event: they belong to the library until then. The struct itself
/// and path strings are copied by submit.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct caio_op {
    /// Comes back untouched in the event; a counter is safer than an address if you cancel.
    pub user_data: u64,
    /// `CAIO_OP_*`.
    pub opcode: u8,
    /// `CAIO_FLAG_*`.
    pub flags: u8,
    /// An ioprio_set(2) value; 0 is the process's own. A hint.
    pub ioprio: u16,
    /// The file, or the directory of a path (`AT_FDCWD` allowed).
    pub fd: i32,
    /// Memory, struct iovec array (READV, WRITEV), or path.
    pub buf: *mut c_void,
    /// Must be 0.
    #[cfg(target_pointer_width = "32")]
    pub reserved_buf: u32,
    /// Bytes, or number of iovecs; length of the range (SYNC_RANGE, ALLOCATE).
    pub len: u64,
    /// File offset, or `CAIO_OFFSET_CURRENT`; new size (TRUNCATE).
    pub offset: u64,
    /// The system call's: `RWF_*`, `SYNC_FILE_RANGE_*`, `FALLOC_FL_*`, `O_*`, `AT_*`, `RENAME_*`.
    pub sys_flags: u32,
    /// File mode (OPENAT, MKDIRAT), statx mask (STATX).
    pub mode: u32,
    /// 0 for none, else nanoseconds from acceptance (of a linked operation: from its start) after
    /// which it is cancelled with `-ETIMEDOUT`. A disk operation that runs is not interrupted.
    pub timeout_ns: u64,
    /// struct statx * (STATX); new path (RENAMEAT); else NULL.
    pub buf2: *mut c_void,
    /// Must be 0.
    #[cfg(target_pointer_width = "32")]
    pub reserved_buf2: u32,
}

/// What became of one operation. Every accepted operation yields exactly one.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct caio_event {
    /// The operation's.
    pub user_data: u64,
    /// Bytes moved, or 0, or the new descriptor (OPENAT); or a negative errno.
    pub result: i64,
}

/// Counters since the context was made: zero it and set `size`; a smaller one is filled only that far.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct caio_stats {
    /// `sizeof(caio_stats)`; not changed.
    pub size: u32,
    /// Accepted and not yet polled, now.
    pub inflight: u32,
    /// Operations accepted.
    pub submitted: u64,
    /// Operations whose event exists.
    pub completed: u64,
    /// Those of them with `-ECANCELED`.
    pub cancelled: u64,
    /// Finished inside `caio_ctx_submit` without blocking.
    pub done_inline: u64,
    /// Finished by io_uring or kernel AIO.
    pub done_native: u64,
    /// Finished by a library thread.
    pub done_worker: u64,
    /// Sent a second way after the first said it cannot.
    pub retried: u64,
    /// Zero.
    pub reserved: [u64; 8],
}
