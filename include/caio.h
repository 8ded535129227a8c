/* caio.h - asynchronous file I/O for every event loop
 * SPDX-License-Identifier: Apache-2.0
 *
 * `make header` generates this file from src/capi; do not edit it.
 * Every int function returns a value >= 0 on success and a negative errno on failure. It does not set errno.
 * Read caio(7) first. caio-promises(7) lists what programs may rely on. */

#ifndef CAIO_H
#define CAIO_H

#include <stddef.h>
#include <stdint.h>

#if UINTPTR_MAX == 0xffffffffu
#define CAIO_POINTER_32 1
#endif

/* All options with their defaults: caio_options options = CAIO_OPTIONS_INIT; See caio_ctx_new(3). */
#define CAIO_OPTIONS_INIT { sizeof(caio_options), 0, 0, 0, 0, 0, { 0 } }

/**
 * Major version of this header. `caio_version` returns the version of the library at run time.
 * See caio_version(3).
 */
#define CAIO_VERSION_MAJOR 0

/**
 * Minor version of this header. See caio_version(3).
 */
#define CAIO_VERSION_MINOR 2

/**
 * Patch version of this header. See caio_version(3).
 */
#define CAIO_VERSION_PATCH 0

/**
 * Backend: the best one that is available now. `CAIO_IMPL` and a file can change the choice; see caio(7).
 */
#define CAIO_BACKEND_AUTO 0

/**
 * Backend: io_uring. See io_uring(7).
 */
#define CAIO_BACKEND_URING 1

/**
 * Backend: Linux kernel AIO. See io_submit(2).
 */
#define CAIO_BACKEND_LINUX 2

/**
 * Backend: worker threads and plain system calls. See caio-backends(7).
 */
#define CAIO_BACKEND_THREAD 3

/**
 * Does nothing and succeeds. Ignores `fd`. Uses no field.
 */
#define CAIO_OP_NOP 0

/**
 * Reads `len` bytes at most. At `CAIO_OFFSET_CURRENT`, reads at the current position.
 *
 * Uses `fd`, `buf`, `len` (bytes), `offset` (bytes), `sys_flags` (`RWF_*`). `buf` must stay valid until the event.
 * Result: the bytes read, 0 at end of file. See preadv2(2) and read(2).
 */
#define CAIO_OP_READ 1

/**
 * Writes `len` bytes at most. At `CAIO_OFFSET_CURRENT`, writes at the current position.
 *
 * Uses `fd`, `buf`, `len` (bytes), `offset` (bytes), `sys_flags` (`RWF_*`). `buf` must stay valid until the event.
 * Result: the bytes written. See pwritev2(2) and write(2).
 */
#define CAIO_OP_WRITE 2

/**
 * Syncs the data and the metadata of a file. It covers writes that completed before it was submitted.
 *
 * Uses `fd`. Result: 0. See fsync(2).
 */
#define CAIO_OP_FSYNC 3

/**
 * Like `CAIO_OP_FSYNC`, without metadata that is not needed to read the data.
 *
 * Uses `fd`. Result: 0. See fdatasync(2).
 */
#define CAIO_OP_FDSYNC 4

/**
 * Like `CAIO_OP_READ`, into an array of `len` struct iovec at `buf`.
 *
 * Uses `fd`, `buf`, `len` (iovecs), `offset` (bytes), `sys_flags` (`RWF_*`).
 * The array and the memory that it points to must stay valid until the event.
 * Result: the bytes read; `-EINVAL` for more than `IOV_MAX` iovecs. See preadv2(2).
 */
#define CAIO_OP_READV 5

/**
 * Like `CAIO_OP_WRITE`, from an array of `len` struct iovec at `buf`.
 *
 * Uses `fd`, `buf`, `len` (iovecs), `offset` (bytes), `sys_flags` (`RWF_*`).
 * The array and the memory that it points to must stay valid until the event.
 * Result: the bytes written; `-EINVAL` for more than `IOV_MAX` iovecs. See pwritev2(2).
 */
#define CAIO_OP_WRITEV 6

/**
 * Syncs a range of a file.
 *
 * Uses `fd`, `len` (bytes), `offset` (bytes), `sys_flags` (`SYNC_FILE_RANGE_*`). Result: 0. See sync_file_range(2).
 */
#define CAIO_OP_SYNC_RANGE 7

/**
 * Allocates or changes the space of a range of a file.
 *
 * Uses `fd`, `len` (bytes), `offset` (bytes), `sys_flags` (`FALLOC_FL_*`). Result: 0. See fallocate(2).
 */
#define CAIO_OP_ALLOCATE 8

/**
 * Changes the size of a file to `offset`.
 *
 * Uses `fd`, `offset` (bytes). Result: 0. See ftruncate(2).
 */
#define CAIO_OP_TRUNCATE 9

/**
 * Opens a file.
 *
 * Uses `fd` (directory), `buf` (path, copied by submit), `sys_flags` (`O_*`), `mode` (permissions of a new file).
 * Result: the new descriptor, which belongs to the caller. See openat(2).
 */
