#include "bench.h"

#include <stddef.h>

const struct engine *const engines[] = {
    &engine_auto_st, &engine_auto, &engine_uring, &engine_linux, &engine_thread, &engine_uring_noinline,
#ifdef HAVE_LIBURING
    &engine_liburing, &engine_liburing_polled, &engine_liburing_quiet, &engine_liburing_defer,
#endif
#ifdef HAVE_LIBAIO
    &engine_libaio,
#endif
#ifdef HAVE_LIBUV
    &engine_libuv,
#endif
    &engine_sync, &engine_sync_batch, &engine_sync_thread, NULL,
};
