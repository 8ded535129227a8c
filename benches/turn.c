#include "turn.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct turn {
    const struct engine *engine;
    void *state;
    struct target *target;
    const struct plan *plan;
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

/* Hands over what is idle; returns how many operations are done, and the time in `now`. */
static unsigned submit(struct turn *turn, unsigned *done, struct result *result, uint64_t *now)
{
    const struct engine *engine = turn->engine;
    unsigned submitted[MAX_DEPTH];
    unsigned limit = engine->batch && engine->batch < turn->idle_count ? engine->batch : turn->idle_count;
    unsigned first = turn->idle_count - limit;
    unsigned count = target_take(turn->target, turn->slots, turn->idle + first, limit);

    if (count == 0)
        return 0;
    /* Those that no block was left for stay idle. */
    memcpy(submitted, turn->idle + first, count * sizeof *submitted);
    memmove(turn->idle + first, turn->idle + first + count, (limit - count) * sizeof *turn->idle);
    turn->idle_count -= count;
    uint64_t started = now_ns();
    for (unsigned i = 0; i < count; i++)
        turn->slots[submitted[i]].started_ns = started;
    unsigned got = engine->submit(turn->state, turn->slots, submitted, count, done);
    *now = now_ns();
    histogram_add(&result->submit, *now - started);
    return got;
}

static void finish(struct turn *turn, const unsigned *done, unsigned count, uint64_t now, struct result *result)
{
    for (unsigned i = 0; i < count; i++) {
        histogram_add(&result->latency, now - turn->slots[done[i]].started_ns);
        turn->idle[turn->idle_count++] = done[i];
    }
}

static void drain(struct turn *turn, struct result *result)
{
    unsigned done[MAX_DEPTH];

    while (turn->idle_count < turn->plan->depth) {
        unsigned got = turn->engine->wait(turn->state, done);
        finish(turn, done, got, now_ns(), result);
    }
}

/* A closed loop: whatever is finished is submitted anew, with another block, until the time is over. */
static void run_for(struct turn *turn, uint64_t ns, struct result *result)
{
    static struct result after;
    unsigned done[MAX_DEPTH], got;
    uint64_t start = now_ns(), cpu = cpu_ns(), now = start;

    memset(result, 0, sizeof *result);
    while (now - start < ns) {
        got = submit(turn, done, result, &now);
        if (got == 0 && turn->idle_count == turn->plan->depth)
            break;
        if (got == 0) {
            got = turn->engine->wait(turn->state, done);
            now = now_ns();
        }
        finish(turn, done, got, now, result);
        if (turn->plan->lockstep) {
            drain(turn, result);
            now = now_ns();
        }
    }
    result->took_ns = now_ns() - start;
    result->cpu_ns = cpu_ns() - cpu;
    result->count = result->latency.count;
    drain(turn, &after);
}

static void slots_open(struct turn *turn, unsigned size)
{
    turn->slots = calloc(turn->plan->depth, sizeof *turn->slots);
    turn->idle_count = turn->plan->depth;
    for (unsigned i = 0; i < turn->plan->depth; i++) {
        turn->idle[i] = i;
        turn->slots[i].buffer = aligned_alloc(BLOCK, size < BLOCK ? BLOCK : size);
        memset(turn->slots[i].buffer, 'a' + (int)(i % 26), size);
    }
}

static void slots_close(struct turn *turn)
{
    for (unsigned i = 0; i < turn->plan->depth; i++)
        free(turn->slots[i].buffer);
    free(turn->slots);
}

int turn_run(const struct engine *engine, struct target *target, const struct plan *plan, struct result *result,
             char *why, size_t why_size)
{
    static struct turn turn;
    struct work work = {.kind = target->row->kind, .fd = target->fd, .depth = plan->depth, .size = target->row->size};

    turn = (struct turn){.engine = engine, .target = target, .plan = plan};
    turn.state = engine->open(engine, &work, why, why_size);
    if (!turn.state)
        return 0;
    slots_open(&turn, work.size);
    run_for(&turn, plan->warm_ns, result); /* threads, caches, what the engine learns */
    run_for(&turn, plan->turn_ns, result);
    engine->close(turn.state);
    slots_close(&turn);
    return 1;
}
