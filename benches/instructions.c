/* instructions ENGINE BATCH COUNT FOLDER: submits and collects COUNT batches of cached 4 KiB reads. A profiler counts the
 * instructions; the difference between a long and a short run is the cost of the operations. */
#include "bench.h"

#include <caio.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BATCH = 128 };

static char buffer[BLOCK];

static caio_ctx *context(const char *engine)
{
    caio_options options = CAIO_OPTIONS_INIT;
    caio_ctx *ctx;

    for (options.backend = CAIO_BACKEND_URING; options.backend <= CAIO_BACKEND_THREAD; options.backend++) {
        size_t length = strlen(caio_backend_name(options.backend));
        if (strncmp(engine, caio_backend_name(options.backend), length) != 0)
            continue;
        options.flags = strcmp(engine + length, "-st") == 0         ? CAIO_CTX_SINGLE_THREAD
                        : strcmp(engine + length, "-noinline") == 0 ? CAIO_CTX_NO_INLINE
                                                                    : 0;
        int error = caio_ctx_new(&options, &ctx);
        if (error < 0)
            die(engine, -error);
        return ctx;
    }
    die(engine, EINVAL);
}

static int file_open(const char *folder)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/instructions.data", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || pwrite(fd, buffer, BLOCK, 0) != BLOCK)
        die(path, errno);
    return fd;
}

static void run(caio_ctx *ctx, int fd, unsigned batch, unsigned count)
{
    caio_op ops[MAX_BATCH];
    caio_event events[MAX_BATCH];
    uint32_t polled;

    for (unsigned i = 0; i < batch; i++)
        ops[i] = (caio_op){.opcode = CAIO_OP_READ, .fd = fd, .buf = buffer, .len = BLOCK};
    while (count--) {
        int accepted = caio_ctx_submit_poll(ctx, ops, batch, events, MAX_BATCH, &polled);
        if (accepted != (int)batch)
            die("caio_ctx_submit_poll", accepted < 0 ? -accepted : 0);
        for (unsigned left = batch - polled; left; left -= polled) {
            int got = caio_ctx_wait(ctx, events, 1, MAX_BATCH, -1);
            if (got < 0)
                die("caio_ctx_wait", -got);
            polled = (uint32_t)got;
        }
        for (unsigned i = 0; i < polled; i++)
            check_moved("read", events[i].result, BLOCK);
    }
}

int main(int argc, char **argv)
{
    unsigned batch = argc == 5 ? (unsigned)atoi(argv[2]) : 0;

    if (batch == 0 || batch > MAX_BATCH) {
        fprintf(stderr, "usage: instructions ENGINE BATCH COUNT FOLDER\n");
        return 2;
    }
    caio_ctx *ctx = context(argv[1]);
    run(ctx, file_open(argv[4]), batch, (unsigned)atoi(argv[3]));
    caio_ctx_free(ctx);
    return 0;
}
