/* Keeps `depth` operations in flight until the time is over, and measures each from its submission to its event. */
#include "caio-bench.h"
#include <signal.h>
#include <sys/resource.h>

enum { MOST_EVENTS = 256, SECOND = 1000000000 };

struct slot {
    struct slot *next_free;
    char *buf;
    uint64_t started;
    bool write;
};

static struct slot *slots, *free_slots;
static char *memory;
static uint64_t next_block, blocks, state = 88172645463325252u;
static volatile sig_atomic_t stopped;

static void on_signal(int signal)
{
    stopped = signal;
}

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static uint64_t random_number(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 2685821657736338717u;
}

static void make_slots(const struct target *target)
{
    size_t align = target->memory > 4096 ? target->memory : 4096, stride = (options.block + align - 1) / align * align;
    slots = calloc(options.depth, sizeof *slots);
    memory = aligned_alloc(align, stride * options.depth);
    if (!slots || !memory)
        die(ENOMEM, "buffers", "");
    memset(memory, 0xa5, stride * options.depth);
    for (uint32_t i = options.depth; i-- > 0;) {
        slots[i].buf = memory + stride * i;
        slots[i].next_free = free_slots;
        free_slots = &slots[i];
    }
}

/* A permutation of the blocks, so that a pass reads no block twice: cold reads stay cold. An odd multiplier permutes the
 * numbers below a power of two, as does the shifted exclusive or; numbers of `blocks` and above are skipped. */
static uint64_t scatter(uint64_t index, uint64_t pass)
{
    uint64_t mask = 1;
    unsigned bits = 1;
    while (mask < blocks - 1) {
        mask = mask << 1 | 1;
        bits++;
    }
    do {
        index = (index + pass * 7919) * 0x9e3779b97f4a7c15 & mask;
        index ^= index >> (bits + 1) / 2;
        index = index * 0xd1b54a32d192ed03 & mask;
        index ^= index >> (bits + 1) / 2;
    } while (index >= blocks);
    return index;
}

static uint64_t next_offset(const struct target *target, struct result *result)
{
    uint64_t block = next_block++;
    if (next_block == blocks) {
        next_block = 0;
        result->passes++;
    }
    if (block == 0 && result->passes > 0 && options.cache == COLD)
        target_drop(target);
    return (options.random ? scatter(block, result->passes) : block) * options.block;
}

static caio_op next_op(const struct target *target, struct slot *slot, struct result *result)
{
    slot->write = random_number() % 100 >= options.read_percent;
    return (caio_op){.user_data = (uint64_t)(slot - slots), .opcode = slot->write ? CAIO_OP_WRITE : CAIO_OP_READ,
                     .fd = target->fd, .buf = slot->buf, .len = options.block, .offset = next_offset(target, result)};
}

/* How many operations may be submitted now. With a rate, one for each that is due. */
static uint32_t due(uint64_t elapsed, uint64_t submitted)
{
    uint64_t planned = options.rate ? (uint64_t)((double)elapsed * (double)options.rate / SECOND) + 1 : UINT64_MAX;
    uint64_t count = planned > submitted ? planned - submitted : 0;
    return count > MOST_EVENTS ? MOST_EVENTS : (uint32_t)count;
}

/* With a rate, latency counts from the time when the operation was due: a stall also delays those that wait for it. */
static uint64_t start_time(uint64_t begin, uint64_t now, uint64_t index)
{
    return options.rate ? begin + (uint64_t)((double)index * SECOND / (double)options.rate) : now;
}

static void take(const struct target *target, struct result *result, const caio_event *events, int count)
{
    uint64_t now = now_ns();
    for (int i = 0; i < count; i++) {
        struct slot *slot = &slots[events[i].user_data];
        if (events[i].result != (int64_t)options.block)
            die(events[i].result < 0 ? (int)-events[i].result : EIO, slot->write ? "write" : "read", target->path);
        histogram_add(&result->latency[slot->write], now - slot->started);
        slot->next_free = free_slots;
        free_slots = slot;
    }
}

static int checked(int count, const char *what)
{
    if (count < 0 && count != -EINTR && count != -EAGAIN)
        die(-count, what, "");
    return count < 0 ? 0 : count;
}

