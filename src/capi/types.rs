//! Constants and structs of the C ABI. Their values and layout never change. cbindgen generates `include/caio.h` from here.

#![allow(non_camel_case_types)]

use std::ffi::c_void;

/// Major version of this header. `caio_version` returns the version of the library at run time.
/// See caio_version(3).
pub const CAIO_VERSION_MAJOR: u32 = 0;
/// Minor version of this header. See caio_version(3).
pub const CAIO_VERSION_MINOR: u32 = 2;
/// Patch version of this header. See caio_version(3).
pub const CAIO_VERSION_PATCH: u32 = 0;

/// Backend: the best one that is available now. `CAIO_IMPL` and a file can change the choice; see caio(7).
pub const CAIO_BACKEND_AUTO: u32 = 0;
/// Backend: io_uring. See io_uring(7).
pub const CAIO_BACKEND_URING: u32 = 1;
/// Backend: Linux kernel AIO. See io_submit(2).
pub const CAIO_BACKEND_LINUX: u32 = 2;
/// Backend: worker threads and plain system calls. See caio-backends(7).
pub const CAIO_BACKEND_THREAD: u32 = 3;

/// Does nothing and succeeds. Ignores `fd`. Uses no field.
pub const CAIO_OP_NOP: u8 = 0;
/// Reads `len` bytes at most. At `CAIO_OFFSET_CURRENT`, reads at the current position.
///
/// Uses `fd`, `buf`, `len` (bytes), `offset` (bytes), `sys_flags` (`RWF_*`). `buf` must stay valid until the event.
/// Result: the bytes read, 0 at end of file. See preadv2(2) and read(2).
pub const CAIO_OP_READ: u8 = 1;
/// Writes `len` bytes at most. At `CAIO_OFFSET_CURRENT`, writes at the current position.
///
/// Uses `fd`, `buf`, `len` (bytes), `offset` (bytes), `sys_flags` (`RWF_*`). `buf` must stay valid until the event.
/// Result: the bytes written. See pwritev2(2) and write(2).
pub const CAIO_OP_WRITE: u8 = 2;
/// Syncs the data and the metadata of a file. It covers writes that completed before it was submitted.
///
/// Uses `fd`. Result: 0. See fsync(2).
pub const CAIO_OP_FSYNC: u8 = 3;
/// Like `CAIO_OP_FSYNC`, without metadata that is not needed to read the data.
///
/// Uses `fd`. Result: 0. See fdatasync(2).
pub const CAIO_OP_FDSYNC: u8 = 4;
/// Like `CAIO_OP_READ`, into an array of `len` struct iovec at `buf`.
///
/// Uses `fd`, `buf`, `len` (iovecs), `offset` (bytes), `sys_flags` (`RWF_*`).
/// The array and the memory that it points to must stay valid until the event.
/// Result: the bytes read; `-EINVAL` for more than `IOV_MAX` iovecs. See preadv2(2).
pub const CAIO_OP_READV: u8 = 5;
/// Like `CAIO_OP_WRITE`, from an array of `len` struct iovec at `buf`.
///
/// Uses `fd`, `buf`, `len` (iovecs), `offset` (bytes), `sys_flags` (`RWF_*`).
/// The array and the memory that it points to must stay valid until the event.
/// Result: the bytes written; `-EINVAL` for more than `IOV_MAX` iovecs. See pwritev2(2).
pub const CAIO_OP_WRITEV: u8 = 6;
/// Syncs a range of a file.
///
/// Uses `fd`, `len` (bytes), `offset` (bytes), `sys_flags` (`SYNC_FILE_RANGE_*`). Result: 0. See sync_file_range(2).
pub const CAIO_OP_SYNC_RANGE: u8 = 7;
/// Allocates or changes the space of a range of a file.
///
/// Uses `fd`, `len` (bytes), `offset` (bytes), `sys_flags` (`FALLOC_FL_*`). Result: 0. See fallocate(2).
pub const CAIO_OP_ALLOCATE: u8 = 8;
/// Changes the size of a file to `offset`.
///
/// Uses `fd`, `offset` (bytes). Result: 0. See ftruncate(2).
pub const CAIO_OP_TRUNCATE: u8 = 9;
/// Opens a file.
///
/// Uses `fd` (directory), `buf` (path, copied by submit), `sys_flags` (`O_*`), `mode` (permissions of a new file).
/// Result: the new descriptor, which belongs to the caller. See openat(2).
pub const CAIO_OP_OPENAT: u8 = 10;
/// Closes a descriptor.
///
/// Uses `fd`. Result: 0. After `-ECANCELED`, `fd` is still open. After any other result, it is closed. See close(2).
pub const CAIO_OP_CLOSE: u8 = 11;
/// Gets the status of a file.
///
/// Uses `fd` (directory), `buf` (path, copied by submit), `sys_flags` (`AT_*`), `mode` (`STATX_*` mask),
/// `buf2` (struct statx, must stay valid until the event). Result: 0. See statx(2).
pub const CAIO_OP_STATX: u8 = 12;
/// Renames a file.
///
/// Uses `fd` (directory), `buf` (old path), `buf2` (new path), `sys_flags` (`RENAME_*`); with `CAIO_FLAG_DIR2` also `offset`
/// (directory of the new path). Submit copies both paths. Result: 0. See renameat2(2).
pub const CAIO_OP_RENAMEAT: u8 = 13;
/// Removes a file, or with `AT_REMOVEDIR` a directory.
///
/// Uses `fd` (directory), `buf` (path, copied by submit), `sys_flags` (0 or `AT_REMOVEDIR`). Result: 0. See unlinkat(2).
pub const CAIO_OP_UNLINKAT: u8 = 14;
/// Creates a directory.
///
/// Uses `fd` (directory), `buf` (path, copied by submit), `mode` (permissions). Result: 0. See mkdirat(2).
pub const CAIO_OP_MKDIRAT: u8 = 15;
/// Reads the text of a symbolic link.
///
/// Uses `fd` (directory), `buf` (path, copied by submit), `buf2` (room for the text), `len` (bytes of room).
/// `buf2` must stay valid until the event. Result: the length of the text, which has no null byte. See readlinkat(2).
pub const CAIO_OP_READLINKAT: u8 = 16;
/// Creates a symbolic link.
///
/// Uses `fd` (directory), `buf2` (path of the link), `buf` (text of the link). Submit copies both strings.
/// Result: 0. See symlinkat(2).
pub const CAIO_OP_SYMLINKAT: u8 = 17;
/// Creates a hard link.
///
/// Uses `fd` (directory), `buf` (old path), `buf2` (new path), `sys_flags` (`AT_*`); with `CAIO_FLAG_DIR2` also `offset`
/// (directory of the new path). Submit copies both paths. Result: 0. See linkat(2).
pub const CAIO_OP_LINKAT: u8 = 18;
/// Reads entries of a directory, as records of struct linux_dirent64.
///
/// Uses `fd`, `buf`, `len` (bytes). `buf` must stay valid until the event.
/// Result: the bytes read, 0 at the end of the directory. See getdents64(2).
pub const CAIO_OP_GETDENTS: u8 = 19;
/// Copies `len` bytes at most from one file to another. Where the kernel cannot, the library reads and writes.
///
/// Uses `fd` (source), `offset` (in the source, or `CAIO_OFFSET_CURRENT`), `len` (bytes), `mode` (destination descriptor),
/// `buf2` (uint64_t with the offset in the destination, read by submit; NULL means its current position).
/// Result: the bytes copied, 0 at the end of the source. See copy_file_range(2).
pub const CAIO_OP_COPY_RANGE: u8 = 20;
/// Sends `len` bytes at most from a file to a socket, a pipe or a file.
///
/// Uses `fd` (source), `offset` (in the source, or `CAIO_OFFSET_CURRENT`), `len` (bytes), `mode` (destination descriptor).
/// It waits for the destination as `CAIO_OP_WRITE` does. Result: the bytes sent, 0 at the end of the source. See sendfile(2).
pub const CAIO_OP_SENDFILE: u8 = 21;
/// Moves `len` bytes at most between two descriptors, one of which is a pipe.
///
/// Uses the fields of `CAIO_OP_COPY_RANGE`, and `sys_flags` (`SPLICE_F_*`). Result: the bytes moved. See splice(2).
pub const CAIO_OP_SPLICE: u8 = 22;
/// Announces how a range of a file will be used.
///
/// Uses `fd`, `offset` (bytes), `len` (bytes), `sys_flags` (`POSIX_FADV_*`). Result: 0. See posix_fadvise(2).
pub const CAIO_OP_FADVISE: u8 = 23;
/// Changes the current position of a file.
///
/// Uses `fd`, `offset` (bytes), `sys_flags` (`SEEK_*`). Result: the new position. See lseek(2).
pub const CAIO_OP_SEEK: u8 = 24;
/// Changes the permissions of a file.
///
/// Uses `fd` (directory), `buf` (path, copied by submit), `mode` (permissions), `sys_flags` (`AT_SYMLINK_NOFOLLOW`,
/// `AT_EMPTY_PATH`). Result: 0. See fchmodat(2).
pub const CAIO_OP_FCHMODAT: u8 = 25;
/// Changes the owner and the group of a file.
///
/// Uses `fd` (directory), `buf` (path, copied by submit), `mode` (user), `len` (group), `sys_flags` (`AT_*`).
/// A user or group of 2^32 - 1 does not change. Result: 0. See fchownat(2).
pub const CAIO_OP_FCHOWNAT: u8 = 26;
/// Changes the times of a file.
///
/// Uses `fd` (directory), `buf` (path, copied by submit), `buf2` (two struct timespec, read by submit; NULL means now),
/// `sys_flags` (`AT_*`). Result: 0. See utimensat(2).
pub const CAIO_OP_UTIMENSAT: u8 = 27;
/// Checks the permissions of the process for a file.
///
/// Uses `fd` (directory), `buf` (path, copied by submit), `mode` (`R_OK`, ...), `sys_flags` (`AT_*`).
/// Result: 0. See faccessat2(2).
pub const CAIO_OP_FACCESSAT: u8 = 28;
/// Reads an extended attribute of a file.
///
/// Uses `fd`, `buf` (name, copied by submit), `buf2` (room for the value), `len` (bytes of room).
/// `buf2` must stay valid until the event. Result: the length of the value. See fgetxattr(2).
pub const CAIO_OP_FGETXATTR: u8 = 29;
/// Sets an extended attribute of a file.
///
/// Uses `fd`, `buf` (name, copied by submit), `buf2` (value), `len` (bytes), `sys_flags` (`XATTR_*`).
/// `buf2` must stay valid until the event. Result: 0. See fsetxattr(2).
pub const CAIO_OP_FSETXATTR: u8 = 30;
/// Lists the names of the extended attributes of a file.
///
/// Uses `fd`, `buf2` (room for the names), `len` (bytes of room). `buf2` must stay valid until the event.
/// Result: the length of the list. See flistxattr(2).
pub const CAIO_OP_FLISTXATTR: u8 = 31;
/// Removes an extended attribute of a file.
///
/// Uses `fd`, `buf` (name, copied by submit). Result: 0. See fremovexattr(2).
pub const CAIO_OP_FREMOVEXATTR: u8 = 32;
/// Opens a file as struct open_how says.
///
/// Uses `fd` (directory), `buf` (path, copied by submit), `buf2` (struct open_how, read by submit), `len` (its size).
/// Result: the new descriptor, which belongs to the caller. See openat2(2).
pub const CAIO_OP_OPENAT2: u8 = 33;
/// Syncs the file system of a file.
///
/// Uses `fd`. Result: 0. See syncfs(2).
pub const CAIO_OP_SYNCFS: u8 = 34;
/// Creates a device, a FIFO, a socket or a regular file.
///
/// Uses `fd` (directory), `buf` (path, copied by submit), `mode` (type and permissions), `offset` (device number).
/// Result: 0. See mknodat(2).
pub const CAIO_OP_MKNODAT: u8 = 35;
/// Gets the status of the file system of a file.
///
/// Uses `fd`, `buf2` (struct statfs, must stay valid until the event). Result: 0. See fstatfs(2).
pub const CAIO_OP_FSTATFS: u8 = 36;

