#include <caio.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

int main(void)
{
    static char buf[4096];
    caio_op op = {.opcode = CAIO_OP_READ, .fd = open("/etc/os-release", O_RDONLY), .buf = buf, .len = sizeof buf};
    caio_event event;
    caio_ctx *ctx;
    if (caio_ctx_new(NULL, &ctx) < 0 || caio_ctx_submit(ctx, &op, 1) < 0)
        return 1;

    struct pollfd loop = {.fd = caio_ctx_eventfd(ctx), .events = POLLIN}; /* your event loop */
    int count;
    while ((count = caio_ctx_poll(ctx, &event, 1)) == 0)
        if (poll(&loop, 1, -1) < 0 && errno != EINTR)
            return 1;

    int64_t result = count < 0 ? count : event.result;
    if (result < 0)
        fprintf(stderr, "cannot read: %s\n", caio_strerror((int)result));
    else
        fwrite(buf, 1, (size_t)result, stdout);
    caio_ctx_free(ctx);
    return result < 0 || fflush(stdout) != 0;
}
