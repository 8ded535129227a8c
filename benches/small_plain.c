/* Small files with plain system calls: one thread, and a pool of threads. */
#include "small_files.h"
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
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

const struct reader plain_reader = {.name = "plain", .open = plain_open, .read_tree = plain_read_tree};
const struct reader pool_4_reader = {.name = "pool-4", .open = pool_open, .read_tree = pool_read_tree, .threads = 4};
const struct reader pool_16_reader = {.name = "pool-16", .open = pool_open, .read_tree = pool_read_tree, .threads = 16};
