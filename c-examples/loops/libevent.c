/* libevent */
#include "reads.h"
#include <event2/event.h>

static void on_readable(evutil_socket_t fd, short what, void *base)
{
    (void)fd;
    (void)what;
    if (!reads_handle())
        event_base_loopbreak((struct event_base *)base);
}

static void on_timer(evutil_socket_t fd, short what, void *unused)
{
    (void)fd;
    (void)what;
    (void)unused;
    reads_tick();
}

int main(int argc, char **argv)
{
    const struct timeval every = {0, TICK_MS * 1000};
    struct event_base *base = event_base_new();
    struct event *readable, *timer;
    reads_start(argc, argv);
    readable = event_new(base, reads_descriptor(), EV_READ | EV_PERSIST, on_readable, base);
    timer = event_new(base, -1, EV_PERSIST, on_timer, NULL);
    if (!readable || !timer || event_add(readable, NULL) < 0 || event_add(timer, &every) < 0)
        return 1;
    event_base_dispatch(base);

    event_free(readable); /* before caio_ctx_free */
    event_free(timer);
    event_base_free(base);
    return reads_finish();
}
