/* What O_DIRECT requires of a file. */
#ifndef DIRECT_H
#define DIRECT_H
#include <stdbool.h>
#include <stdint.h>

enum { DIRECT_LARGEST = 65536 };

/* The alignment of memory, and of offsets and lengths: from statx(2), or else from the smallest read that works. The descriptor has
 * O_DIRECT; `buf` has DIRECT_LARGEST bytes and that alignment. False if no read works. */
bool direct_alignment(int fd, void *buf, uint32_t *memory, uint32_t *offset);
#endif
