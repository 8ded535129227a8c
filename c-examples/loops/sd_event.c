/* sd-event of systemd */
#include "reads.h"
#include <errno.h>
#include <systemd/sd-event.h>
#include <time.h>

static int sd_checked(int result)
{
    errno = -result;
    return checked(result < 0 ? -1 : result, "sd-event");
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *unused)
{
    (void)fd;
    (void)events;
    (void)unused;
    return reads_handle() ? 0 : sd_event_exit(sd_event_source_get_event(source), 0);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *unused)
{
    (void)usec;
    (void)unused;
    reads_tick();
    sd_checked(sd_event_source_set_time_relative(source, TICK_MS * 1000));
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int main(int argc, char **argv)
{
    sd_event *loop = NULL;
    sd_event_source *readable = NULL, *timer = NULL;
    reads_start(argc, argv);
    sd_checked(sd_event_new(&loop));
    sd_checked(sd_event_add_io(loop, &readable, reads_descriptor(), EPOLLIN, on_readable, NULL));
    sd_checked(sd_event_add_time_relative(loop, &timer, CLOCK_MONOTONIC, TICK_MS * 1000, 1, on_timer, NULL));
    sd_checked(sd_event_loop(loop));

    sd_event_source_disable_unref(readable); /* before caio_ctx_free */
    sd_event_source_disable_unref(timer);
    sd_event_unref(loop);
    return reads_finish();
}
