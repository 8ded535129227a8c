/* Runs the programs of a migration guide, which the macro GUIDE names: block-0.c, and block-1.c if the guide shows two. */
#define _GNU_SOURCE
#include <caio.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBAIO 1
#define LIBURING 2
#define LIBUV 3
#define POSIX_AIO 4

static caio_ctx *ctx;
static int file;
static char content[8192], got[8192];

#if GUIDE == LIBAIO
#define read_block read_block_before
#include "block-0.c"
#undef read_block
#include "block-1.c"

static void run(void)
{
    io_context_t aio = 0;
    assert(io_setup(1, &aio) == 0);
    assert(read_block_before(aio, file, got, 4096, 4096) == 4096 && memcmp(got, content + 4096, 4096) == 0);
    assert(read_block(ctx, file, got, 4096, 0) == 4096 && memcmp(got, content, 4096) == 0);
    assert(read_block_before(aio, -1, got, 4096, 0) == -EBADF && read_block(ctx, -1, got, 4096, 0) == -EBADF);
    io_destroy(aio);
}
#elif GUIDE == LIBURING
static unsigned seen;
#define turn turn_before
#include "block-0.c"
#undef turn
#include "block-1.c"

static void done_before(__u64 user_data, int result) { seen += user_data == 4096 && result == 4096; }
static void done(uint64_t user_data, int64_t result) { seen += user_data == 4096 && result == 4096; }

static void run(void)
{
    struct io_uring ring;
    if (io_uring_queue_init(8, &ring, 0) == 0) { /* a container may forbid it */
        for (unsigned count = 0; count == 0; usleep(1000))
            count = turn_before(&ring, file, got, 4096, 4096, done_before);
        assert(seen >= 1 && memcmp(got, content + 4096, 4096) == 0);
        io_uring_queue_exit(&ring);
    }
    memset(got, 0, sizeof got);
    seen = 0;
    for (unsigned count = 0; count == 0; usleep(1000))
        count = turn(ctx, file, got, 4096, 4096, done);
    assert(seen >= 1 && memcmp(got, content + 4096, 4096) == 0);
}
#elif GUIDE == LIBUV
#include "block-0.c"
static uv_poll_t *watched;

void on_event(caio_ctx *of, const caio_event *event)
{
    assert(of == ctx && event->user_data == 7 && event->result == 4096);
    uv_close((uv_handle_t *)watched, NULL);
}

static void run(void)
{
    uv_loop_t loop;
    uv_poll_t handle;
    caio_op read = {.user_data = 7, .opcode = CAIO_OP_READ, .fd = file, .buf = got, .len = 4096};
    watched = &handle;
    assert(uv_loop_init(&loop) == 0 && watch(&loop, &handle, ctx) == 0);
    assert(caio_ctx_submit(ctx, &read, 1) == 1);
    assert(uv_run(&loop, UV_RUN_DEFAULT) == 0 && uv_loop_close(&loop) == 0);
    assert(memcmp(got, content, 4096) == 0);
}
#elif GUIDE == POSIX_AIO
#define write_safely write_safely_before
#include "block-0.c"
#undef write_safely
#include "block-1.c"

static void run(void)
{
    assert(write_safely_before(file, content + 4096, 4096, 0) == 0 && pread(file, got, 4096, 0) == 4096);
    assert(memcmp(got, content + 4096, 4096) == 0);
    assert(write_safely(ctx, file, content, 4096, 4096) == 0 && pread(file, got, 4096, 4096) == 4096);
    assert(memcmp(got, content, 4096) == 0);
    assert(write_safely_before(-1, content, 4096, 0) < 0 && write_safely(ctx, -1, content, 4096, 0) == -EBADF);
}
#endif

int main(void)
{
    char name[] = "migration.XXXXXX";
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (char)(i / 7);
    file = mkstemp(name);
    assert(file >= 0 && unlink(name) == 0 && write(file, content, sizeof content) == sizeof content);
    assert(caio_ctx_new(NULL, &ctx) == 0);
    run();
    caio_ctx_free(ctx);
    return 0;
}