/// Operation flag: the next operation of this call starts only after this one has succeeded in full.
/// Otherwise the rest of the chain yields `-ECANCELED`. See caio_ctx_submit(3).
pub const CAIO_FLAG_LINK: u8 = 1;
/// Operation flag of READ, WRITE, READV, WRITEV, COPY_RANGE, SENDFILE and SPLICE: continue after a short transfer.
/// The operation completes when all of `len` has been moved, or at end of file. See caio_ctx_submit(3).
pub const CAIO_FLAG_FULL: u8 = 2;
/// Operation flag of RENAMEAT and LINKAT: `offset` is the directory of the second path, an int. `AT_FDCWD` is allowed.
/// Without the flag, both paths have the directory `fd`. See caio_ctx_submit(3).
pub const CAIO_FLAG_DIR2: u8 = 4;

/// As `fd` of an operation in a chain: the descriptor that the nearest OPENAT or OPENAT2 before it in the chain opened.
/// Also as `mode` of COPY_RANGE, SENDFILE and SPLICE, and as `offset` with `CAIO_FLAG_DIR2`. See caio_ctx_submit(3).
pub const CAIO_FD_OPENED: i32 = -2;

/// Context flag, a promise: one thread makes all calls of submit, poll, wait, cancel and free.
/// Other threads get `-EPERM`. See caio_ctx_new(3).
pub const CAIO_CTX_SINGLE_THREAD: u32 = 1;
/// Context flag, a hint: io_uring may use a kernel thread for submissions. See caio_ctx_new(3).
pub const CAIO_CTX_SQPOLL: u32 = 2;
/// Context flag: the library never completes an operation inside `caio_ctx_submit`. See caio_ctx_new(3).
pub const CAIO_CTX_NO_INLINE: u32 = 4;
/// Context flag, a hint: each operation takes its fastest path, even if the named backend supports it.
/// AUTO implies it. See caio_ctx_new(3).
pub const CAIO_CTX_FASTEST_PATH: u32 = 65536;

