/* Raw liburing in the same loop: it checks for completions after each submit; an eventfd wakes the loop.
 *
 * With DEFER_TASKRUN, completions appear only in io_uring_enter(IORING_ENTER_GETEVENTS), so submit and wake-up use that
 * flag. One call delivers about 20 completions. For more, the kernel sets IORING_SQ_TASKRUN and does not signal the
 * eventfd. The eventfd is edge-triggered and need not be read. In the quiet variant, the kernel signals it only while
 * the loop sleeps. The polled variant has none: the loop watches the descriptor of the ring. */
#include "bench.h"

#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { BATCH = 64 };
enum wake_up { EVENTFD, QUIET, POLLED };

struct uring {
    struct io_uring ring;
    struct work work;
    int eventfd, loop, defers;
    enum wake_up wake_up;
};

static void *uring_open(const struct engine *engine, const struct work *work, char *why, size_t why_size)
{
    struct uring *self = calloc(1, sizeof *self);
    unsigned entries = work->kind == WRITE_SYNC ? 2 * work->depth : work->depth;
    int error = io_uring_queue_init(entries, &self->ring, engine->flags);

    if (error < 0) {
        snprintf(why, why_size, "io_uring_queue_init: %s", strerror(-error));
        free(self);
        return NULL;
    }
    self->work = *work;
    self->defers = (engine->flags & IORING_SETUP_DEFER_TASKRUN) != 0;
    io_uring_register_ring_fd(&self->ring);
    self->wake_up = (enum wake_up)engine->backend;
    if (self->wake_up == POLLED) {
        self->eventfd = -1;
        self->loop = loop_open(self->ring.ring_fd, EPOLLIN);
        return self;
    }
    self->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    error = io_uring_register_eventfd(&self->ring, self->eventfd);
    if (error < 0)
        die("io_uring_register_eventfd", -error);
    if (self->wake_up == QUIET)
        io_uring_cq_eventfd_toggle(&self->ring, false);
    self->loop = loop_open(self->eventfd, EPOLLIN | EPOLLET);
    return self;
}

static unsigned collect_ready(struct uring *self, unsigned *done)
{
    struct io_uring_cqe *cqes[BATCH];
    unsigned found = 0, count;

    do {
        count = io_uring_peek_batch_cqe(&self->ring, cqes, BATCH);
        for (unsigned i = 0; i < count; i++) {
            int is_sync = cqes[i]->user_data & 1;
            check_moved("liburing", cqes[i]->res, is_sync ? 0 : self->work.size);
            /* A linked pair is complete when its sync is. */
            if (is_sync || self->work.kind != WRITE_SYNC)
                done[found++] = (unsigned)(cqes[i]->user_data >> 1);
        }
        io_uring_cq_advance(&self->ring, count);
    } while (count == BATCH);
    return found;
}

static unsigned collect(struct uring *self, unsigned *done)
{
    unsigned found = collect_ready(self, done);

    /* The kernel may set the flag after all task work has run, and it then stays set: limit the attempts. */
    for (unsigned tries = 0;
         self->defers && tries < 8 && (IO_URING_READ_ONCE(*self->ring.sq.kflags) & IORING_SQ_TASKRUN); tries++) {
        io_uring_get_events(&self->ring);
        found += collect_ready(self, done + found);
    }
    return found;
}

static void prepare(struct uring *self, const struct slot *slot, unsigned which)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);

    if (self->work.kind == READ)
        io_uring_prep_read(sqe, self->work.fd, slot->buffer, self->work.size, slot->offset);
    else
        io_uring_prep_write(sqe, self->work.fd, slot->buffer, self->work.size, slot->offset);
    io_uring_sqe_set_data64(sqe, (uint64_t)which << 1);
    if (self->work.kind != WRITE_SYNC)
        return;
    io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
    sqe = io_uring_get_sqe(&self->ring);
    io_uring_prep_fsync(sqe, self->work.fd, IORING_FSYNC_DATASYNC);
    io_uring_sqe_set_data64(sqe, (uint64_t)which << 1 | 1);
}

static unsigned uring_submit(void *state, struct slot *slots, const unsigned *which, unsigned count, unsigned *done)
{
    struct uring *self = state;

    for (unsigned i = 0; i < count; i++)
        prepare(self, &slots[which[i]], which[i]);
    unsigned ready = io_uring_sq_ready(&self->ring);
    int accepted = self->defers ? io_uring_submit_and_get_events(&self->ring) : io_uring_submit(&self->ring);
    if (accepted != (int)ready)
        die("io_uring_submit", accepted < 0 ? -accepted : 0);
    return collect(self, done);
}

static unsigned uring_wait(void *state, unsigned *done)
{
    struct uring *self = state;
    unsigned found = 0;

    if (self->wake_up == QUIET) {
        io_uring_cq_eventfd_toggle(&self->ring, true);
        found = collect(self, done); /* completions that arrived while the eventfd was disabled */
    }
    while (found == 0) {
        loop_wait(self->loop);
        found = collect(self, done);
    }
    if (self->wake_up == QUIET)
        io_uring_cq_eventfd_toggle(&self->ring, false);
    return found;
}

static void uring_close(void *state)
{
    struct uring *self = state;

    close(self->loop);
    io_uring_queue_exit(&self->ring);
    if (self->eventfd >= 0)
        close(self->eventfd);
    free(self);
}

#define ENGINE(title, kind, setup)                                                                 \
    {.name = (title), .backend = (kind), .flags = (setup), .open = uring_open, .submit = uring_submit, \
     .wait = uring_wait, .close = uring_close}
const struct engine engine_liburing = ENGINE("liburing", EVENTFD, 0);
const struct engine engine_liburing_polled = ENGINE("liburing-polled", POLLED, 0);
const struct engine engine_liburing_quiet = ENGINE("liburing-quiet", QUIET, 0);
const struct engine engine_liburing_defer =
    ENGINE("liburing-defer", EVENTFD, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