/* Sleeps until an operation completes, the next one is due, or the live line is. */
static int64_t longest_sleep(uint64_t elapsed, uint64_t submitted, uint64_t end)
{
    uint64_t left = end > elapsed ? end - elapsed : 0, tick = SECOND / 4;
    if (options.rate) {
        uint64_t next = (uint64_t)((double)submitted * SECOND / (double)options.rate);
        left = next <= elapsed ? left : next - elapsed < left ? next - elapsed : left;
    }
    return (int64_t)(left < tick ? left : tick);
}

static uint32_t prepare_batch(const struct target *target, struct result *result, caio_op *ops, uint64_t begin, uint64_t submitted)
{
    uint64_t now = now_ns();
    uint32_t count = 0, wanted = due(now - begin, submitted);
    while (count < wanted && free_slots) {
        struct slot *slot = free_slots;
        free_slots = slot->next_free;
        slot->started = start_time(begin, now, submitted + count);
        ops[count++] = next_op(target, slot, result);
    }
    return count;
}

static void loop(const struct target *target, struct result *result, caio_ctx *ctx)
{
    static caio_op ops[MOST_EVENTS];
    static caio_event events[MOST_EVENTS];
    uint64_t begin = now_ns(), end = (uint64_t)(options.seconds * SECOND), submitted = 0, elapsed, shown = 0;
    while ((elapsed = now_ns() - begin) < end && !stopped) {
        uint32_t count = prepare_batch(target, result, ops, begin, submitted), done = 0, polled;
        submitted += count;
        while (done < count) { /* the context has room for `depth`, so that each call accepts some */
            done += (uint32_t)checked(caio_ctx_submit_poll(ctx, ops + done, count - done, events, MOST_EVENTS, &polled), "submit");
            take(target, result, events, (int)polled);
        }
        if (!count || !free_slots)
            take(target, result, events,
                 checked(caio_ctx_wait(ctx, events, 1, MOST_EVENTS, longest_sleep(elapsed, submitted, end)), "wait"));
        if (elapsed - shown >= SECOND / 4) {
            live_line(result, elapsed);
            shown = elapsed;
        }
    }
    result->seconds = (double)(now_ns() - begin) / SECOND;
    caio_ctx_stats(ctx, &result->stats);
    /* Operations that are in flight at the end are not counted. */
    caio_ctx_free(ctx);
}

static double cpu(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static void measure(const struct target *target, struct result *result, caio_ctx *ctx)
{
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    loop(target, result, ctx);
    getrusage(RUSAGE_SELF, &after);
    result->cpu_user = cpu(after.ru_utime) - cpu(before.ru_utime);
    result->cpu_system = cpu(after.ru_stime) - cpu(before.ru_stime);
}

static caio_ctx *open_context(void)
{
    caio_options with = CAIO_OPTIONS_INIT;
    caio_ctx *ctx;
    char why[512];
    int error;
    with.backend = options.backend;
    with.max_requests = options.depth;
    error = caio_ctx_new(&with, &ctx);
    if (error < 0) {
        caio_backend_probe(options.backend, why, sizeof why);
        die(-error, why, "");
    }
    return ctx;
}

/* The run ends with the results so far. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

struct result *run(const struct target *target)
{
    struct result *result = calloc(1, sizeof *result);
    caio_ctx *ctx = open_context();
    uint64_t synced;
    if (!result)
        die(ENOMEM, "results", "");
    blocks = target->size / options.block;
    make_slots(target);
    result->stats.size = sizeof result->stats;
    result->cached_before = target_prepare(target);
    result->backend = caio_backend_name((uint32_t)caio_ctx_backend(ctx));
    catch_signals();
    measure(target, result, ctx);
    result->signal = stopped;
    result->sync_seconds = -1;
    if (options.read_percent < 100) {
        synced = now_ns();
        if (fdatasync(target->fd) < 0)
            die(errno, "cannot sync", target->path);
        result->sync_seconds = (double)(now_ns() - synced) / SECOND;
    }
    free(slots);
    free(memory);
    return result;
}
