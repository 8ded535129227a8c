/* Reading a tree of small files: open, statx, read and close of each. */
#ifndef SMALL_FILES_H
#define SMALL_FILES_H

#include <stdatomic.h>
#include <stddef.h>

enum { SMALL_FILES = 2000, SMALLEST = 1024, LARGEST = 64 * 1024 };

/* One pass over the tree. Engines call take_path until it returns NULL, and got_file for each file. */
const char *take_path(void);
void got_file(long long size, long long moved);

/* Memory that a pass does not have to fault in. */
void *touched(size_t count, size_t size);

/* A way to read the tree. `read_tree` reads all files with at most `depth` of them in progress. */
struct reader {
    const char *name;
    void *(*open)(const struct reader *reader, unsigned depth);
    void (*read_tree)(void *state);
    unsigned backend, flags, threads;
};

extern const struct reader plain_reader, plain_looks_reader, pool_4_reader, pool_16_reader, loop_16_reader;
extern const struct reader caio_readers[]; /* ends with a NULL name */
extern const struct reader liburing_reader, liburing_direct_reader, libuv_reader;

#endif
