/* libcaio as an event loop uses it: submit_poll, and poll when the descriptor is readable. */
#include "bench.h"

#include <caio.h>
#include <stdlib.h>
#include <unistd.h>

struct caio {
    caio_ctx *ctx;
    int fd, loop;
    caio_op ops[MAX_DEPTH];
    caio_event events[MAX_DEPTH];
};

static void *caio_open(const struct engine *engine, int fd, unsigned depth, char *why, size_t why_size)
{
    struct caio *self = calloc(1, sizeof *self);
    caio_options options = CAIO_OPTIONS_INIT;

    options.backend = engine->arg;
    options.max_requests = depth;
    if (caio_ctx_new(&options, &self->ctx) < 0) {
        caio_backend_probe(engine->arg, why, why_size);
        free(self);
        return NULL;
    }
    self->fd = fd;
    self->loop = loop_open(caio_ctx_eventfd(self->ctx));
    return self;
}

static unsigned collect(const struct caio *self, unsigned count, unsigned *done)
{
    for (unsigned i = 0; i < count; i++) {
        check_read("caio", self->events[i].result);
        done[i] = (unsigned)self->events[i].user_data;
    }
    return count;
}

static unsigned caio_submit(void *state, struct slot *slots, const unsigned *which, unsigned count, unsigned *done)
{
    struct caio *self = state;
    uint32_t polled;

    for (unsigned i = 0; i < count; i++) {
        const struct slot *slot = &slots[which[i]];
        self->ops[i] = (caio_op){.opcode = CAIO_OP_READ, .fd = self->fd, .buf = slot->buffer,
                                 .len = BLOCK, .offset = slot->offset, .user_data = which[i]};
    }
    int accepted = caio_ctx_submit_poll(self->ctx, self->ops, count, self->events, MAX_DEPTH, &polled);
    if (accepted != (int)count)
        die("caio_ctx_submit_poll", accepted < 0 ? -accepted : 0);
    return collect(self, polled, done);
}

static unsigned caio_wait(void *state, unsigned *done)
{
    struct caio *self = state;
    int count;

    do {
        loop_wait(self->loop);
        count = caio_ctx_poll(self->ctx, self->events, MAX_DEPTH);
    } while (count == 0);
    if (count < 0)
        die("caio_ctx_poll", -count);
    return collect(self, (unsigned)count, done);
}

static void caio_close(void *state)
{
    struct caio *self = state;

    close(self->loop);
    caio_ctx_free(self->ctx);
    free(self);
}

#define ENGINE(backend, title) \
    {.name = (title), .arg = (backend), .open = caio_open, .submit = caio_submit, .wait = caio_wait, .close = caio_close}
const struct engine engine_uring = ENGINE(CAIO_BACKEND_URING, "caio uring");
const struct engine engine_linux = ENGINE(CAIO_BACKEND_LINUX, "caio linux");
const struct engine engine_thread = ENGINE(CAIO_BACKEND_THREAD, "caio thread");
