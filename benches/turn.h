/* One turn of one engine: a closed loop of constant depth, measured. */
#ifndef TURN_H
#define TURN_H

#include "histogram.h"
#include "target.h"

struct result {
    uint64_t count, took_ns, cpu_ns;
    struct histogram latency, submit;
};

struct plan {
    unsigned depth;
    int lockstep; /* hand over `depth` operations, wait for all of them, repeat */
    uint64_t warm_ns, turn_ns;
};

/* 0 if this machine refuses the engine (`why`). */
int turn_run(const struct engine *engine, struct target *target, const struct plan *plan, struct result *result,
             char *why, size_t why_size);

#endif