#define CAIO_OP_OPENAT 10

/**
 * Closes a descriptor.
 *
 * Uses `fd`. Result: 0. After `-ECANCELED`, `fd` is still open. After any other result, it is closed. See close(2).
 */
#define CAIO_OP_CLOSE 11

/**
 * Gets the status of a file.
 *
 * Uses `fd` (directory), `buf` (path, copied by submit), `sys_flags` (`AT_*`), `mode` (`STATX_*` mask),
 * `buf2` (struct statx, must stay valid until the event). Result: 0. See statx(2).
 */
#define CAIO_OP_STATX 12

/**
 * Renames a file.
 *
 * Uses `fd` (directory), `buf` (old path), `buf2` (new path), `sys_flags` (`RENAME_*`); with `CAIO_FLAG_DIR2` also `offset`
 * (directory of the new path). Submit copies both paths. Result: 0. See renameat2(2).
 */
#define CAIO_OP_RENAMEAT 13

/**
 * Removes a file, or with `AT_REMOVEDIR` a directory.
 *
 * Uses `fd` (directory), `buf` (path, copied by submit), `sys_flags` (0 or `AT_REMOVEDIR`). Result: 0. See unlinkat(2).
 */
#define CAIO_OP_UNLINKAT 14

/**
 * Creates a directory.
 *
 * Uses `fd` (directory), `buf` (path, copied by submit), `mode` (permissions). Result: 0. See mkdirat(2).
 */
#define CAIO_OP_MKDIRAT 15

/**
 * Reads the text of a symbolic link.
 *
 * Uses `fd` (directory), `buf` (path, copied by submit), `buf2` (room for the text), `len` (bytes of room).
 * `buf2` must stay valid until the event. Result: the length of the text, which has no null byte. See readlinkat(2).
 */
#define CAIO_OP_READLINKAT 16

/**
 * Creates a symbolic link.
 *
 * Uses `fd` (directory), `buf2` (path of the link), `buf` (text of the link). Submit copies both strings.
 * Result: 0. See symlinkat(2).
 */
#define CAIO_OP_SYMLINKAT 17

/**
 * Creates a hard link.
 *
 * Uses `fd` (directory), `buf` (old path), `buf2` (new path), `sys_flags` (`AT_*`); with `CAIO_FLAG_DIR2` also `offset`
 * (directory of the new path). Submit copies both paths. Result: 0. See linkat(2).
 */
#define CAIO_OP_LINKAT 18

/**
 * Reads entries of a directory, as records of struct linux_dirent64.
 *
 * Uses `fd`, `buf`, `len` (bytes). `buf` must stay valid until the event.
 * Result: the bytes read, 0 at the end of the directory. See getdents64(2).
 */
#define CAIO_OP_GETDENTS 19

/**
 * Copies `len` bytes at most from one file to another. Where the kernel cannot, the library reads and writes.
 *
 * Uses `fd` (source), `offset` (in the source, or `CAIO_OFFSET_CURRENT`), `len` (bytes), `mode` (destination descriptor),
 * `buf2` (uint64_t with the offset in the destination, read by submit; NULL means its current position).
 * Result: the bytes copied, 0 at the end of the source. See copy_file_range(2).
 */
#define CAIO_OP_COPY_RANGE 20

/**
 * Sends `len` bytes at most from a file to a socket, a pipe or a file.
 *
 * Uses `fd` (source), `offset` (in the source, or `CAIO_OFFSET_CURRENT`), `len` (bytes), `mode` (destination descriptor).
 * It waits for the destination as `CAIO_OP_WRITE` does. Result: the bytes sent, 0 at the end of the source. See sendfile(2).
 */
#define CAIO_OP_SENDFILE 21

/**
 * Moves `len` bytes at most between two descriptors, one of which is a pipe.
 *
 * Uses the fields of `CAIO_OP_COPY_RANGE`, and `sys_flags` (`SPLICE_F_*`). Result: the bytes moved. See splice(2).
 */
#define CAIO_OP_SPLICE 22

/**
 * Announces how a range of a file will be used.
 *
 * Uses `fd`, `offset` (bytes), `len` (bytes), `sys_flags` (`POSIX_FADV_*`). Result: 0. See posix_fadvise(2).
 */
#define CAIO_OP_FADVISE 23

/**
 * Changes the current position of a file.
 *
 * Uses `fd`, `offset` (bytes), `sys_flags` (`SEEK_*`). Result: the new position. See lseek(2).
 */
#define CAIO_OP_SEEK 24

/**
 * Changes the permissions of a file.
 *
 * Uses `fd` (directory), `buf` (path, copied by submit), `mode` (permissions), `sys_flags` (`AT_SYMLINK_NOFOLLOW`,
 * `AT_EMPTY_PATH`). Result: 0. See fchmodat(2).
 */
#define CAIO_OP_FCHMODAT 25

