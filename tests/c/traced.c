/* traced BACKEND FILE: one operation of each path, for the tests of the probes: a cached read, the same read without completion
 * inside submit, a sync on a worker thread, a read of a pipe that data ends, one that a cancel ends, and a submit that is
 * refused. Their user data is 1 to 5. */
#include <caio.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char buffer[4096];

static void fail(const char *what, int error)
{
    fprintf(stderr, "%s: %s\n", what, caio_strerror(error));
    exit(1);
}

static caio_ctx *context(unsigned backend, unsigned flags)
{
    caio_options options = CAIO_OPTIONS_INIT;
    caio_ctx *ctx;

    options.backend = backend;
    options.flags = flags;
    int error = caio_ctx_new(&options, &ctx);
    if (error < 0)
        fail("caio_ctx_new", error);
    return ctx;
}

static void submit(caio_ctx *ctx, caio_op op)
{
    int accepted = caio_ctx_submit(ctx, &op, 1);
    if (accepted != 1)
        fail("caio_ctx_submit", accepted);
}

static int64_t result(caio_ctx *ctx)
{
    caio_event event;
    int got = caio_ctx_wait(ctx, &event, 1, 1, -1);
    if (got != 1)
        fail("caio_ctx_wait", got);
    return event.result;
}

int main(int argc, char **argv)
{
    int ends[2], fd = argc == 3 ? open(argv[2], O_RDWR) : -1;

    if (fd < 0 || pipe(ends) != 0 || read(fd, buffer, 10) != 10)
        return 2;
    caio_op file = {.opcode = CAIO_OP_READ, .fd = fd, .buf = buffer, .len = 10};
    caio_op stream = {.opcode = CAIO_OP_READ, .fd = ends[0], .buf = buffer, .len = 3, .offset = CAIO_OFFSET_CURRENT};
    caio_op wrong = {.opcode = 200};
    caio_ctx *ctx = context((unsigned)atoi(argv[1]), 0), *other = context((unsigned)atoi(argv[1]), CAIO_CTX_NO_INLINE);
    int ok = caio_ctx_submit(ctx, &wrong, 1) < 0;

    file.user_data = 1;
    submit(ctx, file);
    ok &= result(ctx) == 10;
    file.user_data = 2;
    submit(other, file);
    ok &= result(other) == 10;
    submit(ctx, (caio_op){.user_data = 3, .opcode = CAIO_OP_FSYNC, .fd = fd});
    ok &= result(ctx) == 0;
    stream.user_data = 4;
    submit(ctx, stream);
    ok &= write(ends[1], "abc", 3) == 3 && result(ctx) == 3;
    stream.user_data = 5;
    submit(ctx, stream);
    ok &= caio_ctx_cancel(ctx, 5) == 1 && result(ctx) < 0;
    caio_ctx_free(other);
    caio_ctx_free(ctx);
    return ok ? 0 : 1;
}
