/* caio.h - asynchronous file I/O for every event loop
 * SPDX-License-Identifier: Apache-2.0
 *
 * Generated from the Rust source (src/capi) by `make header`; do not edit.
 * Every function returns >= 0 on success and a negative errno on failure; errno is not used.
 * See caio(7) for an introduction. */

#ifndef CAIO_H
#define CAIO_H

#include <stddef.h>
#include <stdint.h>

#if UINTPTR_MAX == 0xffffffffu
#define CAIO_POINTER_32 1
#endif

/* Options that are all default: caio_options o = CAIO_OPTIONS_INIT; */
#define CAIO_OPTIONS_INIT { sizeof(caio_options), 0, 0, 0, 0, 0, { 0 } }

/**
 * Major version of this header; `caio_version` gives the library's.
 */
#define CAIO_VERSION_MAJOR 0

/**
 * Minor version of this header.
 */
#define CAIO_VERSION_MINOR 1

/**
 * Patch version of this header.
 */
#define CAIO_VERSION_PATCH 0

/**
 * Backend: the best one that works at this moment (see `CAIO_IMPL` in caio(7)).
 */
#define CAIO_BACKEND_AUTO 0

/**
 * Backend: io_uring(7).
 */
#define CAIO_BACKEND_URING 1

/**
 * Backend: Linux kernel AIO, io_submit(2).
 */
#define CAIO_BACKEND_LINUX 2

/**
 * Backend: worker threads and plain system calls.
 */
#define CAIO_BACKEND_THREAD 3

/**
 * Does nothing and succeeds. Uses no field; `fd` is ignored.
 */
#define CAIO_OP_NOP 0

/**
 * pread(2), or read(2) at `CAIO_OFFSET_CURRENT`. Uses `fd buf len offset sys_flags` (`RWF_*`).
 */
#define CAIO_OP_READ 1

/**
 * pwrite(2), or write(2) at `CAIO_OFFSET_CURRENT`. Uses `fd buf len offset sys_flags` (`RWF_*`).
 */
#define CAIO_OP_WRITE 2

/**
 * fsync(2). Uses `fd`.
 */
#define CAIO_OP_FSYNC 3

/**
 * fdatasync(2). Uses `fd`.
 */
#define CAIO_OP_FDSYNC 4

/**
 * preadv2(2): `buf` is an array of `len` struct iovec. Uses `fd buf len offset sys_flags`.
 */
#define CAIO_OP_READV 5

/**
 * pwritev2(2): `buf` is an array of `len` struct iovec. Uses `fd buf len offset sys_flags`.
 */
#define CAIO_OP_WRITEV 6

/**
 * sync_file_range(2). Uses `fd len offset sys_flags` (`SYNC_FILE_RANGE_*`).
 */
#define CAIO_OP_SYNC_RANGE 7

/**
 * fallocate(2). Uses `fd len offset sys_flags` (`FALLOC_FL_*`).
 */
#define CAIO_OP_ALLOCATE 8

/**
 * ftruncate(2) to `offset`. Uses `fd offset`.
 */
#define CAIO_OP_TRUNCATE 9

/**
 * openat(2); the result is the new descriptor. Uses `fd buf` (path) `sys_flags` (`O_*`) `mode`.
 */
#define CAIO_OP_OPENAT 10

/**
 * close(2). Uses `fd`. `-ECANCELED` means still open; any other result means the number is gone.
 */
#define CAIO_OP_CLOSE 11

/**
 * statx(2). Uses `fd buf` (path) `sys_flags` (`AT_*`) `mode` (mask) `buf2` (struct statx).
 */
#define CAIO_OP_STATX 12

/**
 * renameat2(2) within one directory descriptor. Uses `fd buf` (old path) `buf2` (new path) `sys_flags` (`RENAME_*`).
 */
#define CAIO_OP_RENAMEAT 13

/**
 * unlinkat(2). Uses `fd buf` (path) `sys_flags` (`AT_REMOVEDIR`).
 */
#define CAIO_OP_UNLINKAT 14

/**
 * mkdirat(2). Uses `fd buf` (path) `mode`.
 */
#define CAIO_OP_MKDIRAT 15

/**
 * The next operation of this call starts only after this one succeeded in full; else it and the
 * rest of its chain yield `-ECANCELED`.
 */
#define CAIO_FLAG_LINK 1