/**
 * Changes the owner and the group of a file.
 *
 * Uses `fd` (directory), `buf` (path, copied by submit), `mode` (user), `len` (group), `sys_flags` (`AT_*`).
 * A user or group of 2^32 - 1 does not change. Result: 0. See fchownat(2).
 */
#define CAIO_OP_FCHOWNAT 26

/**
 * Changes the times of a file.
 *
 * Uses `fd` (directory), `buf` (path, copied by submit), `buf2` (two struct timespec, read by submit; NULL means now),
 * `sys_flags` (`AT_*`). Result: 0. See utimensat(2).
 */
#define CAIO_OP_UTIMENSAT 27

/**
 * Checks the permissions of the process for a file.
 *
 * Uses `fd` (directory), `buf` (path, copied by submit), `mode` (`R_OK`, ...), `sys_flags` (`AT_*`).
 * Result: 0. See faccessat2(2).
 */
#define CAIO_OP_FACCESSAT 28

/**
 * Reads an extended attribute of a file.
 *
 * Uses `fd`, `buf` (name, copied by submit), `buf2` (room for the value), `len` (bytes of room).
 * `buf2` must stay valid until the event. Result: the length of the value. See fgetxattr(2).
 */
#define CAIO_OP_FGETXATTR 29

/**
 * Sets an extended attribute of a file.
 *
 * Uses `fd`, `buf` (name, copied by submit), `buf2` (value), `len` (bytes), `sys_flags` (`XATTR_*`).
 * `buf2` must stay valid until the event. Result: 0. See fsetxattr(2).
 */
#define CAIO_OP_FSETXATTR 30

/**
 * Lists the names of the extended attributes of a file.
 *
 * Uses `fd`, `buf2` (room for the names), `len` (bytes of room). `buf2` must stay valid until the event.
 * Result: the length of the list. See flistxattr(2).
 */
#define CAIO_OP_FLISTXATTR 31

/**
 * Removes an extended attribute of a file.
 *
 * Uses `fd`, `buf` (name, copied by submit). Result: 0. See fremovexattr(2).
 */
#define CAIO_OP_FREMOVEXATTR 32

/**
 * Opens a file as struct open_how says.
 *
 * Uses `fd` (directory), `buf` (path, copied by submit), `buf2` (struct open_how, read by submit), `len` (its size).
 * Result: the new descriptor, which belongs to the caller. See openat2(2).
 */
#define CAIO_OP_OPENAT2 33

/**
 * Syncs the file system of a file.
 *
 * Uses `fd`. Result: 0. See syncfs(2).
 */
#define CAIO_OP_SYNCFS 34

/**
 * Creates a device, a FIFO, a socket or a regular file.
 *
 * Uses `fd` (directory), `buf` (path, copied by submit), `mode` (type and permissions), `offset` (device number).
 * Result: 0. See mknodat(2).
 */
#define CAIO_OP_MKNODAT 35

/**
 * Gets the status of the file system of a file.
 *
 * Uses `fd`, `buf2` (struct statfs, must stay valid until the event). Result: 0. See fstatfs(2).
 */
#define CAIO_OP_FSTATFS 36

/**
 * Operation flag: the next operation of this call starts only after this one has succeeded in full.
 * Otherwise the rest of the chain yields `-ECANCELED`. See caio_ctx_submit(3).
 */
#define CAIO_FLAG_LINK 1

/**
 * Operation flag of READ, WRITE, READV, WRITEV, COPY_RANGE, SENDFILE and SPLICE: continue after a short transfer.
 * The operation completes when all of `len` has been moved, or at end of file. See caio_ctx_submit(3).
 */
#define CAIO_FLAG_FULL 2

/**
 * Operation flag of RENAMEAT and LINKAT: `offset` is the directory of the second path, an int. `AT_FDCWD` is allowed.
 * Without the flag, both paths have the directory `fd`. See caio_ctx_submit(3).
 */
#define CAIO_FLAG_DIR2 4

/**
 * As `fd` of an operation in a chain: the descriptor that the nearest OPENAT or OPENAT2 before it in the chain opened.
 * Also as `mode` of COPY_RANGE, SENDFILE and SPLICE, and as `offset` with `CAIO_FLAG_DIR2`. See caio_ctx_submit(3).
 */
#define CAIO_FD_OPENED -2

/**
 * Context flag, a promise: one thread makes all calls of submit, poll, wait, cancel and free.
 * Other threads get `-EPERM`. See caio_ctx_new(3).
 */
#define CAIO_CTX_SINGLE_THREAD 1

/**
 * Context flag, a hint: io_uring may use a kernel thread for submissions. See caio_ctx_new(3).
 */
#define CAIO_CTX_SQPOLL 2

/**
 * Context flag: the library never completes an operation inside `caio_ctx_submit`. See caio_ctx_new(3).
 */
#define CAIO_CTX_NO_INLINE 4

/**
 * Context flag, a hint: each operation takes its fastest path, even if the named backend supports it.
 * AUTO implies it. See caio_ctx_new(3).
 */
