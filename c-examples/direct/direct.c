/* What O_DIRECT requires of a file. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "direct.h"
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x2000U
#endif

/* struct statx of Linux 6.1; older headers end before the last two fields. */
struct statx_direct {
    uint32_t mask;
    uint8_t unused[148];
    uint32_t memory, offset;
    uint8_t rest[96];
};
_Static_assert(sizeof(struct statx_direct) == 256, "the size of struct statx");

bool direct_alignment(int fd, void *buf, uint32_t *memory, uint32_t *offset)
{
    struct statx_direct st = {0};
    if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) == 0 && (st.mask & STATX_DIOALIGN) && st.offset != 0) {
        *memory = st.memory;
        *offset = st.offset;
        return true;
    }
    for (uint32_t size = 512; size <= DIRECT_LARGEST; size *= 2)
        if (pread(fd, buf, size, 0) >= 0) {
            *memory = *offset = size;
            return true;
        }
    return false;
}
