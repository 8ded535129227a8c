/* Shared by the C tests: checks that name their line, and short constructors for operations. C11 and C++17. */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* struct statx, pipe2 */
#endif
#ifdef _WIN32
#include "on_windows.h"
#else
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#ifndef STATX_BASIC_STATS
#include <linux/stat.h> /* musl 1.2.3 has no struct statx */
#endif
#endif

#include <caio.h>

#define SECOND 1000000000LL

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

/* Checks a value, and prints it if it is wrong. */
#define EXPECT(value, wanted) \
    do { \
        long long got_ = (long long)(value), wanted_ = (long long)(wanted); \
        if (got_ != wanted_) { \
            fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #value, got_, wanted_); \
            exit(1); \
        } \
    } while (0)

static inline caio_op make_op(uint8_t opcode, int fd)
{
    caio_op op;
    memset(&op, 0, sizeof op);
    op.opcode = opcode;
    op.fd = fd;
    return op;
}

static inline caio_op transfer(uint8_t opcode, int fd, const void *buf, uint64_t len, uint64_t offset)
{
    caio_op op = make_op(opcode, fd);
    op.buf = (void *)buf;
    op.len = len;
    op.offset = offset;
    return op;
}

static inline caio_ctx *make_ctx(uint32_t backend, uint32_t flags)
{
    caio_options options = CAIO_OPTIONS_INIT;
    caio_ctx *ctx = NULL;
    options.backend = backend;
    options.flags = flags;
    EXPECT(caio_ctx_new(&options, &ctx), 0);
    CHECK(ctx != NULL);
    return ctx;
}

/* Waits for one event and returns its result. */
static inline int64_t result_of(caio_ctx *ctx, uint64_t user_data)
{
    caio_event event;
    EXPECT(caio_ctx_wait(ctx, &event, 1, 1, 60 * SECOND), 1);
    EXPECT(event.user_data, user_data);
    return event.result;
}

/* Runs one operation and returns its result. */
static inline int64_t run_op(caio_ctx *ctx, caio_op op)
{
    op.user_data = 77;
    EXPECT(caio_ctx_submit(ctx, &op, 1), 1);
    return result_of(ctx, 77);
}

/* The backend of the command line: 1, 2 or 3. AUTO without an argument. */
static inline uint32_t backend_argument(int argc, char **argv)
{
    return argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : (uint32_t)CAIO_BACKEND_AUTO;
}

#endif