/**
 * READ* and WRITE*: finish short transfers inside the library: all of `len`, or end of file.
 */
#define CAIO_FLAG_FULL 2

/**
 * Promise: one thread makes all submit, poll, wait, cancel and free calls; others get `-EPERM`.
 */
#define CAIO_CTX_SINGLE_THREAD 1

/**
 * Hint: let io_uring use a kernel submission thread.
 */
#define CAIO_CTX_SQPOLL 2

/**
 * Never finish an operation inside `caio_ctx_submit`.
 */
#define CAIO_CTX_NO_INLINE 4

/**
 * Offset: the file's current position (also for pipes, sockets and terminals).
 */
#define CAIO_OFFSET_CURRENT UINT64_MAX

/**
 * A context: one queue of operations, one queue of events, one pollable descriptor. Opaque.
 */
typedef struct caio_ctx caio_ctx;

/**
 * Options of `caio_ctx_new`: zero it and set `size`, or start from `CAIO_OPTIONS_INIT`.
 * A larger `size` than the library knows is fine while the unknown tail is zero, else `-E2BIG`.
 */
typedef struct caio_options {
    /**
     * `sizeof(caio_options)`.
     */
    uint32_t size;
    /**
     * `CAIO_BACKEND_*`; AUTO honours the environment's `CAIO_IMPL`. A named backend never falls back.
     */
    uint32_t backend;
    /**
     * Operations accepted and not yet polled, at most; 0 means 512.
     */
    uint32_t max_requests;
    /**
     * Worker threads of this context, at most; 0 means a default.
     */
    uint32_t threads;
    /**
     * `CAIO_CTX_*`.
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
 * Counters since the context was made: zero it and set `size`; a smaller one is filled only that far.
 */
typedef struct caio_stats {
    /**
     * `sizeof(caio_stats)`; not changed.
     */
    uint32_t size;
    /**
     * Accepted and not yet polled, now.
     */
    uint32_t inflight;
    /**
     * Operations accepted.
     */
    uint64_t submitted;
    /**
     * Operations whose event exists.
     */
    uint64_t completed;
    /**
     * Those of them with `-ECANCELED`.
     */
    uint64_t cancelled;
    /**
     * Finished inside `caio_ctx_submit` without blocking.
     */
    uint64_t done_inline;
    /**
     * Finished by io_uring or kernel AIO.
     */
    uint64_t done_native;
    /**
     * Finished by a library thread.
     */
    uint64_t done_worker;
    /**
     * Sent a second way after the first said it cannot.
     */
    uint64_t retried;
    /**
     * Zero.
     */
    uint64_t reserved[8];
} caio_stats;

/**
 * One operation: zero it, set what the opcode uses; any other field that is set is `-EINVAL`.
 *
 * `fd`, buffers, the iovec array with what it points to, and the statx buffer must stay valid and
 * untouched until the operation's event: they belong to the library until then. The struct itself
 * and path strings are copied by submit.
 */
typedef struct caio_op {
    /**
     * Comes back untouched in the event; a counter is safer than an address if you cancel.
     */
    uint64_t user_data;
    /**
     * `CAIO_OP_*`.
     */
    uint8_t opcode;
    /**
     * `CAIO_FLAG_*`.
     */
    uint8_t flags;
    /**
     * An ioprio_set(2) value; 0 is the process's own. A hint.
     */
    uint16_t ioprio;
    /**
     * The file, or the directory of a path (`AT_FDCWD` allowed).
     */
    int32_t fd;
    /**
     * Memory, struct iovec array (READV, WRITEV), or path.
     */
    void *buf;
#if defined(CAIO_POINTER_32)
    /**
     * Must be 0.
     */
    uint32_t reserved_buf;
#endif
    /**
     * Bytes, or number of iovecs; length of the range (SYNC_RANGE, ALLOCATE).
     */
    uint64_t len;
    /**
     * File offset, or `CAIO_OFFSET_CURRENT`; new size (TRUNCATE).
     */
    uint64_t offset;
    /**
     * The system call's: `RWF_*`, `SYNC_FILE_RANGE_*`, `FALLOC_FL_*`, `O_*`, `AT_*`, `RENAME_*`.
     */
    uint32_t sys_flags;
    /**
     * File mode (OPENAT, MKDIRAT), statx mask (STATX).
     */
    uint32_t mode;
    /**
     * 0 for none, else nanoseconds from acceptance (of a linked operation: from its start) after
     * which it is cancelled with `-ETIMEDOUT`. A disk operation that runs is not interrupted.
     */
    uint64_t timeout_ns;
    /**
     * struct statx * (STATX); new path (RENAMEAT); else NULL.
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
 * What became of one operation. Every accepted operation yields exactly one.
 */
typedef struct caio_event {
    /**
     * The operation's.
     */
    uint64_t user_data;
    /**
     * Bytes moved, or 0, or the new descriptor (OPENAT); or a negative errno.
     */
    int64_t result;
} caio_event;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Makes a context. `options` NULL means all defaults: AUTO backend, 512 requests.
 *
 * Ownership: `*ctx` is the caller's, until `caio_ctx_free`; it is NULL after a failure. `options` is copied.
 * Threads: any; none is started before it is needed. Blocks: no (well under 1 ms).
 *
 * Errors: `-EINVAL` (`ctx` NULL, unknown backend or flag, `size` too small, reserved field set, `max_requests` above
 * INT_MAX), `-E2BIG` (a newer struct uses fields that this version does not know), `-EMFILE`, `-ENFILE`, `-ENOMEM`,
 * and for a named backend the reason it cannot be had (ask `caio_backend_probe` for a sentence).
 */
int caio_ctx_new(const struct caio_options *options,
                 struct caio_ctx **ctx);

/**
 * Frees a context: cancels what it can (a read blocked on a pipe, socket or terminal included), waits for the rest,
 * and returns only when neither the kernel nor a worker can touch the caller's memory or descriptors any more.
 *
 * Ownership: `ctx` is gone; NULL does nothing. Unpolled events are dropped, and the descriptors of unpolled or later
 * OPENATs closed. In a child of fork(2) it closes the child's copies and disturbs nothing of the parent's.
 * Threads: no other call on this context may run. A SINGLE_THREAD context freed by another thread is leaked.
 * Blocks: until running disk operations end; not with nothing in flight, and not for an OPENAT that blocks (a FIFO).
 */
void caio_ctx_free(struct caio_ctx *ctx);

/**
 * The descriptor that is readable whenever an event waits; for poll(2), select, epoll(7) level- or edge-triggered.
 *
 * Ownership: the context's; do not read or close it. Close-on-exec, non-blocking. A dup(2) shows the same readiness.
 * Threads: any. Blocks: no. Returns the descriptor, or `-EINVAL` (NULL), `-EOWNERDEAD` (after fork).
 */
int caio_ctx_eventfd(const struct caio_ctx *ctx);

/**
 * The `CAIO_BACKEND_*` in use (never AUTO). Threads: any. Blocks: no.
 * Errors: `-EINVAL` (NULL), `-EOWNERDEAD` (after fork).
 */
int caio_ctx_backend(const struct caio_ctx *ctx);

/**
 * How many operations may be accepted and not yet polled. Threads: any. Blocks: no.
 * Errors: `-EINVAL` (NULL), `-EOWNERDEAD` (after fork).
 */
int caio_ctx_max_requests(const struct caio_ctx *ctx);

/**
 * Fills `stats` up to its `size`, which stays as it is. Threads: any. Blocks: no.
 * Errors: `-EINVAL` (NULL, `size` below 8), `-E2BIG` (a larger `size` with a tail that is not zero), `-EOWNERDEAD` (after fork).
 */
int caio_ctx_stats(const struct caio_ctx *ctx,
                   struct caio_stats *stats);

/**
 * Submits operations: accepts as many as fit, always a prefix, chains whole or not at all, and returns how many.
 * With `count > 0` it never returns 0; after a short return, calling again with the rest says why.
 *
 * Ownership: the operations and their path strings are copied; `fd`, buffers, iovec arrays and statx buffers belong to
 * the library until the event. Threads: any; the submitting thread may exit at once.
 * Blocks: not for data to be read, written or synced; io_uring's own submission may briefly wait for a full device
 * queue or for file-system metadata.
 *
 * Errors, only if none was accepted: `-EAGAIN` (full: poll first), `-EINVAL` (NULL; the first operation or a member of
 * its chain is malformed), `-E2BIG` (a chain longer than `max_requests`), `-ENOMEM`, `-EPERM` (SINGLE_THREAD, other thread),
 * `-EOWNERDEAD` (after fork). What is wrong with the file or the memory comes as the event's result.
 */
int caio_ctx_submit(struct caio_ctx *ctx,
                    const struct caio_op *ops,
                    uint32_t count);

/**
 * `caio_ctx_submit`, then `caio_ctx_poll` in the same call, also when the submit part failed: what finished at once
 * comes back at once, and the descriptor is not disturbed for what it returned.
 *
 * Returns what submit returns. `*polled` is always set to the number of events: deliver those before looking at an
 * error (`-EAGAIN` with `*polled > 0`: try again). Ownership, threads, blocking, errors: as submit and poll.
 */
int caio_ctx_submit_poll(struct caio_ctx *ctx,
                         const struct caio_op *ops,
                         uint32_t count,
                         struct caio_event *events,
                         uint32_t max_events,
                         uint32_t *polled);

/**
 * Takes up to `max_events` events that are there and returns how many, maybe 0.
 *
 * Ownership: `events` is the caller's; the memory of the operations they speak of is the caller's again, and what those
 * operations wrote is visible. Threads: any. Blocks: never.
 * Errors: `-EINVAL` (NULL), `-EPERM` (SINGLE_THREAD, other thread), `-EOWNERDEAD` (after fork).
 */
int caio_ctx_poll(struct caio_ctx *ctx,
                  struct caio_event *events,
                  uint32_t max_events);

/**
 * Like `caio_ctx_poll`, but sleeps until `min_events` are there (with nothing in flight too), `timeout_ns` nanoseconds
 * are over (negative: forever), `caio_ctx_wake` was called, or a signal handler ran. Returns how many events it took;
 * fewer than `min_events` is normal. `min_events` 0 never sleeps.
 *
 * Ownership, threads: as poll; several threads may wait at once.
 * Errors: as poll, `-EINVAL` (`min_events > max_events`), `-EINTR` (a signal handler ran and there is nothing).
 */
int caio_ctx_wait(struct caio_ctx *ctx,
                  struct caio_event *events,
                  uint32_t min_events,
                  uint32_t max_events,
                  int64_t timeout_ns);

/**
 * Makes the current `caio_ctx_wait`, else the next one, return early. Several before one wait count as one.
 * Threads: any, SINGLE_THREAD contexts too; async-signal-safe. Blocks: no.
 * Errors: `-EINVAL` (NULL), `-EOWNERDEAD` (after fork).
 */
int caio_ctx_wake(struct caio_ctx *ctx);

/**
 * Asks for every operation with that `user_data` that has no event yet to stop; returns how many it found.
 * Each still yields its one event: `-ECANCELED` if it was stopped, its true result if not.
 *
 * Ownership: the operation's memory stays the library's until that event. Threads: any. Blocks: no.
 * Errors: `-ENOENT` (none), `-EINVAL` (NULL), `-EPERM` (SINGLE_THREAD, other thread), `-EOWNERDEAD` (after fork).
 */
int caio_ctx_cancel(struct caio_ctx *ctx,
                    uint64_t user_data);

/**
 * As `caio_ctx_cancel`, for every operation whose descriptor `fd` is and that uses it.
 */
int caio_ctx_cancel_fd(struct caio_ctx *ctx, int fd);

/**
 * As `caio_ctx_cancel`, for every operation; returns 0 if there is none.
 */
int caio_ctx_cancel_all(struct caio_ctx *ctx);

/**
 * The library's version: major << 16 | minor << 8 | patch. Threads: any. Blocks: no.
 */
uint32_t caio_version(void);

/**
 * The text of an errno of either sign. Never NULL; static memory. Threads: any. Blocks: no.
 */
const char *caio_strerror(int error);

/**
 * "auto", "uring", "linux" or "thread"; NULL if unknown. Static memory. Threads: any. Blocks: no.
 */
const char *caio_backend_name(uint32_t backend);

/**
 * Asks the kernel anew whether a backend can be had now. Returns 0 or a negative errno, and always fills `why` with a
 * sentence that a user can act on (for AUTO: which backend it takes and why).
 *
 * Ownership: `why` is the caller's; NUL-terminated and cut to `why_size`; NULL with size 0 is allowed.
 * Threads: any. Blocks: no. Errors: `-EINVAL` (unknown backend, `why` NULL with a size), else the backend's reason.
 */
int caio_backend_probe(uint32_t backend,
                       char *why,
                       size_t why_size);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CAIO_H */
