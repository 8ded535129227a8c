/* libuv */
#include "reads.h"
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static void uv_checked(int error)
{
    if (error == 0)
        return;
    fprintf(stderr, "libuv: %s\n", uv_strerror(error));
    exit(1);
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    (void)events;
    uv_checked(status);
    if (!reads_handle())
        uv_stop(handle->loop);
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
    reads_tick();
}

int main(int argc, char **argv)
{
    uv_loop_t loop;
    uv_poll_t handle;
    uv_timer_t timer;
    uv_checked(uv_loop_init(&loop));
    reads_start(argc, argv);
    uv_checked(uv_poll_init(&loop, &handle, reads_descriptor()));
    uv_checked(uv_poll_start(&handle, UV_READABLE, on_readable));
    uv_checked(uv_timer_init(&loop, &timer));
    uv_checked(uv_timer_start(&timer, on_timer, TICK_MS, TICK_MS));
    uv_run(&loop, UV_RUN_DEFAULT);

    uv_poll_stop(&handle); /* before caio_ctx_free; the handle itself lives until its close callback */
    uv_close((uv_handle_t *)&handle, NULL);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_checked(uv_loop_close(&loop));
    return reads_finish();
}
