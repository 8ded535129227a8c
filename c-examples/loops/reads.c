#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "reads.h"
#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DEPTH = 64, BATCH = 64, BLOCK = 4096, BLOCKS = 10000, COLD_READS = 10000 };

static const double cached_seconds = 0.5;

static _Alignas(BLOCK) char buffers[DEPTH][BLOCK];
static uint32_t block_of[DEPTH];
static caio_op next[DEPTH]; /* the reads of the next submit */
static uint32_t next_count;
static caio_ctx *ctx; /* NULL: the pool */
static int file;
static unsigned started, finished, cached_reads;
static double last_tick, cached_end, worst_cold, worst_cached;

int checked(int result, const char *what)
{
    if (result >= 0)
        return result;
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static int caio_checked(int result, const char *what)
{
    errno = -result;
    return checked(result < 0 ? -1 : result, what);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Each block begins with its number. */
static void write_file(void)
{
    static uint32_t block[BLOCK / sizeof(uint32_t)];
    for (uint32_t i = 0; i < BLOCKS; i++) {
        block[0] = i;
        checked((int)pwrite(file, block, BLOCK, (off_t)i * BLOCK), "write");
    }
    checked(fsync(file), "fsync");
}

static bool cold(void)
{
    return finished < COLD_READS;
}

static bool done(void)
{
    return finished == started && !cold() && now() >= cached_end;
}

/* Cold reads visit each block once, in no order of the disk; 7919 has no common factor with their number. */
static void read_next(unsigned buffer)
{
    caio_op *op;
    if (started >= COLD_READS && !cold() && now() >= cached_end)
        return;
    block_of[buffer] = started < COLD_READS ? started * 7919u % BLOCKS : buffer;
    op = &next[next_count++];
    memset(op, 0, sizeof *op);
    op->user_data = buffer;
    op->opcode = CAIO_OP_READ;
    op->fd = file;
    op->buf = buffers[buffer];
    op->len = BLOCK;
    op->offset = (uint64_t)block_of[buffer] * BLOCK;
    started++;
}

/* One submit for all events of a wake-up takes less time than one for each. */
static void submit_next(void)
{
    if (ctx)
        for (uint32_t done = 0; done < next_count;)
            done += (uint32_t)caio_checked(caio_ctx_submit(ctx, next + done, next_count - done), "submit");
    else
        for (uint32_t i = 0; i < next_count; i++)
            pool_submit(&next[i]);
    next_count = 0;
}

static void on_read(const caio_event *event)
{
    unsigned buffer = (unsigned)event->user_data;
    if (event->result != BLOCK || memcmp(buffers[buffer], &block_of[buffer], sizeof block_of[buffer]) != 0) {
        fprintf(stderr, "read: wrong data\n");
        exit(1);
    }
    if (++finished == COLD_READS)
        cached_end = now() + cached_seconds;
    cached_reads += finished > COLD_READS;
    read_next(buffer);
}

bool reads_handle_full(bool *full)
{
    caio_event events[BATCH];
    int count = ctx ? caio_ctx_poll(ctx, events, BATCH) : pool_poll(events, BATCH);
    caio_checked(count, "poll");
    for (int i = 0; i < count; i++)
        on_read(&events[i]);
    submit_next();
    *full = count == BATCH;
    return !done();
}

bool reads_handle(void)
{
    bool full;
    return reads_handle_full(&full);
}

void reads_tick(void)
{
    double t = now(), late = t - last_tick - TICK_MS * 1e-3;
    double *worst = cold() ? &worst_cold : &worst_cached;
    if (late > *worst)
        *worst = late;
    last_tick = t;
}

int reads_descriptor(void)
{
    return ctx ? caio_ctx_eventfd(ctx) : pool_descriptor();
}

void reads_start(int argc, char **argv)
{
    if (argc != 3 || (strcmp(argv[1], "caio") != 0 && strcmp(argv[1], "pool") != 0)) {
        fprintf(stderr, "usage: LOOP caio|pool FILE\n");
        exit(2);
    }
    file = checked(open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC, 0600), argv[2]);
    if (lseek(file, 0, SEEK_END) != (off_t)BLOCKS * BLOCK)
        write_file();
    posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM);
    if (strcmp(argv[1], "caio") == 0)
        caio_checked(caio_ctx_new(NULL, &ctx), "context");
    else
        pool_start();
    last_tick = now();
    for (unsigned buffer = 0; buffer < DEPTH; buffer++)
        read_next(buffer);
    submit_next();
}

int reads_finish(void)
{
    reads_tick();
    if (ctx)
        caio_ctx_free(ctx);
    else
        pool_stop();
    close(file);
    printf("%.1f %.1f %.0f\n", worst_cold * 1e3, worst_cached * 1e3, cached_reads / cached_seconds);
    return fflush(stdout) != 0;
}
