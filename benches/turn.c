#include "turn.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct turns {
    const struct engine *engine;
    void *state;
    struct target *target;
    struct plan plan;
    struct slot *slots;
    unsigned idle[MAX_DEPTH], idle_count;
};

static uint64_t cpu_ns(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * 1000000000u +
           ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * 1000u;
}

/* Submits the idle slots. Returns how many operations completed, and the time in `now`. */
static unsigned submit(struct turns *turns, unsigned *done, struct result *result, uint64_t *now)
{
    const struct engine *engine = turns->engine;
    unsigned submitted[MAX_DEPTH];
    unsigned limit = engine->batch && engine->batch < turns->idle_count ? engine->batch : turns->idle_count;
    unsigned first = turns->idle_count - limit;
    unsigned count = target_take(turns->target, turns->slots, turns->idle + first, limit);

    if (count == 0)
        return 0;
    /* Slots without a block stay idle. */
    memcpy(submitted, turns->idle + first, count * sizeof *submitted);
    memmove(turns->idle + first, turns->idle + first + count, (limit - count) * sizeof *turns->idle);
    turns->idle_count -= count;
    uint64_t started = now_ns();
    for (unsigned i = 0; i < count; i++)
        turns->slots[submitted[i]].started_ns = started;
    unsigned got = engine->submit(turns->state, turns->slots, submitted, count, done);
    *now = now_ns();
    histogram_add(&result->submit, *now - started);
    return got;
}

static void finish(struct turns *turns, const unsigned *done, unsigned count, uint64_t now, struct result *result)
{
    for (unsigned i = 0; i < count; i++) {
        histogram_add(&result->latency, now - turns->slots[done[i]].started_ns);
        turns->idle[turns->idle_count++] = done[i];
    }
}

static void drain(struct turns *turns, struct result *result)
{
    unsigned done[MAX_DEPTH];

    while (turns->idle_count < turns->plan.depth) {
        unsigned got = turns->engine->wait(turns->state, done);
        finish(turns, done, got, now_ns(), result);
    }
}

/* A closed loop: each completion submits the next block, until the time is over. It ends with a completion, and starts
 * with one if another loop ran before, so that completions that arrive in groups are counted in whole groups. */
static void run_for(struct turns *turns, uint64_t ns, struct result *result)
{
    unsigned done[MAX_DEPTH], got;
    uint64_t start = now_ns(), cpu = cpu_ns(), now = start;

    memset(result, 0, sizeof *result);
    while (now - start < ns) {
        got = submit(turns, done, result, &now);
        if (got == 0 && turns->idle_count == turns->plan.depth)
            break;
        if (got == 0) {
            got = turns->engine->wait(turns->state, done);
            now = now_ns();
        }
        finish(turns, done, got, now, result);
        if (turns->plan.lockstep) {
            drain(turns, result);
            now = now_ns();
        }
    }
    result->took_ns = now_ns() - start;
    result->cpu_ns = cpu_ns() - cpu;
    result->count = result->latency.count;
}

static void slots_open(struct turns *turns, char *buffers)
{
    turns->slots = calloc(turns->plan.depth, sizeof *turns->slots);
    turns->idle_count = turns->plan.depth;
    for (unsigned i = 0; i < turns->plan.depth; i++) {
        turns->idle[i] = i;
        turns->slots[i].buffer = buffers + i * turn_buffer_size(turns->target->row);
    }
}

struct turns *turns_open(const struct engine *engine, struct target *target, const struct plan *plan, char *buffers,
                         char *why, size_t why_size)
{
    struct work work = {.kind = target->row->kind, .fd = target->fd, .depth = plan->depth, .size = target->row->size};
    struct turns *turns = calloc(1, sizeof *turns);

    *turns = (struct turns){.engine = engine, .target = target, .plan = *plan};
    turns->state = engine->open(engine, &work, why, why_size);
    if (!turns->state) {
        free(turns);
        return NULL;
    }
    slots_open(turns, buffers);
    return turns;
}

void turns_play(struct turns *turns, uint64_t warm_ns, struct result *result)
{
    static struct result uncounted;

    run_for(turns, warm_ns, &uncounted); /* starts threads, fills caches, and lets the engine adapt */
    run_for(turns, turns->plan.turn_ns, result);
    drain(turns, &uncounted);
}

void turns_close(struct turns *turns)
{
    turns->engine->close(turns->state);
    free(turns->slots);
    free(turns);
}
