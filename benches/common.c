/* The shared event loop, the clock, and how an engine fails. */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

_Noreturn void die(const char *what, int error)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(error));
    exit(1);
}

void check_moved(const char *engine, long long moved, unsigned wanted)
{
    if (moved < 0)
        die(engine, (int)-moved);
    if (moved != wanted) {
        fprintf(stderr, "bench: %s: %lld bytes moved instead of %u\n", engine, moved, wanted);
        exit(1);
    }
}

uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int chosen(const char *list, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = list; (at = strstr(at, word)); at += length)
        if ((at == list || strchr(" ,", at[-1])) && strchr(" ,", at[length]))
            return 1;
    return !list[strspn(list, " ,")];
}

int loop_open(int watched, uint32_t events)
{
    struct epoll_event event = {.events = events};
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
