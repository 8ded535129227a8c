/* For the C tests on Windows: one operation each, which waits for its result. */
#ifndef WINDOWS_OPS_H
#define WINDOWS_OPS_H
#include "check.h"

static caio_ctx *ctx;

static inline caio_op path_op(uint8_t opcode, int dir, const char *path)
{
    caio_op op = make_op(opcode, dir);
    op.buf = (void *)path;
    return op;
}

static inline int64_t open_at(int dir, const char *path, int flags)
{
    caio_op op = path_op(CAIO_OP_OPENAT, dir, path);
    op.sys_flags = (uint32_t)flags;
    op.mode = 0600;
    return run_op(ctx, op);
}

static inline int open_new(const char *path)
{
    int64_t fd = open_at(AT_FDCWD, path, O_RDWR | O_CREAT | O_TRUNC);
    if (fd < 0)
        fprintf(stderr, "%s: %s\n", path, caio_strerror((int)fd));
    CHECK(fd > 0);
    return (int)fd;
}

static inline int64_t close_fd(int fd)
{
    return run_op(ctx, make_op(CAIO_OP_CLOSE, fd));
}

static inline int64_t unlink_at(int dir, const char *path, uint32_t flags)
{
    caio_op op = path_op(CAIO_OP_UNLINKAT, dir, path);
    op.sys_flags = flags;
    return run_op(ctx, op);
}

static inline int64_t make_dir(int dir, const char *path)
{
    return run_op(ctx, path_op(CAIO_OP_MKDIRAT, dir, path));
}

static inline int64_t rename_at(int dir, const char *from, const char *to, uint32_t flags)
{
    caio_op op = path_op(CAIO_OP_RENAMEAT, dir, from);
    op.buf2 = (void *)to;
    op.sys_flags = flags;
    return run_op(ctx, op);
}

static inline int64_t stat_at(int dir, const char *path, uint32_t flags, struct statx *to)
{
    caio_op op = path_op(CAIO_OP_STATX, dir, path);
    op.sys_flags = flags;
    op.mode = STATX_BASIC_STATS | STATX_BTIME;
    op.buf2 = to;
    return run_op(ctx, op);
}

static inline int64_t put(int fd, const char *text, uint64_t offset)
{
    return run_op(ctx, transfer(CAIO_OP_WRITE, fd, text, strlen(text), offset));
}

/* Expects that a file has this content. */
static inline void expect_text(int fd, const char *text)
{
    char buf[256] = "";
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, fd, buf, sizeof buf - 1, 0)), strlen(text));
    CHECK(strcmp(buf, text) == 0);
}

#endif
