/* The program of the README for Windows: reads a file through a loop that waits for handles. */
#include <caio.h>
#include <stdio.h>
#include <windows.h>

int main(int argc, char **argv)
{
    static char buf[4096];
    const char *path = argc > 1 ? argv[1] : "C:\\windows\\win.ini";
    HANDLE file = CreateFileA(path, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    caio_op op = {.opcode = CAIO_OP_READ, .fd = (int)(intptr_t)file, .buf = buf, .len = sizeof buf};
    caio_event event;
    caio_ctx *ctx;
    void *loop; /* your event loop */
    if (caio_ctx_new(NULL, &ctx) < 0 || caio_ctx_event_handle(ctx, &loop) < 0 || caio_ctx_submit(ctx, &op, 1) < 0)
        return 1;

    int count;
    while ((count = caio_ctx_poll(ctx, &event, 1)) == 0)
        if (WaitForMultipleObjects(1, &loop, FALSE, INFINITE) == WAIT_FAILED)
            return 1;

    int64_t result = count < 0 ? count : event.result;
    if (result < 0)
        fprintf(stderr, "cannot read: %s\n", caio_strerror((int)result));
    else
        fwrite(buf, 1, (size_t)result, stdout);
    caio_ctx_free(ctx);
    return result < 0 || fflush(stdout) != 0;
}