/// Offset: the current position of the file. Use it for pipes, sockets and terminals. See caio_ctx_submit(3).
pub const CAIO_OFFSET_CURRENT: u64 = u64::MAX;

/// Options of `caio_ctx_new`. Zero it and set `size`, or start from `CAIO_OPTIONS_INIT`.
///
/// Ownership: the caller's; `caio_ctx_new` copies it.
/// Errors: `-EINVAL` if `size` is too small, `-E2BIG` if it is larger and a byte of the unknown tail is not 0.
/// See caio_ctx_new(3).
#[derive(Clone, Copy)]
#[repr(C)]
pub struct caio_options {
    /// `sizeof(caio_options)`, in bytes.
    pub size: u32,
    /// `CAIO_BACKEND_*`. A named backend never falls back. AUTO chooses as caio(7) describes.
    pub backend: u32,
    /// Limit of operations that are accepted and whose events are not yet taken; 0 means 512.
    pub max_requests: u32,
    /// Limit of worker threads; 0 means 32.
    pub threads: u32,
    /// 0, or a combination of `CAIO_CTX_*`.
    pub flags: u32,
    /// Must be 0.
    pub reserved32: u32,
    /// Must be 0.
    pub reserved: [u64; 5],
}

/// One operation. Zero it, then set the fields that the opcode uses.
///
/// Ownership: submit copies the struct and the path strings. These must stay valid and unchanged until the event: `fd`,
/// the buffers, the iovec array and the memory that it points to, and other memory that the system call fills.
/// Errors: submit fails with `-EINVAL` if a field is set that the opcode does not use.
/// See caio_ctx_submit(3).
#[derive(Clone, Copy)]
#[repr(C)]
pub struct caio_op {
    /// Returned unchanged in the event. If you cancel, use a counter rather than an address; see caio_ctx_cancel(3).
    pub user_data: u64,
    /// `CAIO_OP_*`.
    pub opcode: u8,
    /// 0, or a combination of `CAIO_FLAG_*`.
    pub flags: u8,
    /// A hint: a value of ioprio_set(2), or 0 for the priority of the process.
    pub ioprio: u16,
    /// The file, or the directory of a path. `AT_FDCWD` means the working directory; see openat(2).
    pub fd: i32,
    /// Memory, an array of struct iovec (READV, WRITEV), a path, or the name of an extended attribute.
    pub buf: *mut c_void,
    /// Must be 0.
    #[cfg(target_pointer_width = "32")]
    pub reserved_buf: u32,
    /// Bytes, the number of iovecs (READV, WRITEV), or a group (FCHOWNAT).
    pub len: u64,
    /// Bytes from the start of the file, or `CAIO_OFFSET_CURRENT`. The new size (TRUNCATE), a device
    /// number (MKNODAT), or a directory (`CAIO_FLAG_DIR2`).
    pub offset: u64,
    /// Flags of the system call: `RWF_*`, `SYNC_FILE_RANGE_*`, `FALLOC_FL_*`, `O_*`, `AT_*`, `RENAME_*`,
    /// `SPLICE_F_*`, `POSIX_FADV_*`, `SEEK_*`, `XATTR_*`.
    pub sys_flags: u32,
    /// Permissions, the statx mask (STATX), a user (FCHOWNAT), or the destination (COPY_RANGE, SENDFILE, SPLICE).
    pub mode: u32,
    /// Nanoseconds from acceptance, or from the start of a linked operation; 0 means none.
    /// The library then cancels the operation, with the result `-ETIMEDOUT` if that stops it.
    /// A running disk operation is not interrupted.
    pub timeout_ns: u64,
    /// A second path, or other memory of the system call: struct statx (STATX), a value (FSETXATTR), ...
    pub buf2: *mut c_void,
    /// Must be 0.
    #[cfg(target_pointer_width = "32")]
    pub reserved_buf2: u32,
}

