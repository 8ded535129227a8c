/* select: the socket of caio_ctx_eventfd beside other sockets. */
#include "work.h"

int main(int argc, char **argv)
{
    caio_ctx *ctx = work_start(argc, argv);
    SOCKET completions = (SOCKET)checked(caio_ctx_eventfd(ctx), "caio_ctx_eventfd");
    bool more = true;
    while (more) {
        fd_set readable;
        FD_ZERO(&readable);
        FD_SET(completions, &readable);
        if (select(0, &readable, NULL, NULL, NULL) == SOCKET_ERROR)
            return 1;
        if (FD_ISSET(completions, &readable))
            more = work_handle(ctx);
    }
    return work_finish(ctx);
}
