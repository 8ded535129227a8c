/* The files that are worked on: their blocks, in which order, and the state of the page cache. */
#ifndef TARGET_H
#define TARGET_H

#include "bench.h"

/* Where the page cache has to stand when a turn begins. */
enum cache { CACHED, COLD, DIRTY, EMPTY_LOG };

struct row {
    const char *name;
    const char *file; /* in the scratch folder */
    enum kind kind;
    enum cache cache;
    int direct;       /* O_DIRECT */
    unsigned size;
};
/* All rows; ends with a name of NULL. */
extern const struct row rows[];

struct target {
    const struct row *row;
    int fd;
    unsigned blocks, next; /* how many, and which of `order` comes next */
    uint32_t *order; /* each block once, shuffled */
};

/* Writes the files that the rows need into `folder`: `mib` MiB to read, a part of that to overwrite. */
void targets_make(const char *folder, unsigned mib);
/* Opens the row's file; the order of the blocks comes from `seed`. 0 if this file system refuses (`why`). */
int target_open(struct target *target, const struct row *row, const char *folder, uint64_t seed, char *why,
                size_t why_size);
/* For a child of fork(2): an open file of its own. */
void target_reopen(struct target *target, const char *folder);
void target_close(struct target *target);
/* Before a turn: brings the page cache into the wanted state, at the beginning of each round or when much of it is used up;
 * 0 if it does not obey (`why`). */
int target_prepare(struct target *target, int round_begins, char *why, size_t why_size);
/* The next offsets for these slots; fewer when each block of a cold file was read. */
unsigned target_take(struct target *target, struct slot *slots, const unsigned *which, unsigned count);

#endif