/// The completion of one operation. Every accepted operation yields exactly one event.
///
/// Ownership: the caller's. When you take the event, the memory and the descriptor of the operation are yours again.
/// See caio_ctx_poll(3).
#[derive(Clone, Copy)]
#[repr(C)]
pub struct caio_event {
    /// The `user_data` of the operation.
    pub user_data: u64,
    /// Bytes moved, 0, or the new descriptor (OPENAT, OPENAT2). On failure, a negative errno.
    pub result: i64,
}

/// Counters of a context, from its creation. Zero it and set `size`.
///
/// Ownership: the caller's. `caio_ctx_stats` writes at most `size` bytes.
/// Units: operations. See caio_ctx_stats(3).
#[derive(Clone, Copy)]
#[repr(C)]
pub struct caio_stats {
    /// `sizeof(caio_stats)`, in bytes. The library does not change it.
    pub size: u32,
    /// Operations accepted whose events are not yet taken.
    pub inflight: u32,
    /// Operations accepted.
    pub submitted: u64,
    /// Operations completed.
    pub completed: u64,
    /// Operations completed with `-ECANCELED`.
    pub cancelled: u64,
    /// Operations completed inside `caio_ctx_submit`.
    pub done_inline: u64,
    /// Operations completed by io_uring or kernel AIO.
    pub done_native: u64,
    /// Operations completed by a thread of the library.
    pub done_worker: u64,
    /// Operations retried on another path, because they could not complete without blocking on the first one.
    pub retried: u64,
    /// The library writes 0.
    pub reserved: [u64; 8],
}

