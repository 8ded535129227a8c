#include "work.h"
#include <stdio.h>
#include <stdlib.h>

enum { AT_FDCWD = -100, OPEN = 1, READ = 2 };

static char buffer[64 * 1024];
static caio_op read_op = {.opcode = CAIO_OP_READ, .user_data = READ, .buf = buffer, .len = sizeof buffer};

int checked(int result, const char *what)
{
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", what, caio_strerror(result));
        exit(1);
    }
    return result;
}

caio_ctx *work_start(int argc, char **argv)
{
    caio_op open = {.opcode = CAIO_OP_OPENAT, .user_data = OPEN, .fd = AT_FDCWD};
    caio_ctx *ctx;
    WSADATA sockets;
    if (argc != 2) {
        fprintf(stderr, "usage: %s FILE\n", argv[0]);
        exit(2);
    }
    WSAStartup(MAKEWORD(2, 2), &sockets);
    checked(caio_ctx_new(NULL, &ctx), "caio_ctx_new");
    open.buf = argv[1];
    checked(caio_ctx_submit(ctx, &open, 1), "caio_ctx_submit");
    return ctx;
}

bool work_handle(caio_ctx *ctx)
{
    caio_event event;
    while (checked(caio_ctx_poll(ctx, &event, 1), "caio_ctx_poll") > 0) {
        checked((int)event.result, event.user_data == OPEN ? "open" : "read");
        if (event.user_data == OPEN) {
            read_op.fd = (int)event.result; /* a HANDLE, of which 32 bits count */
        } else {
            fwrite(buffer, 1, (size_t)event.result, stdout);
            read_op.offset += (uint64_t)event.result;
            if (event.result == 0)
                return false;
        }
        checked(caio_ctx_submit(ctx, &read_op, 1), "caio_ctx_submit");
    }
    return true;
}

int work_finish(caio_ctx *ctx)
{
    caio_ctx_free(ctx);
    CloseHandle((HANDLE)(intptr_t)read_op.fd);
    WSACleanup();
    return fflush(stdout) != 0;
}