#define CAIO_CTX_FASTEST_PATH 65536

/**
 * Offset: the current position of the file. Use it for pipes, sockets and terminals. See caio_ctx_submit(3).
 */
#define CAIO_OFFSET_CURRENT UINT64_MAX

/**
 * A context: a queue of operations, a queue of events, and a pollable descriptor. Opaque. See caio_ctx_new(3).
 */
typedef struct caio_ctx caio_ctx;

/**
 * Options of `caio_ctx_new`. Zero it and set `size`, or start from `CAIO_OPTIONS_INIT`.
 *
 * Ownership: the caller's; `caio_ctx_new` copies it.
 * Errors: `-EINVAL` if `size` is too small, `-E2BIG` if it is larger and a byte of the unknown tail is not 0.
 * See caio_ctx_new(3).
 */
typedef struct caio_options {
    /**
     * `sizeof(caio_options)`, in bytes.
     */
    uint32_t size;
    /**
     * `CAIO_BACKEND_*`. A named backend never falls back. AUTO chooses as caio(7) describes.
     */
    uint32_t backend;
    /**
     * Limit of operations that are accepted and whose events are not yet taken; 0 means 512.
     */
    uint32_t max_requests;
    /**
     * Limit of worker threads; 0 means 32.
     */
    uint32_t threads;
    /**
     * 0, or a combination of `CAIO_CTX_*`.
     */
    uint32_t flags;
    /**
     * Must be 0.
     */
    uint32_t reserved32;
    /**
     * Must be 0.
     */
    uint64_t reserved[5];
} caio_options;

/**
 * Counters of a context, from its creation. Zero it and set `size`.
 *
 * Ownership: the caller's. `caio_ctx_stats` writes at most `size` bytes.
 * Units: operations. See caio_ctx_stats(3).
 */
typedef struct caio_stats {
    /**
     * `sizeof(caio_stats)`, in bytes. The library does not change it.
     */
    uint32_t size;
    /**
     * Operations accepted whose events are not yet taken.
     */
    uint32_t inflight;
    /**
     * Operations accepted.
     */
    uint64_t submitted;
    /**
     * Operations completed.
     */
    uint64_t completed;
    /**
     * Operations completed with `-ECANCELED`.
     */
    uint64_t cancelled;
    /**
     * Operations completed inside `caio_ctx_submit`.
     */
    uint64_t done_inline;
    /**
     * Operations completed by io_uring or kernel AIO.
     */
    uint64_t done_native;
    /**
     * Operations completed by a thread of the library.
     */
    uint64_t done_worker;
    /**
     * Operations retried on another path, because they could not complete without blocking on the first one.
     */
    uint64_t retried;
    /**
     * The library writes 0.
     */
    uint64_t reserved[8];
} caio_stats;

/**
 * One operation. Zero it, then set the fields that the opcode uses.
 *
 * Ownership: submit copies the struct and the path strings. These must stay valid and unchanged until the event: `fd`,
 * the buffers, the iovec array and the memory that it points to, and other memory that the system call fills.
 * Errors: submit fails with `-EINVAL` if a field is set that the opcode does not use.
 * See caio_ctx_submit(3).
 */
typedef struct caio_op {
    /**
     * Returned unchanged in the event. If you cancel, use a counter rather than an address; see caio_ctx_cancel(3).
     */
    uint64_t user_data;
    /**
     * `CAIO_OP_*`.
     */
    uint8_t opcode;
    /**
     * 0, or a combination of `CAIO_FLAG_*`.
     */
    uint8_t flags;
    /**
     * A hint: a value of ioprio_set(2), or 0 for the priority of the process.
     */
    uint16_t ioprio;
    /**
     * The file, or the directory of a path. `AT_FDCWD` means the working directory; see openat(2).
     */
    int32_t fd;
    /**
     * Memory, an array of struct iovec (READV, WRITEV), a path, or the name of an extended attribute.
     */
    void *buf;
#if defined(CAIO_POINTER_32)
    /**
     * Must be 0.
     */
    uint32_t reserved_buf;
#endif
    /**
     * Bytes, the number of iovecs (READV, WRITEV), or a group (FCHOWNAT).
     */
    uint64_t len;
    /**
     * Bytes from the start of the file, or `CAIO_OFFSET_CURRENT`. The new size (TRUNCATE), a device
     * number (MKNODAT), or a directory (`CAIO_FLAG_DIR2`).
     */
    uint64_t offset;
    /**
     * Flags of the system call: `RWF_*`, `SYNC_FILE_RANGE_*`, `FALLOC_FL_*`, `O_*`, `AT_*`, `RENAME_*`,
     * `SPLICE_F_*`, `POSIX_FADV_*`, `SEEK_*`, `XATTR_*`.
     */
    uint32_t sys_flags;
    /**
     * Permissions, the statx mask (STATX), a user (FCHOWNAT), or the destination (COPY_RANGE, SENDFILE, SPLICE).
     */
    uint32_t mode;
    /**
     * Nanoseconds from acceptance, or from the start of a linked operation; 0 means none.
     * The library then cancels the operation, with the result `-ETIMEDOUT` if that stops it.
     * A running disk operation is not interrupted.
     */
    uint64_t timeout_ns;
    /**
     * A second path, or other memory of the system call: struct statx (STATX), a value (FSETXATTR), ...
     */
    void *buf2;
#if defined(CAIO_POINTER_32)
    /**
     * Must be 0.
     */
    uint32_t reserved_buf2;
#endif
} caio_op;

