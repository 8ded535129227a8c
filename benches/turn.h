/* Measures one engine on one row, in closed loops of constant depth. */
#ifndef TURN_H
#define TURN_H

#include "histogram.h"
#include "target.h"

#include <stddef.h>

struct result {
    uint64_t count, took_ns, cpu_ns;
    struct histogram latency, submit;
};

struct plan {
    unsigned depth;
    int lockstep; /* submit `depth` operations, wait for all of them, repeat */
    uint64_t turn_ns;
};

struct turns;

/* `buffers` has room for `depth` operations, turn_buffer_size() bytes apart. Returns NULL if this machine does not support
 * the engine (`why`). */
struct turns *turns_open(const struct engine *engine, struct target *target, const struct plan *plan, char *buffers,
                         char *why, size_t why_size);
/* Runs a turn. The first `warm_ns` do not count. Nothing is left in flight. */
void turns_play(struct turns *turns, uint64_t warm_ns, struct result *result);
void turns_close(struct turns *turns);

/* O_DIRECT requires whole blocks. */
static inline size_t turn_buffer_size(const struct row *row)
{
    return row->size < BLOCK ? BLOCK : row->size;
}

#endif
