/* Raw liburing in the same loop: completions are looked for after submitting; an eventfd wakes the loop. */
#include "bench.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct uring {
    struct io_uring ring;
    int fd, eventfd, loop;
};

static void *uring_open(const struct engine *engine, int fd, unsigned depth, char *why, size_t why_size)
{
    struct uring *self = calloc(1, sizeof *self);
    int error = io_uring_queue_init(depth, &self->ring, 0);

    (void)engine;
    if (error < 0) {
        snprintf(why, why_size, "io_uring_queue_init: %s", strerror(-error));
        free(self);
        return NULL;
    }
    self->fd = fd;
    self->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    error = io_uring_register_eventfd(&self->ring, self->eventfd);
    if (error < 0)
        die("io_uring_register_eventfd", -error);
    self->loop = loop_open(self->eventfd);
    return self;
}

static unsigned collect(struct uring *self, unsigned *done)
{
    struct io_uring_cqe *cqes[MAX_DEPTH];
    unsigned count = io_uring_peek_batch_cqe(&self->ring, cqes, MAX_DEPTH);

    for (unsigned i = 0; i < count; i++) {
        check_read("liburing", cqes[i]->res);
        done[i] = (unsigned)cqes[i]->user_data;
    }
    io_uring_cq_advance(&self->ring, count);
    return count;
}

static unsigned uring_submit(void *state, struct slot *slots, const unsigned *which, unsigned count, unsigned *done)
{
    struct uring *self = state;

    for (unsigned i = 0; i < count; i++) {
        const struct slot *slot = &slots[which[i]];
        struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
        io_uring_prep_read(sqe, self->fd, slot->buffer, BLOCK, slot->offset);
        io_uring_sqe_set_data64(sqe, which[i]);
    }
    int accepted = io_uring_submit(&self->ring);
    if (accepted != (int)count)
        die("io_uring_submit", accepted < 0 ? -accepted : 0);
    return collect(self, done);
}

static unsigned uring_wait(void *state, unsigned *done)
{
    struct uring *self = state;
    unsigned count;
    uint64_t wakes;

    do {
        loop_wait(self->loop);
        if (read(self->eventfd, &wakes, sizeof wakes) < 0 && errno != EAGAIN)
            die("eventfd", errno);
        count = collect(self, done);
    } while (count == 0);
    return count;
}

static void uring_close(void *state)
{
    struct uring *self = state;

    close(self->loop);
    io_uring_queue_exit(&self->ring);
    close(self->eventfd);
    free(self);
}

const struct engine engine_liburing = {
    .name = "liburing", .open = uring_open, .submit = uring_submit, .wait = uring_wait, .close = uring_close};
