/* A timer and a file in one epoll loop: reads do not delay the timer.
 *
 *   epoll_loop FILE
 *
 * Reads the file with 32 reads in flight while a timer ticks every 10 ms, and prints the throughput and the longest
 * time between two ticks. To read from the disk, drop the page cache first (echo 3 >/proc/sys/vm/drop_caches). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <caio.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { DEPTH = 32, CHUNK = 128 * 1024, TICK_MS = 10 };

static char buffers[DEPTH][CHUNK];
static uint64_t next_offset, total;
static int file, reading, at_end;
static double last_tick, longest_gap;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "epoll_loop: %s: %s\n", what, why);
    exit(1);
}

static int checked(int result, const char *what)
{
    if (result < 0)
        fail(what, strerror(errno));
    return result;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Submits the next read of the file, into a buffer whose number the completion carries. */
static void read_next(caio_ctx *ctx, uint64_t buffer)
{
    caio_op op;
    int error;
    memset(&op, 0, sizeof op);
    op.user_data = buffer;
    op.opcode = CAIO_OP_READ;
    op.flags = CAIO_FLAG_FULL; /* short only at the end of the file */
    op.fd = file;
    op.buf = buffers[buffer];
    op.len = CHUNK;
    op.offset = next_offset;
    error = caio_ctx_submit(ctx, &op, 1);
    if (error < 0)
        fail("submit", caio_strerror(error));
    next_offset += CHUNK;
    reading++;
}

static void on_read(caio_ctx *ctx, const caio_event *event)
{
    reading--;
    if (event->result < 0)
        fail("read", caio_strerror((int)event->result));
    total += (uint64_t)event->result; /* a real program would use buffers[event->user_data] here */
    at_end |= event->result < CHUNK;
    if (!at_end)
        read_next(ctx, event->user_data);
}

static void on_events(caio_ctx *ctx)
{
    caio_event events[DEPTH];
    int count = caio_ctx_poll(ctx, events, DEPTH);
    if (count < 0)
        fail("poll", caio_strerror(count));
    for (int i = 0; i < count; i++)
        on_read(ctx, &events[i]);
}

static void tick(void)
{
    double t = now();
    if (t - last_tick > longest_gap)
        longest_gap = t - last_tick;
    last_tick = t;
}

static void on_timer(int timer)
{
    uint64_t expirations;
    if (read(timer, &expirations, sizeof expirations) > 0)
        tick();
}

static int make_timer(void)
{
    struct itimerspec every;
    int timer = checked(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "timerfd");
    memset(&every, 0, sizeof every);
    every.it_value.tv_nsec = every.it_interval.tv_nsec = TICK_MS * 1000000L;
    checked(timerfd_settime(timer, 0, &every, NULL), "timerfd");
    return timer;
}

static void watch(int loop, int fd)
{
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    event.data.fd = fd;
    checked(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event), "epoll");
}

int main(int argc, char **argv)
{
    caio_ctx *ctx;
    struct epoll_event ready;
    double start;
    int timer, loop, error;
    if (argc != 2)
        fail("usage", "epoll_loop FILE");
    file = checked(open(argv[1], O_RDONLY | O_CLOEXEC), argv[1]);
    error = caio_ctx_new(NULL, &ctx);
    if (error < 0)
        fail("context", caio_strerror(error));
    loop = checked(epoll_create1(EPOLL_CLOEXEC), "epoll");
    timer = make_timer();
    watch(loop, timer);
    watch(loop, caio_ctx_eventfd(ctx));

    start = last_tick = now();
    for (uint64_t buffer = 0; buffer < DEPTH; buffer++)
        read_next(ctx, buffer);
    while (reading > 0) {
        int count = epoll_wait(loop, &ready, 1, -1);
        if (count < 0 && errno == EINTR)
            continue;
        checked(count, "epoll");
        if (ready.data.fd == timer)
            on_timer(timer);
        else
            on_events(ctx);
    }
    tick();
    start = now() - start;
    printf("%.1f MB in %.2f s, %.0f MB/s, %s\n", (double)total / 1e6, start, (double)total / 1e6 / start,
           caio_backend_name((uint32_t)caio_ctx_backend(ctx)));
    printf("a tick every %d ms; the longest gap between two was %.1f ms\n", TICK_MS, longest_gap * 1e3);
    caio_ctx_free(ctx);
    checked(fflush(stdout), "output");
    return 0;
}
