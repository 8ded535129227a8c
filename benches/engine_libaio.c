/* libaio in the same loop, with an edge-triggered eventfd. Completions are read from the mapped ring.
 *
 * Cold buffered reads and buffered writes block inside io_submit. A pair is a write, then an
 * IO_CMD_FDSYNC. */
#include "bench.h"

#include <errno.h>
#include <libaio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The completion ring that io_setup(2) maps; its address is the context. */
struct ring {
    unsigned id, nr, head, tail, magic, compat, incompat, header_length;
    struct io_event events[];
};
static const unsigned ring_magic = 0xa10a10a1;

struct aio {
    io_context_t context;
    struct work work;
    int eventfd, loop;
    struct iocb *iocbs, **list;
};

static void *aio_open(const struct engine *engine, const struct work *work, char *why, size_t why_size)
{
    struct aio *self = calloc(1, sizeof *self);
    int error = io_setup((int)work->depth, &self->context);

    (void)engine;
    if (error < 0) {
        snprintf(why, why_size, "io_setup: %s", strerror(-error));
        free(self);
        return NULL;
    }
    if (((struct ring *)self->context)->magic != ring_magic)
        die("unknown layout of the kernel AIO ring", ENOSYS);
    self->work = *work;
    self->iocbs = calloc(work->depth, sizeof *self->iocbs);
    self->list = calloc(work->depth, sizeof *self->list);
    self->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->loop = loop_open(self->eventfd, EPOLLIN | EPOLLET);
    return self;
}

static void hand_over(struct aio *self, unsigned count)
{
    int accepted = count ? io_submit(self->context, count, self->list) : 0;

    if (accepted != (int)count)
        die("io_submit", accepted < 0 ? -accepted : 0);
}

static void prepare_sync(struct aio *self, struct iocb *iocb)
{
    void *data = iocb->data;

    io_prep_fdsync(iocb, self->work.fd);
    io_set_eventfd(iocb, self->eventfd);
    iocb->data = data;
}

/* Safe because only this thread takes events from this context, and it never calls io_getevents(2). */
static unsigned collect(struct aio *self, unsigned *done)
{
    struct ring *ring = (struct ring *)self->context;
    unsigned head = ring->head, tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE), found = 0, syncs = 0;

    while (head != tail) {
        const struct io_event *event = &ring->events[head];
        struct iocb *iocb = event->obj;
        int is_sync = iocb->aio_lio_opcode == IO_CMD_FDSYNC;
        check_moved("libaio", (long)event->res, is_sync ? 0 : self->work.size);
        if (self->work.kind == WRITE_SYNC && !is_sync)
            self->list[syncs++] = iocb;
        else
            done[found++] = (unsigned)(uintptr_t)event->data;
        head = head + 1 == ring->nr ? 0 : head + 1;
    }
    __atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < syncs; i++)
        prepare_sync(self, self->list[i]);
    hand_over(self, syncs);
    return found;
}

static unsigned aio_submit(void *state, struct slot *slots, const unsigned *which, unsigned count, unsigned *done)
{
    struct aio *self = state;

    for (unsigned i = 0; i < count; i++) {
        const struct slot *slot = &slots[which[i]];
        struct iocb *iocb = self->list[i] = &self->iocbs[which[i]];
        if (self->work.kind == READ)
            io_prep_pread(iocb, self->work.fd, slot->buffer, self->work.size, (long long)slot->offset);
        else
            io_prep_pwrite(iocb, self->work.fd, slot->buffer, self->work.size, (long long)slot->offset);
        io_set_eventfd(iocb, self->eventfd);
        iocb->data = (void *)(uintptr_t)which[i];
    }
    hand_over(self, count);
    return collect(self, done);
}

static unsigned aio_wait(void *state, unsigned *done)
{
    struct aio *self = state;
    unsigned found;

    do {
        loop_wait(self->loop);
        found = collect(self, done);
    } while (found == 0);
    return found;
}

static void aio_close(void *state)
{
    struct aio *self = state;

    close(self->loop);
    io_destroy(self->context);
    close(self->eventfd);
    free(self->iocbs);
    free(self->list);
    free(self);
}

const struct engine engine_libaio = {
    .name = "libaio", .open = aio_open, .submit = aio_submit, .wait = aio_wait, .close = aio_close};
