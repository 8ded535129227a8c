/* Small files with plain system calls: one thread, a pool of threads, and such a pool behind an event loop. Two of these ways
 * show what a part of libcaio costs alone: plain-looks the system calls of a cached chain, loop-16 the threads of a cold one. */
#include "small_files.h"
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static void read_file(const char *path, char *buffer)
{
    struct statx attributes;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &attributes) < 0)
        die(path, errno);
    got_file((long long)attributes.stx_size, pread(fd, buffer, LARGEST, 0));
    close(fd);
}

static void *work(void *buffer)
{
    const char *path;

    while ((path = take_path()))
        read_file(path, buffer);
    return NULL;
}

static void *plain_open(const struct reader *reader, unsigned depth)
{
    (void)reader, (void)depth;
    return touched(1, LARGEST);
}

static void plain_read_tree(void *state)
{
    work(state);
}

/* Fails with EAGAIN if the dentry cache does not have the file, and with EINVAL before Linux 5.12. */
static int open_cached(const char *path, unsigned long long flags)
{
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_CACHED};

    return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}

static void *looks_open(const struct reader *reader, unsigned depth)
{
    int fd = open_cached(".", O_PATH);

    return close(fd) == 0 ? plain_open(reader, depth) : NULL;
}

static void looks_read_tree(void *buffer)
{
    struct iovec whole = {buffer, LARGEST};
    struct statx attributes;
    const char *path;

    while ((path = take_path())) {
        int seen = open_cached(path, O_PATH);
        statx(seen, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_NLINK, &attributes);
        int fd = open_cached(path, O_RDONLY | O_NONBLOCK);
        close(seen);
        if (statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &attributes) == 0 &&
            preadv2(fd, &whole, 1, 0, RWF_NOWAIT) == (ssize_t)attributes.stx_size)
            got_file((long long)attributes.stx_size, (long long)attributes.stx_size);
        else
            read_file(path, buffer);
        close(fd);
    }
}

struct pool {
    unsigned threads;
    pthread_t ids[16];
    pthread_barrier_t start;
};

static void *pool_work(void *pool)
{
    char *buffer = touched(1, LARGEST);

    pthread_barrier_wait(&((struct pool *)pool)->start);
    work(buffer);
    free(buffer);
    return NULL;
}

static void *pool_open(const struct reader *reader, unsigned depth)
{
    struct pool *pool = calloc(1, sizeof *pool);

    pool->threads = depth < reader->threads ? depth : reader->threads;
    pthread_barrier_init(&pool->start, NULL, pool->threads + 1);
    for (unsigned i = 0; i < pool->threads; i++)
        if (pthread_create(&pool->ids[i], NULL, pool_work, pool) != 0)
            die("pthread_create", EAGAIN);
    return pool;
}

static void pool_read_tree(void *state)
{
    struct pool *pool = state;

    pthread_barrier_wait(&pool->start);
    for (unsigned i = 0; i < pool->threads; i++)
        pthread_join(pool->ids[i], NULL);
}

/* The least that an event loop needs around a pool: a queue, a list of what has ended, and an eventfd. */
struct served {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    int eventfd, loop;
    unsigned depth, taken, given, ended;
    struct place *queue[SMALL_FILES], **done, *places;
};

/* A file in progress. */
struct place {
    const char *path;
    char buffer[LARGEST];
};

static void *serve(void *state)
{
    struct served *self = state;

    pthread_mutex_lock(&self->lock);
    for (;;) {
        while (self->taken == self->given)
            pthread_cond_wait(&self->filled, &self->lock);
        struct place *place = self->queue[self->taken++];
        pthread_mutex_unlock(&self->lock);
        read_file(place->path, place->buffer);
        pthread_mutex_lock(&self->lock);
        self->done[self->ended++] = place;
        if (self->ended == 1 && eventfd_write(self->eventfd, 1) < 0)
            die("eventfd", errno);
    }
    return NULL;
}

static void *served_open(const struct reader *reader, unsigned depth)
{
    struct served *self = calloc(1, sizeof *self);
    pthread_t id;

    self->eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    self->loop = loop_open(self->eventfd, EPOLLIN);
    self->depth = depth;
    self->places = touched(depth, sizeof *self->places);
    self->done = calloc(depth, sizeof(struct place *));
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->filled, NULL);
    for (unsigned i = 0; i < reader->threads && i < depth; i++)
        if (pthread_create(&id, NULL, serve, self) != 0)
            die("pthread_create", EAGAIN);
    return self;
}

/* With the lock. */
static unsigned give(struct served *self, struct place *place)
{
    place->path = take_path();
    if (!place->path)
        return 0;
    self->queue[self->given++] = place;
    pthread_cond_signal(&self->filled);
    return 1;
}

static void served_read_tree(void *state)
{
    struct served *self = state;
    unsigned running = 0;
    eventfd_t signals;

    pthread_mutex_lock(&self->lock);
    for (unsigned i = 0; i < self->depth; i++)
        running += give(self, &self->places[i]);
    while (running > 0) {
        pthread_mutex_unlock(&self->lock);
        loop_wait(self->loop);
        eventfd_read(self->eventfd, &signals);
        pthread_mutex_lock(&self->lock);
        running -= self->ended;
        for (unsigned i = 0; i < self->ended; i++)
            running += give(self, self->done[i]);
        self->ended = 0;
    }
    pthread_mutex_unlock(&self->lock);
}

const struct reader plain_reader = {.name = "plain", .open = plain_open, .read_tree = plain_read_tree};
const struct reader plain_looks_reader = {.name = "plain-looks", .open = looks_open, .read_tree = looks_read_tree};
const struct reader pool_4_reader = {.name = "pool-4", .open = pool_open, .read_tree = pool_read_tree, .threads = 4};
const struct reader pool_16_reader = {.name = "pool-16", .open = pool_open, .read_tree = pool_read_tree, .threads = 16};
const struct reader loop_16_reader = {.name = "loop-16", .open = served_open, .read_tree = served_read_tree, .threads = 16};
