/* The file system of a file, and what O_DIRECT requires. */
#ifndef FILE_H
#define FILE_H
#include <stdbool.h>
#include <stdint.h>

/* The name of the file system of an open file, or NULL if it is not known. */
const char *file_system_of(int fd);

enum { DIRECT_LARGEST = 65536 };

/* The alignment of memory, and of offsets and lengths: from statx(2), or else from the smallest read that works. The descriptor has
 * O_DIRECT; `buf` has DIRECT_LARGEST bytes and that alignment. False if no read works. */
bool direct_alignment(int fd, void *buf, uint32_t *memory, uint32_t *offset);
#endif
