/* Edge-triggered epoll: take one batch of completions per wake-up, then re-arm.
 *
 *   epoll_rearm FILE
 *
 * Cached reads complete inside caio_ctx_submit. If each completion submits the next read, a handler that polls until it
 * gets fewer completions than it asked for never returns to the loop, and starves everything else in it. This program
 * reads the start of FILE both ways, for half a second each, and prints how late a timer ran. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <caio.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { DEPTH = 64, BATCH = 16, LENGTH = 4096 };

static const double duration = 0.5, interval = 0.005;

static char buffers[DEPTH][LENGTH];
static caio_ctx *ctx;
static int file, loop, timer;
static double end, next_tick, worst_delay;
static unsigned long reading, reads;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "epoll_rearm: %s: %s\n", what, why);
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

static void read_into(uint64_t buffer)
{
    caio_op op;
    int error;
    memset(&op, 0, sizeof op);
    op.user_data = buffer;
    op.opcode = CAIO_OP_READ;
    op.fd = file;
    op.buf = buffers[buffer];
    op.len = LENGTH;
    error = caio_ctx_submit(ctx, &op, 1);
    if (error < 0)
        fail("submit", caio_strerror(error));
    reading++;
}

static void on_read(const caio_event *event)
{
    reading--;
    reads++;
    if (event->result < 0)
        fail("read", caio_strerror((int)event->result));
    if (now() < end)
        read_into(event->user_data);
}

static int take_batch(void)
{
    caio_event events[BATCH];
    int count = caio_ctx_poll(ctx, events, BATCH);
    if (count < 0)
        fail("poll", caio_strerror(count));
    for (int i = 0; i < count; i++)
        on_read(&events[i]);
    return count;
}

static void watch(int fd, int operation, uint32_t flags)
{
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN | flags;
    event.data.fd = fd;
    checked(epoll_ctl(loop, operation, fd, &event), "epoll");
}

/* Right: if there may be more completions, re-arming makes epoll_wait report the descriptor again, after other events. */
static void one_batch(void)
{
    if (take_batch() == BATCH)
        watch(caio_ctx_eventfd(ctx), EPOLL_CTL_MOD, EPOLLET);
}

/* Wrong: the handlers submit reads that complete at once, so that every batch is full. */
static void until_empty(void)
{
    while (take_batch() == BATCH)
        ;
}

static void on_timer(void)
{
    uint64_t expirations;
    if (read(timer, &expirations, sizeof expirations) < 0)
        return;
    if (now() - next_tick > worst_delay)
        worst_delay = now() - next_tick;
    next_tick += interval * (double)expirations;
}

static void start_timer(void)
{
    struct itimerspec every;
    memset(&every, 0, sizeof every);
    every.it_value.tv_nsec = every.it_interval.tv_nsec = (long)(interval * 1e9);
    next_tick = now() + interval;
    checked(timerfd_settime(timer, 0, &every, NULL), "timer");
}

/* Returns the longest delay of the timer in seconds. */
static double run(void (*on_events)(void))
{
    struct epoll_event ready[2];
    reads = 0;
    worst_delay = 0;
    start_timer();
    end = now() + duration;
    for (uint64_t buffer = 0; buffer < DEPTH; buffer++)
        read_into(buffer);
    while (reading > 0 || now() < end) {
        int count = epoll_wait(loop, ready, 2, -1);
        if (count < 0 && errno != EINTR)
            fail("epoll", strerror(errno));
        for (int i = 0; i < count; i++) {
            if (ready[i].data.fd == timer)
                on_timer();
            else
                on_events();
        }
    }
    on_timer();
    return worst_delay;
}

int main(int argc, char **argv)
{
    int error;
    if (argc != 2)
        fail("usage", "epoll_rearm FILE");
    file = checked(open(argv[1], O_RDONLY | O_CLOEXEC), argv[1]);
    error = caio_ctx_new(NULL, &ctx);
    if (error < 0)
        fail("context", caio_strerror(error));
    loop = checked(epoll_create1(EPOLL_CLOEXEC), "epoll");
    timer = checked(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "timer");
    watch(timer, EPOLL_CTL_ADD, 0);
    watch(caio_ctx_eventfd(ctx), EPOLL_CTL_ADD, EPOLLET);

    printf("one batch, then re-arm: %.1f ms late at most", run(one_batch) * 1e3);
    printf(", %lu reads\n", reads);
    printf("until the queue is empty: %.1f ms late at most", run(until_empty) * 1e3);
    printf(", %lu reads\n", reads);
    caio_ctx_free(ctx);
    checked(fflush(stdout), "output");
    return 0;
}
