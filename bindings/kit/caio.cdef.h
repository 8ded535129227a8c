/* caio.cdef.h - the declarations of libcaio 0.2.0 without a preprocessor, for cffi, LuaJIT and the like
 * SPDX-License-Identifier: Apache-2.0
 *
 * `make header` generates this file. For 64-bit systems. CAIO_OFFSET_CURRENT is 2^64 - 1. See caio-bindings(7). */

typedef struct caio_ctx caio_ctx;

enum {
    CAIO_VERSION_MAJOR = 0,
    CAIO_VERSION_MINOR = 2,
    CAIO_VERSION_PATCH = 0,
    CAIO_BACKEND_AUTO = 0,
    CAIO_BACKEND_URING = 1,
    CAIO_BACKEND_LINUX = 2,
    CAIO_BACKEND_THREAD = 3,
    CAIO_OP_NOP = 0,
    CAIO_OP_READ = 1,
    CAIO_OP_WRITE = 2,
    CAIO_OP_FSYNC = 3,
    CAIO_OP_FDSYNC = 4,
    CAIO_OP_READV = 5,
    CAIO_OP_WRITEV = 6,
    CAIO_OP_SYNC_RANGE = 7,
    CAIO_OP_ALLOCATE = 8,
    CAIO_OP_TRUNCATE = 9,
    CAIO_OP_OPENAT = 10,
    CAIO_OP_CLOSE = 11,
    CAIO_OP_STATX = 12,
    CAIO_OP_RENAMEAT = 13,
    CAIO_OP_UNLINKAT = 14,
    CAIO_OP_MKDIRAT = 15,
    CAIO_OP_READLINKAT = 16,
    CAIO_OP_SYMLINKAT = 17,
    CAIO_OP_LINKAT = 18,
    CAIO_OP_GETDENTS = 19,
    CAIO_OP_COPY_RANGE = 20,
    CAIO_OP_SENDFILE = 21,
    CAIO_OP_SPLICE = 22,
    CAIO_OP_FADVISE = 23,
    CAIO_OP_SEEK = 24,
    CAIO_OP_FCHMODAT = 25,
    CAIO_OP_FCHOWNAT = 26,
    CAIO_OP_UTIMENSAT = 27,
    CAIO_OP_FACCESSAT = 28,
    CAIO_OP_FGETXATTR = 29,
    CAIO_OP_FSETXATTR = 30,
    CAIO_OP_FLISTXATTR = 31,
    CAIO_OP_FREMOVEXATTR = 32,
    CAIO_OP_OPENAT2 = 33,
    CAIO_OP_SYNCFS = 34,
    CAIO_OP_MKNODAT = 35,
    CAIO_OP_FSTATFS = 36,
    CAIO_FLAG_LINK = 1,
    CAIO_FLAG_FULL = 2,
    CAIO_FLAG_DIR2 = 4,
    CAIO_FD_OPENED = -2,
    CAIO_CTX_SINGLE_THREAD = 1,
    CAIO_CTX_SQPOLL = 2,
    CAIO_CTX_NO_INLINE = 4,
    CAIO_CTX_FASTEST_PATH = 65536
};

typedef struct caio_options {
    uint32_t size;
    uint32_t backend;
    uint32_t max_requests;
    uint32_t threads;
    uint32_t flags;
    uint32_t reserved32;
    uint64_t reserved[5];
} caio_options;

typedef struct caio_stats {
    uint32_t size;
    uint32_t inflight;
    uint64_t submitted;
    uint64_t completed;
    uint64_t cancelled;
    uint64_t done_inline;
    uint64_t done_native;
    uint64_t done_worker;
    uint64_t retried;
    uint64_t reserved[8];
} caio_stats;

typedef struct caio_op {
    uint64_t user_data;
    uint8_t opcode;
    uint8_t flags;
    uint16_t ioprio;
    int32_t fd;
    void *buf;
    uint64_t len;
    uint64_t offset;
    uint32_t sys_flags;
    uint32_t mode;
    uint64_t timeout_ns;
    void *buf2;
} caio_op;

typedef struct caio_event {
    uint64_t user_data;
    int64_t result;
} caio_event;

int caio_ctx_new(const caio_options *options, caio_ctx **ctx);
void caio_ctx_free(caio_ctx *ctx);
int caio_ctx_eventfd(const caio_ctx *ctx);
int caio_ctx_backend(const caio_ctx *ctx);
int caio_ctx_max_requests(const caio_ctx *ctx);
int caio_ctx_stats(const caio_ctx *ctx, caio_stats *stats);
int caio_ctx_supports(const caio_ctx *ctx, uint32_t opcode);
int caio_ctx_event_handle(const caio_ctx *ctx, void **handle);
int caio_ctx_submit(caio_ctx *ctx, const caio_op *ops, uint32_t count);
int caio_ctx_submit_poll(caio_ctx *ctx, const caio_op *ops, uint32_t count, caio_event *events, uint32_t max_events, uint32_t *polled);
int caio_ctx_poll(caio_ctx *ctx, caio_event *events, uint32_t max_events);
int caio_ctx_wait(caio_ctx *ctx, caio_event *events, uint32_t min_events, uint32_t max_events, int64_t timeout_ns);
int caio_ctx_wake(caio_ctx *ctx);
int caio_ctx_cancel(caio_ctx *ctx, uint64_t user_data);
int caio_ctx_cancel_fd(caio_ctx *ctx, int fd);
int caio_ctx_cancel_all(caio_ctx *ctx);
uint32_t caio_version(void);
const char *caio_strerror(int error);
const char *caio_backend_name(uint32_t backend);
int caio_backend_probe(uint32_t backend, char *why, size_t why_size);
int caio_op_check(const caio_op *ops, uint32_t count, char *why, size_t why_size);