/**
 * The completion of one operation. Every accepted operation yields exactly one event.
 *
 * Ownership: the caller's. When you take the event, the memory and the descriptor of the operation are yours again.
 * See caio_ctx_poll(3).
 */
typedef struct caio_event {
    /**
     * The `user_data` of the operation.
     */
    uint64_t user_data;
    /**
     * Bytes moved, 0, or the new descriptor (OPENAT, OPENAT2). On failure, a negative errno.
     */
    int64_t result;
} caio_event;

#if defined(_WIN32)
/**
 * A part of memory, for READV and WRITEV: what other systems call struct iovec.
 */
typedef struct caio_iovec {
    /**
     * The memory.
     */
    void *iov_base;
    /**
     * Its length in bytes.
     */
    size_t iov_len;
} caio_iovec;
#endif

#if defined(_WIN32)
/**
 * A time of `caio_statx`.
 */
typedef struct caio_statx_timestamp {
    /**
     * Seconds since 1970.
     */
    int64_t tv_sec;
    /**
     * And nanoseconds, less than a second.
     */
    uint32_t tv_nsec;
    /**
     * The library writes 0.
     */
    int32_t reserved;
} caio_statx_timestamp;
#endif

#if defined(_WIN32)
/**
 * What STATX tells about a file, laid out as the struct statx of Linux.
 */
typedef struct caio_statx {
    /**
     * Which fields are filled: the `STATX_*` of Linux.
     */
    uint32_t stx_mask;
    /**
     * The preferred size of a transfer, in bytes.
     */
    uint32_t stx_blksize;
    /**
     * STATX_ATTR_COMPRESSED (4) and STATX_ATTR_ENCRYPTED (0x800).
     */
    uint64_t stx_attributes;
    /**
     * The number of names.
     */
    uint32_t stx_nlink;
    /**
     * 0.
     */
    uint32_t stx_uid;
    /**
     * 0.
     */
    uint32_t stx_gid;
    /**
     * The type and the permissions, as in struct stat.
     */
    uint16_t stx_mode;
    /**
     * The library writes 0.
     */
    uint16_t reserved16;
    /**
     * The file's number on its volume.
     */
    uint64_t stx_ino;
    /**
     * The size in bytes.
     */
    uint64_t stx_size;
    /**
     * What is reserved for it, in blocks of 512 bytes.
     */
    uint64_t stx_blocks;
    /**
     * The bits of `stx_attributes` that are filled.
     */
    uint64_t stx_attributes_mask;
    /**
     * Last access.
     */
    struct caio_statx_timestamp stx_atime;
    /**
     * Creation.
     */
    struct caio_statx_timestamp stx_btime;
    /**
     * Last change of the file or its attributes.
     */
    struct caio_statx_timestamp stx_ctime;
    /**
     * Last write.
     */
    struct caio_statx_timestamp stx_mtime;
    /**
     * 0.
     */
    uint32_t stx_rdev_major;
    /**
     * 0.
     */
    uint32_t stx_rdev_minor;
    /**
     * 0.
     */
    uint32_t stx_dev_major;
    /**
     * The serial number of the volume.
     */
    uint32_t stx_dev_minor;
    /**
     * The library writes 0.
     */
    uint64_t reserved[14];
} caio_statx;
#endif

#if defined(_WIN32)
/**
 * What FSTATFS tells about a file system, laid out as the struct statfs of Linux on 64-bit processors.
 */
