/* libcaio as an event loop uses it: submit_poll, and poll when the descriptor is readable. */
#include "bench.h"

#include <caio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct caio {
    caio_ctx *ctx;
    struct work work;
    int loop;
    unsigned parts;          /* completions of one operation of the bench */
    unsigned char *finished; /* for each slot: how many have arrived */
    caio_op *ops;
    caio_event *events;
};

static void *caio_open(const struct engine *engine, const struct work *work, char *why, size_t why_size)
{
    struct caio *self = calloc(1, sizeof *self);
    caio_options options = CAIO_OPTIONS_INIT;

    self->work = *work;
    self->parts = work->kind == WRITE_SYNC ? 2 : 1;
    options.backend = engine->backend;
    options.flags = engine->flags;
    options.max_requests = work->depth * self->parts;
    if (caio_ctx_new(&options, &self->ctx) < 0) {
        caio_backend_probe(engine->backend, why, why_size);
        free(self);
        return NULL;
    }
    self->finished = calloc(work->depth, 1);
    self->ops = calloc(options.max_requests, sizeof *self->ops);
    self->events = calloc(options.max_requests, sizeof *self->events);
    self->loop = loop_open(caio_ctx_eventfd(self->ctx), EPOLLIN);
    return self;
}

static unsigned collect(const struct caio *self, unsigned count, unsigned *done)
{
    unsigned found = 0;

    for (unsigned i = 0; i < count; i++) {
        unsigned slot = (unsigned)(self->events[i].user_data >> 1);
        int is_sync = self->events[i].user_data & 1;
        check_moved("caio", self->events[i].result, is_sync ? 0 : self->work.size);
        if (++self->finished[slot] == self->parts) {
            self->finished[slot] = 0;
            done[found++] = slot;
        }
    }
    return found;
}

static unsigned fill(struct caio *self, const struct slot *slots, const unsigned *which, unsigned count)
{
    caio_op *op = self->ops;

    for (unsigned i = 0; i < count; i++) {
        const struct slot *slot = &slots[which[i]];
        *op++ = (caio_op){.opcode = self->work.kind == READ ? CAIO_OP_READ : CAIO_OP_WRITE,
                          .flags = self->parts == 2 ? CAIO_FLAG_LINK : 0,
                          .fd = self->work.fd,
                          .buf = slot->buffer,
                          .len = self->work.size,
                          .offset = slot->offset,
                          .user_data = (uint64_t)which[i] << 1};
        if (self->parts == 2)
            *op++ = (caio_op){.opcode = CAIO_OP_FDSYNC, .fd = self->work.fd, .user_data = (uint64_t)which[i] << 1 | 1};
    }
    return (unsigned)(op - self->ops);
}

static unsigned caio_submit(void *state, struct slot *slots, const unsigned *which, unsigned count, unsigned *done)
{
    struct caio *self = state;
    unsigned ops = fill(self, slots, which, count), most = self->work.depth * self->parts;
    uint32_t polled;
    int accepted = caio_ctx_submit_poll(self->ctx, self->ops, ops, self->events, most, &polled);

    if (accepted != (int)ops)
        die("caio_ctx_submit_poll", accepted < 0 ? -accepted : 0);
    return collect(self, polled, done);
}

static unsigned caio_wait(void *state, unsigned *done)
{
    struct caio *self = state;
    unsigned found;

    do {
        loop_wait(self->loop);
        int count = caio_ctx_poll(self->ctx, self->events, self->work.depth * self->parts);
        if (count < 0)
            die("caio_ctx_poll", -count);
        found = collect(self, (unsigned)count, done);
    } while (found == 0);
    return found;
}

static void caio_close(void *state)
{
    struct caio *self = state;

    close(self->loop);
    caio_ctx_free(self->ctx);
    free(self->finished);
    free(self->ops);
    free(self->events);
    free(self);
}

#define ENGINE(title, number, bits)                                                              \
    {.name = (title), .backend = (number), .flags = (bits), .open = caio_open, .submit = caio_submit, \
     .wait = caio_wait, .close = caio_close}
const struct engine engine_auto_st = ENGINE("auto-st", CAIO_BACKEND_AUTO, CAIO_CTX_SINGLE_THREAD);
const struct engine engine_auto = ENGINE("auto", CAIO_BACKEND_AUTO, 0);
const struct engine engine_uring = ENGINE("uring", CAIO_BACKEND_URING, 0);
const struct engine engine_linux = ENGINE("linux", CAIO_BACKEND_LINUX, 0);
const struct engine engine_thread = ENGINE("thread", CAIO_BACKEND_THREAD, 0);
const struct engine engine_uring_noinline = ENGINE("uring-noinline", CAIO_BACKEND_URING, CAIO_CTX_NO_INLINE);
