/* GLib, and so GTK */
#include "reads.h"
#include <glib-unix.h>

static gboolean on_readable(gint fd, GIOCondition condition, gpointer loop)
{
    (void)fd;
    (void)condition;
    if (reads_handle())
        return G_SOURCE_CONTINUE;
    g_main_loop_quit((GMainLoop *)loop);
    return G_SOURCE_REMOVE; /* the source must go before caio_ctx_free: GLib spins on a closed descriptor */
}

static gboolean on_timer(gpointer unused)
{
    (void)unused;
    reads_tick();
    return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv)
{
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    guint timer;
    reads_start(argc, argv);
    /* The priority of the timer: sources of one priority take turns. */
    timer = g_timeout_add(TICK_MS, on_timer, NULL);
    g_unix_fd_add(reads_descriptor(), G_IO_IN, on_readable, loop);
    g_main_loop_run(loop);

    g_source_remove(timer);
    g_main_loop_unref(loop);
    return reads_finish();
}