typedef struct caio_statfs {
    /**
     * The first four letters of its name as a number. For NTFS, this is the number that Linux has.
     */
    int64_t f_type;
    /**
     * The size of a cluster in bytes.
     */
    int64_t f_bsize;
    /**
     * The size of the file system in clusters.
     */
    uint64_t f_blocks;
    /**
     * Free clusters.
     */
    uint64_t f_bfree;
    /**
     * Free clusters that the user may have.
     */
    uint64_t f_bavail;
    /**
     * 0: there is no such limit.
     */
    uint64_t f_files;
    /**
     * 0.
     */
    uint64_t f_ffree;
    /**
     * The serial number of the volume, and 0.
     */
    int32_t f_fsid[2];
    /**
     * The longest name, in UTF-16 units.
     */
    int64_t f_namelen;
    /**
     * The size of a cluster in bytes.
     */
    int64_t f_frsize;
    /**
     * ST_RDONLY (1), or 0.
     */
    int64_t f_flags;
    /**
     * The library writes 0.
     */
    int64_t reserved[4];
} caio_statfs;
#endif

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Creates a context and stores it in `*ctx`. If `options` is NULL, all options have their defaults.
 *
 * Ownership: the context is the caller's until `caio_ctx_free`. The call copies `options`. After a failure, `*ctx` is NULL.
 * Threads: any.
 * Blocks: no.
 * Errors:
 * - `-EINVAL`: `ctx` is NULL; `size` is too small; a reserved field is not 0; the backend or a flag is unknown;
 *   `max_requests` is larger than INT_MAX.
 * - `-E2BIG`: `size` is larger than this version knows, and a byte of the unknown tail is not 0.
 * - `-EMFILE`, `-ENFILE`: no descriptor is left.
 * - `-ENOMEM`: there is not enough memory for `max_requests`.
 * - Any other: the named backend is not available. `caio_backend_probe` reports the cause and the fix.
 *
 * See caio_ctx_new(3).
 */
int caio_ctx_new(const struct caio_options *options,
                 struct caio_ctx **ctx);

/**
 * Frees a context. Cancels the operations that it can stop, and waits for running disk operations.
 * When it returns, neither the kernel nor a worker thread can touch the caller's memory or descriptors.
 *
 * Before the call, remove the descriptor of `caio_ctx_eventfd` from the event loop. The call closes it.
 *
 * Ownership: the context is gone; NULL does nothing. The call drops the events that are not taken, and closes the
 * descriptors of OPENATs whose events are not taken or that finish later.
 * In a child of fork(2), it closes the child's copies and does not affect the parent.
 * Threads: no other call on this context may run. If another thread frees a SINGLE_THREAD context, it is leaked.
 * Blocks: only while disk operations run. It does not wait for a pipe, socket, terminal or device, for a CLOSE that lingers,
 * or for an OPENAT that blocks.
 *
 * See caio_ctx_free(3).
 */
void caio_ctx_free(struct caio_ctx *ctx);

/**
 * Returns the descriptor of the context, for poll(2), select(2), epoll(7) or an event loop.
 * It is readable whenever a completion is pending.
 *
 * For each notification, call `caio_ctx_poll` once and return to the loop. An edge-triggered loop re-arms the descriptor
 * after each batch (`EPOLL_CTL_MOD`). Do not repeat `caio_ctx_poll` until it returns fewer events: handlers submit again,
 * and cached reads complete inside submit, so that the repetition starves the loop.
 *
 * Ownership: the context's. Do not read, write or close it; a dup(2) has the same readiness. It is close-on-exec and
 * non-blocking. Remove it from the loop before `caio_ctx_free`.
 * Threads: any, even on a SINGLE_THREAD context.
 * Blocks: no.
 * Errors: `-EINVAL` (NULL); `-EOWNERDEAD` (the context belongs to the parent process; see caio_ctx_free(3)).
 *
 * See caio_ctx_eventfd(3) and caio-loops(7).
 */
int caio_ctx_eventfd(const struct caio_ctx *ctx);

/**
 * Returns the `CAIO_BACKEND_*` of the context, never AUTO.
 *
 * Threads: any, even on a SINGLE_THREAD context.
 * Blocks: no.
 * Errors: `-EINVAL` (NULL); `-EOWNERDEAD` (the context belongs to the parent process; see caio_ctx_free(3)).
 *
 * See caio_ctx_backend(3).
 */
int caio_ctx_backend(const struct caio_ctx *ctx);

/**
 * Returns the limit of operations that are accepted and whose events are not taken.
 *
 * Threads: any, even on a SINGLE_THREAD context.
 * Blocks: no.
 * Units: operations.
 * Errors: `-EINVAL` (NULL); `-EOWNERDEAD` (the context belongs to the parent process; see caio_ctx_free(3)).
 *
 * See caio_ctx_max_requests(3).
 */
int caio_ctx_max_requests(const struct caio_ctx *ctx);

/**
 * Fills `stats` with the counters of the context, up to `size` bytes. Does not change `size`.
 *
 * Ownership: `stats` is the caller's. Set its `size` before the call.
 * Threads: any, even on a SINGLE_THREAD context.
 * Blocks: no.
 * Units: operations.
 * Errors:
 * - `-EINVAL`: a pointer is NULL, or `size` is smaller than 8.
 * - `-E2BIG`: `size` is larger than this version knows, and a byte of the unknown tail is not 0.
 * - `-EOWNERDEAD`: the context belongs to the parent process; see caio_ctx_free(3).
 *
 * See caio_ctx_stats(3).
 */
int caio_ctx_stats(const struct caio_ctx *ctx, struct caio_stats *stats);

/**
 * Returns 1 if this system has the system call of an opcode, or another that does the same; 0 if the opcode is unknown, or an
 * operation would complete with `-EOPNOTSUPP`.
 *
 * Threads: any, even on a SINGLE_THREAD context.
 * Blocks: no.
 * Errors: `-EINVAL` (NULL); `-EOWNERDEAD` (the context belongs to the parent process; see caio_ctx_free(3)).
 *
 * See caio_ctx_supports(3).
 */
