/* Writes "Hello world", reads it back and syncs it; then two writes at once make "Hello from async world". */
#include <caio.h>
#include <stdio.h>
#include <stdlib.h>

/* Submits operations and waits until all are done. */
static void run(caio_ctx *ctx, const caio_op *ops, uint32_t count)
{
    caio_event event;
    int got = caio_ctx_submit(ctx, ops, count);
    for (uint32_t done = 0; got >= 0 && done < count; done += (uint32_t)got) {
        got = caio_ctx_wait(ctx, &event, 1, 1, -1);
        if (got == 1 && event.result < 0)
            got = (int)event.result;
    }
    if (got < 0) {
        fprintf(stderr, "hello: %s\n", caio_strerror(got));
        exit(1);
    }
}

int main(void)
{
    static char hello[] = "Hello world", from[] = "Hello from ", world[] = "async world", text[64];
    FILE *file = tmpfile();
    int fd = file ? fileno(file) : -1;
    caio_ctx *ctx;
    if (fd < 0 || caio_ctx_new(NULL, &ctx) < 0)
        return 1;

    caio_op read = {.opcode = CAIO_OP_READ, .fd = fd, .buf = text, .len = sizeof text - 1};
    caio_op first[] = {{.opcode = CAIO_OP_WRITE, .flags = CAIO_FLAG_LINK, .fd = fd, .buf = hello, .len = 11},
                       {.opcode = CAIO_OP_FDSYNC, .fd = fd}};
    caio_op both[] = {{.opcode = CAIO_OP_WRITE, .fd = fd, .buf = from, .len = 11},
                      {.opcode = CAIO_OP_WRITE, .fd = fd, .buf = world, .len = 11, .offset = 11}};
    run(ctx, first, 2); /* the sync waits for the write: they are linked */
    run(ctx, &read, 1);
    puts(text);
    run(ctx, both, 2); /* no link: in any order, or at the same time */
    run(ctx, &read, 1);
    puts(text);
    caio_ctx_free(ctx);
    return 0;
}