/// A part of memory, for READV and WRITEV: what other systems call struct iovec.
#[cfg(windows)]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct caio_iovec {
    /// The memory.
    pub iov_base: *mut c_void,
    /// Its length in bytes.
    pub iov_len: usize,
}

/// A time of `caio_statx`.
#[cfg(windows)]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct caio_statx_timestamp {
    /// Seconds since 1970.
    pub tv_sec: i64,
    /// And nanoseconds, less than a second.
    pub tv_nsec: u32,
    /// The library writes 0.
    pub reserved: i32,
}

/// What STATX tells about a file, laid out as the struct statx of Linux.
#[cfg(windows)]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct caio_statx {
    /// Which fields are filled: the `STATX_*` of Linux.
    pub stx_mask: u32,
    /// The preferred size of a transfer, in bytes.
    pub stx_blksize: u32,
    /// STATX_ATTR_COMPRESSED (4) and STATX_ATTR_ENCRYPTED (0x800).
    pub stx_attributes: u64,
    /// The number of names.
    pub stx_nlink: u32,
    /// 0.
    pub stx_uid: u32,
    /// 0.
    pub stx_gid: u32,
    /// The type and the permissions, as in struct stat.
    pub stx_mode: u16,
    /// The library writes 0.
    pub reserved16: u16,
    /// The file's number on its volume.
    pub stx_ino: u64,
    /// The size in bytes.
    pub stx_size: u64,
    /// What is reserved for it, in blocks of 512 bytes.
    pub stx_blocks: u64,
    /// The bits of `stx_attributes` that are filled.
    pub stx_attributes_mask: u64,
    /// Last access.
    pub stx_atime: caio_statx_timestamp,
    /// Creation.
    pub stx_btime: caio_statx_timestamp,
    /// Last change of the file or its attributes.
    pub stx_ctime: caio_statx_timestamp,
    /// Last write.
    pub stx_mtime: caio_statx_timestamp,
    /// 0.
    pub stx_rdev_major: u32,
    /// 0.
    pub stx_rdev_minor: u32,
    /// 0.
    pub stx_dev_major: u32,
    /// The serial number of the volume.
    pub stx_dev_minor: u32,
    /// The library writes 0.
    pub reserved: [u64; 14],
}

/// What FSTATFS tells about a file system, laid out as the struct statfs of Linux on 64-bit processors.
#[cfg(windows)]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct caio_statfs {
    /// The first four letters of its name as a number. For NTFS, this is the number that Linux has.
    pub f_type: i64,
    /// The size of a cluster in bytes.
    pub f_bsize: i64,
    /// The size of the file system in clusters.
    pub f_blocks: u64,
    /// Free clusters.
    pub f_bfree: u64,
    /// Free clusters that the user may have.
    pub f_bavail: u64,
    /// 0: there is no such limit.
    pub f_files: u64,
    /// 0.
    pub f_ffree: u64,
    /// The serial number of the volume, and 0.
    pub f_fsid: [i32; 2],
    /// The longest name, in UTF-16 units.
    pub f_namelen: i64,
    /// The size of a cluster in bytes.
    pub f_frsize: i64,
    /// ST_RDONLY (1), or 0.
    pub f_flags: i64,
    /// The library writes 0.
    pub reserved: [i64; 4],
}
