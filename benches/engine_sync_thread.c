/* sync-batch in a thread: a batch is handed over, and the loop's descriptor is signalled after its one fdatasync(2). It is the
 * least that an event loop needs, and bounds what libcaio can reach for a group of syncs. */
#include "bench.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct handed {
    unsigned count;
    unsigned which[MAX_DEPTH];
};

struct handover {
    void *batches; /* the state of sync-batch, which the thread runs */
    struct slot *slots;
    int eventfd, loop, closing;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct handed queued, done;
};

static void append(struct handed *to, const unsigned *which, unsigned count)
{
    memcpy(to->which + to->count, which, count * sizeof *which);
    to->count += count;
}

static unsigned take(struct handed *from, unsigned *which)
{
    unsigned count = from->count;

    memcpy(which, from->which, count * sizeof *which);
    from->count = 0;
    return count;
}

static void *run(void *state)
{
    struct handover *self = state;
    struct handed running;
    unsigned ended[MAX_DEPTH];

    pthread_mutex_lock(&self->lock);
    while (!self->closing) {
        if (self->queued.count == 0) {
            pthread_cond_wait(&self->filled, &self->lock);
            continue;
        }
        running.count = take(&self->queued, running.which);
        pthread_mutex_unlock(&self->lock);
        unsigned count = engine_sync_batch.submit(self->batches, self->slots, running.which, running.count, ended);
        pthread_mutex_lock(&self->lock);
        append(&self->done, ended, count);
        if (eventfd_write(self->eventfd, 1) < 0)
            die("eventfd", errno);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

static void *handover_open(const struct engine *engine, const struct work *work, char *why, size_t why_size)
{
    struct handover *self = calloc(1, sizeof *self);

    (void)engine;
    self->batches = engine_sync_batch.open(&engine_sync_batch, work, why, why_size);
    self->eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    self->loop = loop_open(self->eventfd, EPOLLIN);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->filled, NULL);
    int error = pthread_create(&self->thread, NULL, run, self);
    if (error != 0)
        die("pthread_create", error);
    return self;
}

static unsigned handover_submit(void *state, struct slot *slots, const unsigned *which, unsigned count, unsigned *done)
{
    struct handover *self = state;

    pthread_mutex_lock(&self->lock);
    self->slots = slots;
    append(&self->queued, which, count);
    pthread_cond_signal(&self->filled);
    unsigned ended = take(&self->done, done);
    pthread_mutex_unlock(&self->lock);
    return ended;
}

static unsigned handover_wait(void *state, unsigned *done)
{
    struct handover *self = state;
    unsigned ended = 0;
    eventfd_t signals;

    while (ended == 0) {
        loop_wait(self->loop);
        eventfd_read(self->eventfd, &signals);
        pthread_mutex_lock(&self->lock);
        ended = take(&self->done, done);
        pthread_mutex_unlock(&self->lock);
    }
    return ended;
}

static void handover_close(void *state)
{
    struct handover *self = state;

    pthread_mutex_lock(&self->lock);
    self->closing = 1;
    pthread_cond_signal(&self->filled);
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->thread, NULL);
    close(self->loop);
    close(self->eventfd);
    engine_sync_batch.close(self->batches);
    free(self);
}

const struct engine engine_sync_thread = {
    .name = "sync-thread", .min_depth = 2, .pairs_only = 1,
    .open = handover_open, .submit = handover_submit, .wait = handover_wait, .close = handover_close};
