/* The names of POSIX and Linux that caio-cp uses, in the numbers of caio-windows(7). */
#ifndef CAIO_CP_PORT_H
#define CAIO_CP_PORT_H

#include <io.h>

#define statx caio_statx

enum { AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, AT_EMPTY_PATH = 0x1000, STATX_BASIC_STATS = 0x7ff };
enum { STATX_UID = 8, STATX_GID = 16 };
enum { O_DIRECTORY = 0x10000000, O_NOFOLLOW = 0x40000000, O_CLOEXEC = 0, O_NONBLOCK = 0, O_PATH = 0 };
enum { DT_UNKNOWN = 0, DT_REG = 8 };
enum { SEEK_DATA = 3, SEEK_HOLE = 4 };

#undef PATH_MAX
#undef NAME_MAX
enum { PATH_MAX = 98302, NAME_MAX = 255 };

#undef S_IFMT
#define S_IFMT 0170000
#define S_ISUID 04000
#define S_ISGID 02000
#ifndef S_IRWXG
#define S_IRWXG 070
#endif
#define S_ISLNK(mode) (((mode) & S_IFMT) == 0120000)

/* Neither devices nor owners are copied. */
#define makedev(major, minor) ((uint64_t)(major) << 32 | (minor))
#define geteuid() 0
#define le16toh(number) (number)
#define aligned_alloc(alignment, size) ((void)(alignment), malloc(size))

#endif
