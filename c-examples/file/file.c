/* The file system of a file, and what O_DIRECT requires. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "file.h"
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

const char *file_system_of(int fd)
{
    static const struct {
        unsigned long magic;
        const char *name;
    } types[] = {{0xef53, "ext4"}, {0x58465342, "xfs"}, {0x9123683e, "btrfs"}, {0x01021994, "tmpfs"}, {0x858458f6, "ramfs"},
                 {0x794c7630, "overlayfs"}, {0x6969, "nfs"}, {0xff534d42, "cifs"}, {0x65735546, "fuse"}, {0xf2f52010, "f2fs"},
                 {0x2fc12fc1, "zfs"}, {0x01021997, "9p"}, {0x9fa0, "proc"}, {0x4d44, "vfat"}, {0x2011bab0, "exfat"}};
    struct statfs fs;
    if (fstatfs(fd, &fs) == 0)
        for (size_t i = 0; i < sizeof types / sizeof *types; i++)
            if (types[i].magic == ((unsigned long)fs.f_type & 0xffffffffUL))
                return types[i].name;
    return NULL;
}

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
