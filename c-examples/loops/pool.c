#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "pool.h"
#include "reads.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { THREADS = 32, ROOM = 64 };

static pthread_t threads[THREADS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static caio_op operations[ROOM];
static caio_event completions[ROOM];
static unsigned submitted, taken, completed, polled; /* counters: a position in a ring is a counter modulo ROOM */
static bool stopping;
static int signal_fd;

static void complete(const caio_op *op, int64_t result)
{
    uint64_t one = 1;
    bool first;
    pthread_mutex_lock(&lock);
    completions[completed % ROOM].user_data = op->user_data;
    completions[completed % ROOM].result = result;
    first = completed++ == polled;
    pthread_mutex_unlock(&lock);
    if (first)
        checked((int)write(signal_fd, &one, sizeof one), "eventfd");
}

static void *run(void *unused)
{
    for (;;) {
        caio_op op;
        ssize_t count;
        pthread_mutex_lock(&lock);
        while (submitted == taken && !stopping)
            pthread_cond_wait(&work, &lock);
        if (submitted == taken) {
            pthread_mutex_unlock(&lock);
            return unused;
        }
        op = operations[taken++ % ROOM];
        pthread_mutex_unlock(&lock);
        count = pread(op.fd, op.buf, op.len, (off_t)op.offset);
        complete(&op, count < 0 ? -errno : count);
    }
}

void pool_start(void)
{
    signal_fd = checked(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd");
    for (int i = 0; i < THREADS; i++)
        checked(-pthread_create(&threads[i], NULL, run, NULL), "thread");
}

void pool_submit(const caio_op *op)
{
    pthread_mutex_lock(&lock);
    operations[submitted++ % ROOM] = *op;
    pthread_cond_signal(&work);
    pthread_mutex_unlock(&lock);
}

int pool_poll(caio_event *events, uint32_t max_events)
{
    uint32_t count = 0;
    uint64_t signals;
    pthread_mutex_lock(&lock);
    while (count < max_events && polled != completed)
        events[count++] = completions[polled++ % ROOM];
    if (polled == completed && read(signal_fd, &signals, sizeof signals) < 0 && errno != EAGAIN)
        checked(-1, "eventfd");
    pthread_mutex_unlock(&lock);
    return (int)count;
}

int pool_descriptor(void)
{
    return signal_fd;
}

void pool_stop(void)
{
    pthread_mutex_lock(&lock);
    stopping = true;
    pthread_cond_broadcast(&work);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    close(signal_fd);
}
