/* libaio in the same loop, with an eventfd. Buffered reads of cold data block inside io_submit. */
#include "bench.h"

#include <errno.h>
#include <libaio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct aio {
    io_context_t context;
    int fd, eventfd, loop;
    struct iocb iocbs[MAX_DEPTH];
};

static void *aio_open(const struct engine *engine, int fd, unsigned depth, char *why, size_t why_size)
{
    struct aio *self = calloc(1, sizeof *self);
    int error = io_setup((int)depth, &self->context);

    (void)engine;
    if (error < 0) {
        snprintf(why, why_size, "io_setup: %s", strerror(-error));
        free(self);
        return NULL;
    }
    self->fd = fd;
    self->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->loop = loop_open(self->eventfd);
    return self;
}

static unsigned collect(struct aio *self, unsigned *done)
{
    struct io_event events[MAX_DEPTH];
    struct timespec now = {0, 0};
    int count = io_getevents(self->context, 0, MAX_DEPTH, events, &now);

    if (count < 0)
        die("io_getevents", -count);
    for (int i = 0; i < count; i++) {
        check_read("libaio", (long)events[i].res);
        done[i] = (unsigned)(uintptr_t)events[i].data;
    }
    return (unsigned)count;
}

static unsigned aio_submit(void *state, struct slot *slots, const unsigned *which, unsigned count, unsigned *done)
{
    struct aio *self = state;
    struct iocb *list[MAX_DEPTH];

    for (unsigned i = 0; i < count; i++) {
        const struct slot *slot = &slots[which[i]];
        list[i] = &self->iocbs[which[i]];
        io_prep_pread(list[i], self->fd, slot->buffer, BLOCK, (long long)slot->offset);
        io_set_eventfd(list[i], self->eventfd);
        list[i]->data = (void *)(uintptr_t)which[i];
    }
    int accepted = io_submit(self->context, count, list);
    if (accepted != (int)count)
        die("io_submit", accepted < 0 ? -accepted : 0);
    return collect(self, done);
}

static unsigned aio_wait(void *state, unsigned *done)
{
    struct aio *self = state;
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

static void aio_close(void *state)
{
    struct aio *self = state;

    close(self->loop);
    io_destroy(self->context);
    close(self->eventfd);
    free(self);
}

const struct engine engine_libaio = {
    .name = "libaio", .open = aio_open, .submit = aio_submit, .wait = aio_wait, .close = aio_close};