int caio_ctx_supports(const struct caio_ctx *ctx,
                      uint32_t opcode);

/**
 * On Windows, stores a waitable HANDLE in `*handle`, which is signalled while a completion is pending. On other systems,
 * use `caio_ctx_eventfd`.
 *
 * Ownership: the handle is the context's. Do not close it. After a failure, `*handle` is NULL.
 * Threads: any, even on a SINGLE_THREAD context.
 * Blocks: no.
 * Errors: `-EINVAL` (a pointer is NULL); `-EOWNERDEAD` (the context belongs to the parent process; see caio_ctx_free(3));
 * `-ENOSYS` (the system is not Windows).
 *
 * See caio_ctx_event_handle(3).
 */
int caio_ctx_event_handle(const struct caio_ctx *ctx,
                          void **handle);

/**
 * Submits operations and returns how many it accepted. Each accepted operation yields exactly one event.
 *
 * It accepts the first operations of the array, as many as fit, and never splits a chain. If `count` is not 0, it never
 * returns 0. If it returns less than `count`, call again with the rest: they are accepted, or the error gives the reason.
 *
 * Ownership: the call copies the operations and their path strings. `fd`, buffers, iovec arrays and statx buffers must stay
 * valid and unchanged until the event.
 * Threads: any; on a SINGLE_THREAD context, only its own. A thread may exit right after the call.
 * Blocks: never for data to be read, written or synced, even for buffered files. The submission of io_uring may wait briefly
 * for a full device queue or for file-system metadata.
 * Units: `count` is in operations.
 * Errors, only if it accepted none; `-EINVAL` takes precedence over `-EAGAIN`:
 * - `-EAGAIN`: the context is full. Take events first.
 * - `-EINVAL`: a pointer is NULL; the first operation or a member of its chain is malformed.
 * - `-E2BIG`: the chain is longer than `max_requests`.
 * - `-ENOMEM`: there is not enough memory for the copies.
 * - `-EPERM`: the context is SINGLE_THREAD and belongs to another thread.
 * - `-EOWNERDEAD`: the context belongs to the parent process; see caio_ctx_free(3).
 *
 * A problem with a file or with memory is the result of the operation, as from the plain system call.
 * See caio_ctx_submit(3).
 */
int caio_ctx_submit(struct caio_ctx *ctx,
                    const struct caio_op *ops,
                    uint32_t count);

/**
 * Submits like `caio_ctx_submit`, then takes events like `caio_ctx_poll`, even if it accepted no operation.
 * Returns what `caio_ctx_submit` returns. Always sets `*polled` to the number of events.
 *
 * Cached reads complete immediately, so the same call often returns their events. It does not signal the descriptor for the
 * events that it returns. Handle the events before an error. If the error is `-EAGAIN` and `*polled` is not 0, try again.
 *
 * Ownership: as for `caio_ctx_submit` and `caio_ctx_poll`.
 * Threads: any; on a SINGLE_THREAD context, only its own.
 * Blocks: as `caio_ctx_submit`.
 * Units: `count` is in operations, `max_events` and `*polled` are in events.
 * Errors: those of `caio_ctx_submit`; `-EINVAL` (`polled` is NULL; `events` is NULL and `max_events` is not 0).
 *
 * See caio_ctx_submit_poll(3).
 */
int caio_ctx_submit_poll(struct caio_ctx *ctx,
                         const struct caio_op *ops,
                         uint32_t count,
                         struct caio_event *events,
                         uint32_t max_events,
                         uint32_t *polled);

/**
 * Takes up to `max_events` pending events and returns how many. Returns 0 if no completion is pending.
 *
 * Ownership: `events` is the caller's. The memory and the descriptor of an operation are the caller's again when its event
 * is taken. Data that the operation wrote is then visible.
 * Threads: any; on a SINGLE_THREAD context, only its own.
 * Blocks: never.
 * Units: `max_events` is in events.
 * Errors: `-EINVAL` (`ctx` is NULL; `events` is NULL and `max_events` is not 0); `-EPERM` (SINGLE_THREAD context of another thread);
 * `-EOWNERDEAD` (the context belongs to the parent process; see caio_ctx_free(3)).
 *
 * See caio_ctx_poll(3).
 */
int caio_ctx_poll(struct caio_ctx *ctx,
                  struct caio_event *events,
                  uint32_t max_events);

