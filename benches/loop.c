/* The shared event loop, and how an engine fails. */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

_Noreturn void die(const char *what, int error)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(error));
    exit(1);
}

void check_read(const char *engine, long long moved)
{
    if (moved < 0)
        die(engine, (int)-moved);
    if (moved != BLOCK) {
        fprintf(stderr, "bench: %s: a read moved %lld bytes\n", engine, moved);
        exit(1);
    }
}

int loop_open(int watched)
{
    struct epoll_event event = {.events = EPOLLIN};
    int loop = epoll_create1(EPOLL_CLOEXEC);

    if (loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, watched, &event) < 0)
        die("epoll", errno);
    return loop;
}

void loop_wait(int loop)
{
    struct epoll_event event;

    while (epoll_wait(loop, &event, 1, -1) < 0)
        if (errno != EINTR)
            die("epoll_wait", errno);
}
