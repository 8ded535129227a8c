/* Writes and syncs "Hello world" and reads it back. Then two writes, both in flight, make "Hello from async world". */
#include <caio.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef _WIN32
#include <io.h>
#define descriptor_of(file) ((int)_get_osfhandle(_fileno(file)))
#else
#define descriptor_of(file) fileno(file)
#endif

static void check(int result)
{
    if (result < 0) {
        fprintf(stderr, "hello: %s\n", caio_strerror(result));
        exit(1);
    }
}

/* Submits operations and waits until all are complete. The context has room for all of them. */
static void run(caio_ctx *ctx, const caio_op *ops, uint32_t count)
{
    check(caio_ctx_submit(ctx, ops, count));
    while (count > 0) {
        caio_event event;
        int got = caio_ctx_wait(ctx, &event, 1, 1, -1);
        check(got);
        if (got == 1)
            check((int)event.result);
        count -= (uint32_t)got;
    }
}

int main(void)
{
    static char hello[] = "Hello world", from[] = "Hello from ", world[] = "async world", text[64];
    FILE *file = tmpfile();
    int fd = file ? descriptor_of(file) : -1;
    caio_ctx *ctx;
    if (fd < 0 || caio_ctx_new(NULL, &ctx) < 0)
        return 1;

    caio_op read = {.opcode = CAIO_OP_READ, .fd = fd, .buf = text, .len = sizeof text - 1};
    caio_op first[] = {{.opcode = CAIO_OP_WRITE, .flags = CAIO_FLAG_LINK | CAIO_FLAG_FULL, .fd = fd, .buf = hello, .len = 11},
                       {.opcode = CAIO_OP_FDSYNC, .fd = fd}};
    caio_op both[] = {{.opcode = CAIO_OP_WRITE, .flags = CAIO_FLAG_FULL, .fd = fd, .buf = from, .len = 11},
                      {.opcode = CAIO_OP_WRITE, .flags = CAIO_FLAG_FULL, .fd = fd, .buf = world, .len = 11, .offset = 11}};
    run(ctx, first, 2); /* linked: the sync starts after the write */
    run(ctx, &read, 1);
    puts(text);
    run(ctx, both, 2); /* not linked: in any order, or at the same time */
    run(ctx, &read, 1);
    puts(text);
    caio_ctx_free(ctx);
    return fflush(stdout) != 0;
}
