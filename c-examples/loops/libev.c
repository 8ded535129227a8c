/* libev */
#include "reads.h"
#include <ev.h>

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)watcher;
    (void)events;
    if (!reads_handle())
        ev_break(loop, EVBREAK_ALL);
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)watcher;
    (void)events;
    reads_tick();
}

int main(int argc, char **argv)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    ev_io readable;
    ev_timer timer;
    reads_start(argc, argv);
    ev_init(&readable, on_readable);
    ev_io_set(&readable, reads_descriptor(), EV_READ);
    ev_io_start(loop, &readable);
    ev_init(&timer, on_timer);
    ev_timer_set(&timer, TICK_MS * 1e-3, TICK_MS * 1e-3);
    ev_timer_start(loop, &timer);
    ev_run(loop, 0);

    ev_io_stop(loop, &readable); /* before caio_ctx_free */
    ev_timer_stop(loop, &timer);
    ev_loop_destroy(loop);
    return reads_finish();
}