/**
 * Sleeps, then takes pending events like `caio_ctx_poll`. It sleeps until one of these happens:
 * - `min_events` completions are pending. If `min_events` is 0, it does not sleep.
 * - `timeout_ns` is over. A negative number means no limit.
 * - A thread calls `caio_ctx_wake`.
 * - A signal handler runs.
 *
 * Fewer than `min_events` is normal. It sleeps even if no operation is in flight.
 *
 * Ownership: as for `caio_ctx_poll`.
 * Threads: any; on a SINGLE_THREAD context, only its own. Several threads may wait at the same time.
 * Blocks: yes.
 * Units: `timeout_ns` is in nanoseconds, `min_events` and `max_events` are in events.
 * Errors: those of `caio_ctx_poll`; `-EINVAL` (`min_events` is larger than `max_events`); `-EINTR` (a signal handler ran and no
 * completion is pending).
 *
 * See caio_ctx_wait(3).
 */
int caio_ctx_wait(struct caio_ctx *ctx,
                  struct caio_event *events,
                  uint32_t min_events,
                  uint32_t max_events,
                  int64_t timeout_ns);

/**
 * Ends a `caio_ctx_wait` that is sleeping, or else makes the next one return early. Several wakes before one wait count as one.
 *
 * Threads: any, even on a SINGLE_THREAD context. A signal handler may call it.
 * Blocks: no.
 * Errors: `-EINVAL` (NULL); `-EOWNERDEAD` (the context belongs to the parent process; see caio_ctx_free(3)).
 *
 * See caio_ctx_wake(3).
 */
int caio_ctx_wake(struct caio_ctx *ctx);

/**
 * Asks every operation with this `user_data` to stop, unless it has completed. Returns how many it asked.
 * Each still yields its one event: `-ECANCELED` if the cancel stopped it, its true result if not.
 *
 * Ownership: the memory and the descriptor of an operation stay the library's until its event.
 * Threads: any; on a SINGLE_THREAD context, only its own.
 * Blocks: no.
 * Errors: `-ENOENT` (no such operation); `-EINVAL` (NULL); `-EPERM` (SINGLE_THREAD context of another thread);
 * `-EOWNERDEAD` (the context belongs to the parent process; see caio_ctx_free(3)).
 *
 * See caio_ctx_cancel(3).
 */
int caio_ctx_cancel(struct caio_ctx *ctx,
                    uint64_t user_data);

/**
 * Like `caio_ctx_cancel`, for every operation that uses the descriptor `fd` as its `fd`.
 *
 * Ownership, threads, blocking, errors: as for `caio_ctx_cancel`. See caio_ctx_cancel_fd(3).
 */
int caio_ctx_cancel_fd(struct caio_ctx *ctx, int fd);

/**
 * Like `caio_ctx_cancel`, for every operation of the context. Returns 0 if there is none.
 *
 * Ownership, threads, blocking, errors: as for `caio_ctx_cancel`, without `-ENOENT`. See caio_ctx_cancel_all(3).
 */
int caio_ctx_cancel_all(struct caio_ctx *ctx);

/**
 * Returns the version of the library at run time: major << 16 | minor << 8 | patch.
 *
 * Threads: any.
 * Blocks: no.
 *
 * See caio_version(3).
 */
uint32_t caio_version(void);

/**
 * Returns the text of an errno value, positive or negative. Never NULL.
 *
 * Ownership: the string is static.
 * Threads: any.
 * Blocks: no.
 *
 * See caio_strerror(3).
 */
const char *caio_strerror(int error);

/**
 * Returns the name of a backend: "auto", "uring", "linux" or "thread". Returns NULL if the number is unknown.
 *
 * Ownership: the string is static.
 * Threads: any.
 * Blocks: no.
 *
 * See caio_backend_name(3).
 */
const char *caio_backend_name(uint32_t backend);

/**
 * Checks whether a backend is available now. Always stores a sentence for the user in `why`.
 * The sentence reports the cause and the fix. For AUTO, it reports which backend a new context would use, and the reason.
 *
 * Ownership: `why` is the caller's. The call truncates the sentence to `why_size` and ends it with a null byte.
 * `why` may be NULL if `why_size` is 0.
 * Threads: any.
 * Blocks: no.
 * Units: `why_size` is in bytes.
 * Errors: `-EINVAL` (unknown backend; `why` is NULL with a size). Otherwise the error of `caio_ctx_new` with this backend.
 *
 * See caio_backend_probe(3).
 */
int caio_backend_probe(uint32_t backend,
                       char *why,
                       size_t why_size);

/**
 * Checks whether `caio_ctx_submit` would refuse one of these operations as malformed, and stores a sentence in `why`: which
 * operation, which field, and the reason. It submits nothing, and does not look at files or memory.
 *
 * Ownership: `ops` and `why` are the caller's. The call truncates the sentence to `why_size` and ends it with a null byte.
 * `why` may be NULL if `why_size` is 0.
 * Threads: any.
 * Blocks: no.
 * Units: `count` is in operations, `why_size` is in bytes.
 * Errors: `-EINVAL` (an operation is malformed; `ops` is NULL and `count` is not 0; `why` is NULL with a size).
 *
 * See caio_op_check(3).
 */
int caio_op_check(const struct caio_op *ops,
                  uint32_t count,
                  char *why,
                  size_t why_size);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CAIO_H */
