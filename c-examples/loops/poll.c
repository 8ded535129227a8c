/* poll(2): the timeout is the time until the next tick. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "reads.h"
#include <errno.h>
#include <poll.h>
#include <time.h>

static long long now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv)
{
    const long long interval = TICK_MS * 1000000LL;
    reads_start(argc, argv);
    struct pollfd watched = {reads_descriptor(), POLLIN, 0};
    long long next_tick = now_ns() + interval;
    bool more = true;
    while (more) {
        long long left = next_tick - now_ns();
        struct timespec timeout = {0, left > 0 ? (long)left : 0};
        int ready = ppoll(&watched, 1, &timeout, NULL);
        if (ready < 0 && errno != EINTR)
            checked(ready, "poll");
        if (now_ns() >= next_tick) {
            reads_tick();
            next_tick = now_ns() + interval;
        }
        if (ready > 0)
            more = reads_handle();
    }
    return reads_finish(); /* nothing watches the descriptor any more */
}
