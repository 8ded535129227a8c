/* libuv: uv_fs_read on its own loop and its own pool of threads (UV_THREADPOOL_SIZE, 4 by default). */
#include "bench.h"

#include <stdlib.h>
#include <uv.h>

struct uv {
    uv_loop_t loop;
    int fd;
    uv_fs_t requests[MAX_DEPTH];
    unsigned done[MAX_DEPTH];
    unsigned done_count;
};

static void *libuv_open(const struct engine *engine, int fd, unsigned depth, char *why, size_t why_size)
{
    struct uv *self = calloc(1, sizeof *self);

    (void)engine, (void)depth, (void)why, (void)why_size;
    if (uv_loop_init(&self->loop) != 0)
        die("uv_loop_init", 0);
    self->fd = fd;
    return self;
}

static void finished(uv_fs_t *request)
{
    struct uv *self = request->data;

    check_read("libuv", (long long)request->result);
    self->done[self->done_count++] = (unsigned)(request - self->requests);
    uv_fs_req_cleanup(request);
}

static unsigned libuv_submit(void *state, struct slot *slots, const unsigned *which, unsigned count, unsigned *done)
{
    struct uv *self = state;

    (void)done;
    for (unsigned i = 0; i < count; i++) {
        const struct slot *slot = &slots[which[i]];
        uv_buf_t buffer = uv_buf_init(slot->buffer, BLOCK);
        uv_fs_t *request = &self->requests[which[i]];
        request->data = self;
        int error = uv_fs_read(&self->loop, request, self->fd, &buffer, 1, (int64_t)slot->offset, finished);
        if (error < 0)
            die("uv_fs_read", -error);
    }
    return 0;
}

static unsigned libuv_wait(void *state, unsigned *done)
{
    struct uv *self = state;

    self->done_count = 0;
    while (self->done_count == 0)
        uv_run(&self->loop, UV_RUN_ONCE);
    for (unsigned i = 0; i < self->done_count; i++)
        done[i] = self->done[i];
    return self->done_count;
}

static void libuv_close(void *state)
{
    struct uv *self = state;

    uv_loop_close(&self->loop);
    free(self);
}

const struct engine engine_libuv = {
    .name = "libuv", .open = libuv_open, .submit = libuv_submit, .wait = libuv_wait, .close = libuv_close};
