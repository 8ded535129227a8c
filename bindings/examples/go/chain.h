/* What main.go needs of C. */
#define _GNU_SOURCE
#include <caio.h>
#include <fcntl.h>
#include <stdlib.h>

/* For os.File, which closes what it is given. */
static int copy(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 0); }

/* Submits the chain of one file. The buffer is C's, because C may not keep memory of Go. */
static int submit(caio_ctx *ctx, uint64_t index, const char *path, void *buffer, size_t size) {
    caio_op ops[] = {
        {.user_data = index * 3, .opcode = CAIO_OP_OPENAT, .flags = CAIO_FLAG_LINK, .fd = AT_FDCWD, .buf = (void *)path},
        {.user_data = index * 3 + 1, .opcode = CAIO_OP_READ, .flags = CAIO_FLAG_LINK | CAIO_FLAG_FULL, .fd = CAIO_FD_OPENED, .buf = buffer, .len = size},
        {.user_data = index * 3 + 2, .opcode = CAIO_OP_CLOSE, .fd = CAIO_FD_OPENED}};
    ops[0].sys_flags = O_CLOEXEC;
    return caio_ctx_submit(ctx, ops, 3); // copies the path
}
