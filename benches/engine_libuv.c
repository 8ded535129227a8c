/* libuv: uv_fs_* on its own loop and thread pool (UV_THREADPOOL_SIZE, 4 by default). */
#include "bench.h"

#include <stdlib.h>
#include <uv.h>

struct uv {
    uv_loop_t loop;
    struct work work;
    uv_fs_t *requests;
    unsigned *done, done_count;
};

static void *libuv_open(const struct engine *engine, const struct work *work, char *why, size_t why_size)
{
    struct uv *self = calloc(1, sizeof *self);

    (void)engine, (void)why, (void)why_size;
    if (uv_loop_init(&self->loop) != 0)
        die("uv_loop_init", 0);
    self->work = *work;
    self->requests = calloc(work->depth, sizeof *self->requests);
    return self;
}

static void is_done(struct uv *self, uv_fs_t *request)
{
    self->done[self->done_count++] = (unsigned)(request - self->requests);
    uv_fs_req_cleanup(request);
}

static void synced(uv_fs_t *request)
{
    check_moved("libuv", (long long)request->result, 0);
    is_done(request->data, request);
}

static void moved(uv_fs_t *request)
{
    struct uv *self = request->data;

    check_moved("libuv", (long long)request->result, self->work.size);
    if (self->work.kind != WRITE_SYNC) {
        is_done(self, request);
        return;
    }
    uv_fs_req_cleanup(request);
    int error = uv_fs_fdatasync(&self->loop, request, self->work.fd, synced);
    if (error < 0)
        die("uv_fs_fdatasync", -error);
}

static unsigned libuv_submit(void *state, struct slot *slots, const unsigned *which, unsigned count, unsigned *done)
{
    struct uv *self = state;

    (void)done;
    for (unsigned i = 0; i < count; i++) {
        const struct slot *slot = &slots[which[i]];
        uv_buf_t buffer = uv_buf_init(slot->buffer, self->work.size);
        uv_fs_t *request = &self->requests[which[i]];
        int64_t offset = (int64_t)slot->offset;
        request->data = self;
        int error = self->work.kind == READ
                        ? uv_fs_read(&self->loop, request, self->work.fd, &buffer, 1, offset, moved)
                        : uv_fs_write(&self->loop, request, self->work.fd, &buffer, 1, offset, moved);
        if (error < 0)
            die("uv_fs_read, uv_fs_write", -error);
    }
    return 0;
}

static unsigned libuv_wait(void *state, unsigned *done)
{
    struct uv *self = state;

    self->done = done;
    self->done_count = 0;
    while (self->done_count == 0)
        uv_run(&self->loop, UV_RUN_ONCE);
    return self->done_count;
}

static void libuv_close(void *state)
{
    struct uv *self = state;

    uv_loop_close(&self->loop);
    free(self->requests);
    free(self);
}

const struct engine engine_libuv = {
    .name = "libuv", .open = libuv_open, .submit = libuv_submit, .wait = libuv_wait, .close = libuv_close};
