/* WSAPoll: the socket of caio_ctx_eventfd beside other sockets. */
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0602
#endif
#include "work.h"

int main(int argc, char **argv)
{
    caio_ctx *ctx = work_start(argc, argv);
    WSAPOLLFD watched = {.fd = (SOCKET)checked(caio_ctx_eventfd(ctx), "caio_ctx_eventfd"), .events = POLLRDNORM};
    bool more = true;
    while (more) {
        if (WSAPoll(&watched, 1, -1) == SOCKET_ERROR)
            return 1;
        if (watched.revents & POLLRDNORM)
            more = work_handle(ctx);
    }
    return work_finish(ctx);
}
