/* epoll(7), edge-triggered: take one batch for each wake-up, then re-arm the descriptor.
 *
 * Cached reads complete inside submit, and each starts the next one. A handler that polls until the array is not full never
 * returns to the loop; compile with -DDRAIN to see it starve the timer. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "reads.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void watch(int loop, int operation, int fd, uint32_t how)
{
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN | how;
    event.data.fd = fd;
    checked(epoll_ctl(loop, operation, fd, &event), "epoll_ctl");
}

static bool on_readable(int loop)
{
    bool full, more = reads_handle_full(&full);
#ifdef DRAIN
    while (full && more)
        more = reads_handle_full(&full);
#endif
    if (full) /* more may be pending: epoll_wait reports it again, after the other descriptors */
        watch(loop, EPOLL_CTL_MOD, reads_descriptor(), EPOLLET);
    return more;
}

int main(int argc, char **argv)
{
    const struct itimerspec every = {{0, TICK_MS * 1000000L}, {0, TICK_MS * 1000000L}};
    int loop = checked(epoll_create1(EPOLL_CLOEXEC), "epoll");
    int timer = checked(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "timerfd");
    struct epoll_event ready[2];
    reads_start(argc, argv);
    checked(timerfd_settime(timer, 0, &every, NULL), "timerfd");
    watch(loop, EPOLL_CTL_ADD, timer, 0);
    watch(loop, EPOLL_CTL_ADD, reads_descriptor(), EPOLLET);
    for (bool more = true; more;) {
        uint64_t expirations;
        int count = epoll_wait(loop, ready, 2, -1);
        for (int i = 0; i < count; i++) {
            if (ready[i].data.fd != timer)
                more = on_readable(loop);
            else if (read(timer, &expirations, sizeof expirations) > 0)
                reads_tick();
        }
    }
    checked(epoll_ctl(loop, EPOLL_CTL_DEL, reads_descriptor(), NULL), "epoll_ctl"); /* before caio_ctx_free */
    return reads_finish();
}
