/* The files to read and write: their blocks, the order of the blocks, and the state of the page cache. */
#ifndef TARGET_H
#define TARGET_H

#include "bench.h"

/* The state of the page cache at the start of a turn. */
enum cache { CACHED, COLD, DIRTY, EMPTY_LOG };

struct row {
    const char *name;
    const char *file; /* in the scratch folder */
    enum kind kind;
    enum cache cache;
    int direct;       /* O_DIRECT */
    unsigned size;
};
/* All rows, then a NULL name. */
extern const struct row rows[];

struct target {
    const struct row *row;
    int fd;
    unsigned blocks, next; /* how many, and the next index into `order` */
    uint32_t *order; /* each block once, shuffled */
};

/* Writes the files of all rows into `folder`: one of `mib` MiB to read, a smaller one to overwrite. */
void targets_make(const char *folder, unsigned mib);
/* Opens the row's file and shuffles its blocks with `seed`. Returns 0 if the file system cannot do the row (`why`). */
int target_open(struct target *target, const struct row *row, const char *folder, uint64_t seed, char *why,
                size_t why_size);
/* In a child of fork(2): opens the file again. */
void target_reopen(struct target *target, const char *folder);
void target_close(struct target *target);
/* Before a turn: restores the state of the page cache at the start of each round, or when most of it is used up. Returns 0
 * on failure (`why`). */
int target_prepare(struct target *target, int round_begins, char *why, size_t why_size);
/* Sets the next offsets of these slots. Returns fewer than asked for once every block of a cold file has been read. */
unsigned target_take(struct target *target, struct slot *slots, const unsigned *which, unsigned count);

#endif
