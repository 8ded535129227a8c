/* epoll(7), level-triggered. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "reads.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void watch(int loop, int fd)
{
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    event.data.fd = fd;
    checked(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

static int ticking(void)
{
    struct itimerspec every = {{0, TICK_MS * 1000000L}, {0, TICK_MS * 1000000L}};
    int timer = checked(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "timerfd");
    checked(timerfd_settime(timer, 0, &every, NULL), "timerfd");
    return timer;
}

int main(int argc, char **argv)
{
    int loop = checked(epoll_create1(EPOLL_CLOEXEC), "epoll");
    int timer = ticking();
    bool more = true;
    reads_start(argc, argv);
    watch(loop, timer);
    watch(loop, reads_descriptor());
    while (more) {
        struct epoll_event ready[2];
        uint64_t expirations;
        int count = epoll_wait(loop, ready, 2, -1);
        if (count < 0 && errno != EINTR)
            checked(count, "epoll_wait");
        for (int i = 0; i < count; i++) {
            if (ready[i].data.fd != timer)
                more = reads_handle();
            else if (read(timer, &expirations, sizeof expirations) > 0)
                reads_tick();
        }
    }
    checked(epoll_ctl(loop, EPOLL_CTL_DEL, reads_descriptor(), NULL), "epoll_ctl"); /* before caio_ctx_free */
    close(timer);
    close(loop);
    return reads_finish();
}
