/* bench FILE TURNS TURN_MS: 4 KiB random reads of FILE, cached and cold, at several depths, on every engine.
 *
 * Engines take short turns one after the other, so that a noisy moment of the machine hits them alike; a row is
 * the engine's best turn. "longest submit" is the longest time that the event loop spent handing over one batch. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const struct engine *const engines[] = {
    &engine_uring,
    &engine_linux,
    &engine_thread,
#ifdef HAVE_LIBURING
    &engine_liburing,
#endif
#ifdef HAVE_LIBAIO
    &engine_libaio,
#endif
#ifdef HAVE_LIBUV
    &engine_libuv,
#endif
    &engine_pread,
};
enum { ENGINES = sizeof engines / sizeof *engines };
static const unsigned depths[] = {1, 16, MAX_DEPTH};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Latencies in buckets that are 1/16 of a power of two wide: small, so that it does not push data out of the caches. */
enum { STEPS = 16, BUCKETS = 48 * STEPS };

struct result {
    uint64_t count, took_ns, longest_submit_ns;
    uint32_t latency[BUCKETS];
};

static void record(struct result *result, uint64_t ns, uint64_t times)
{
    unsigned bucket = (unsigned)ns;

    if (ns >= STEPS) {
        unsigned octave = 63 - (unsigned)__builtin_clzll(ns);
        bucket = (octave - 3) * STEPS + (unsigned)(ns >> (octave - 4)) - STEPS;
    }
    result->latency[bucket < BUCKETS ? bucket : BUCKETS - 1] += (uint32_t)times;
    result->count += times;
}

static double percentile_us(const struct result *result, double part)
{
    uint64_t wanted = (uint64_t)((double)result->count * part), seen = 0;
    unsigned bucket = 0;

    while (bucket < BUCKETS - 1 && (seen += result->latency[bucket]) <= wanted)
        bucket++;
    if (bucket < STEPS)
        return bucket / 1e3;
    return (double)((uint64_t)(bucket % STEPS + STEPS) << (bucket / STEPS - 1)) / 1e3;
}

/* The file, and the order in which its blocks are read: each once, until all were. */
struct file {
    int fd;
    unsigned blocks, next;
    uint32_t *order;
    unsigned char *resident;
    void *mapping;
    int cold;
};

static void shuffle(struct file *file)
{
    uint64_t random = 88172645463325252u;

    for (unsigned i = 0; i < file->blocks; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        unsigned j = (unsigned)(random % (i + 1));
        file->order[i] = file->order[j];
        file->order[j] = i;
    }
}

static void file_open(struct file *file, const char *path)
{
    struct stat status;

    file->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (file->fd < 0 || fstat(file->fd, &status) < 0)
        die(path, errno);
    file->blocks = (unsigned)(status.st_size / BLOCK);
    if (file->blocks < 2 * MAX_DEPTH)
        die("the file is too small", EINVAL);
    /* No read-ahead: a random read brings in its own block only. */
    posix_fadvise(file->fd, 0, 0, POSIX_FADV_RANDOM);
    file->order = malloc(file->blocks * sizeof *file->order);
    file->resident = malloc(file->blocks);
    file->mapping = mmap(NULL, (size_t)file->blocks * BLOCK, PROT_READ, MAP_SHARED, file->fd, 0);
    if (file->mapping == MAP_FAILED)
        die("mmap", errno);
    shuffle(file);
}

static double part_in_cache(struct file *file)
{
    unsigned count = 0;

    if (mincore(file->mapping, (size_t)file->blocks * BLOCK, file->resident) < 0)
        die("mincore", errno);
    for (unsigned i = 0; i < file->blocks; i++)
        count += file->resident[i] & 1;
    return (double)count / file->blocks;
}

/* Brings the page cache into the wanted state; 0 if it does not obey. */
static int prepare(struct file *file)
{
    static char block[1 << 20];

    file->next = 0;
    if (file->cold) {
        posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED);
        return part_in_cache(file) < 0.01;
    }
    if (part_in_cache(file) == 1.0)
        return 1;
    for (off_t at = 0; at < (off_t)file->blocks * BLOCK; at += (off_t)sizeof block)
        if (pread(file->fd, block, sizeof block, at) < 0)
            die("pread", errno);
    return part_in_cache(file) > 0.99;
}

/* The next blocks for the free slots; fewer when a cold file has no unread one left. */
static unsigned take_blocks(struct file *file, struct slot *slots, const unsigned *which, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (file->next == file->blocks) {
            if (file->cold)
                return i;
            file->next = 0;
        }
        slots[which[i]].offset = (uint64_t)file->order[file->next++] * BLOCK;
    }
    return count;
}

struct turn {
    const struct engine *engine;
    void *state;
    struct slot slots[MAX_DEPTH];
    unsigned idle[MAX_DEPTH], idle_count, depth;
};

static void count_in(struct turn *turn, const unsigned *done, unsigned count, struct result *result)
{
    uint64_t now = now_ns();

    for (unsigned i = 0; i < count; i++) {
        record(result, now - turn->slots[done[i]].started_ns, 1);
        turn->idle[turn->idle_count++] = done[i];
    }
}

static unsigned submit(struct turn *turn, struct file *file, unsigned *done, struct result *result)
{
    const struct engine *engine = turn->engine;
    unsigned limit = engine->batch && engine->batch < turn->idle_count ? engine->batch : turn->idle_count;
    unsigned *which = turn->idle + (turn->idle_count - limit);
    unsigned count = take_blocks(file, turn->slots, which, limit);
    uint64_t started = now_ns();

    if (count == 0)
        return 0;
    for (unsigned i = 0; i < count; i++)
        turn->slots[which[i]].started_ns = started;
    /* Those that no block was left for stay idle. */
    unsigned submitted[MAX_DEPTH];
    memcpy(submitted, which, count * sizeof *which);
    memmove(which, which + count, (limit - count) * sizeof *which);
    turn->idle_count -= count;
    unsigned got = engine->submit(turn->state, turn->slots, submitted, count, done);
    uint64_t took = now_ns() - started;
    if (took > result->longest_submit_ns)
        result->longest_submit_ns = took;
    return got;
}

/* A closed loop: whatever is finished is submitted anew, with another block, until the time is over. */
static void run_for(struct turn *turn, struct file *file, uint64_t ns, struct result *result)
{
    uint64_t start = now_ns();
    unsigned done[MAX_DEPTH];

    memset(result, 0, sizeof *result);
    while (now_ns() - start < ns) {
        unsigned got = submit(turn, file, done, result);
        if (got == 0 && turn->idle_count == turn->depth)
            break;
        if (got == 0)
            got = turn->engine->wait(turn->state, done);
        count_in(turn, done, got, result);
    }
    result->took_ns = now_ns() - start;
    while (turn->idle_count < turn->depth) {
        struct result after = {0};
        count_in(turn, done, turn->engine->wait(turn->state, done), &after);
    }
}

static double kops(const struct result *result)
{
    return result->took_ns ? (double)result->count * 1e6 / (double)result->took_ns : 0;
}

static void print_table(const struct turn *turns, const struct result *best, const struct file *file, unsigned depth)
{
    double fastest = 0;

    for (unsigned i = 0; i < ENGINES; i++)
        fastest = kops(&best[i]) > fastest ? kops(&best[i]) : fastest;
    printf("\n%s, depth %u\n%-12s %9s %9s %10s %10s %18s\n", file->cold ? "cold" : "cached", depth, "",
           "kops/s", "of best", "p50 us", "p99 us", "longest submit us");
    for (unsigned i = 0; i < ENGINES; i++)
        if (turns[i].state)
            printf("%-12s %9.1f %8.0f%% %10.1f %10.1f %18.1f\n", turns[i].engine->name, kops(&best[i]),
                   100 * kops(&best[i]) / fastest, percentile_us(&best[i], 0.5), percentile_us(&best[i], 0.99),
                   (double)best[i].longest_submit_ns / 1e3);
    fflush(stdout);
}

static void turn_open(struct turn *turn, const struct engine *engine, const struct file *file, unsigned depth)
{
    char why[256] = "";

    *turn = (struct turn){.engine = engine, .depth = depth, .idle_count = depth};
    for (unsigned i = 0; i < depth; i++) {
        turn->idle[i] = i;
        turn->slots[i].buffer = aligned_alloc(BLOCK, BLOCK);
    }
    turn->state = engine->open(engine, file->fd, depth, why, sizeof why);
    if (!turn->state && !file->cold && depth == depths[0])
        printf("%s: left out: %s\n", engine->name, why);
}

static void turn_close(struct turn *turn)
{
    if (turn->state)
        turn->engine->close(turn->state);
    for (unsigned i = 0; i < turn->depth; i++)
        free(turn->slots[i].buffer);
}

/* 0 if the page cache does not obey for this file. */
static int compare(struct file *file, unsigned depth, unsigned rounds, uint64_t turn_ns)
{
    static struct turn turns[ENGINES];
    static struct result best[ENGINES], result;

    int obeys = 1;

    memset(best, 0, sizeof best);
    for (unsigned i = 0; i < ENGINES; i++)
        turn_open(&turns[i], engines[i], file, depth);
    for (unsigned step = 0; obeys && step < rounds * ENGINES; step++) {
        unsigned i = step % ENGINES;
        if (!turns[i].state)
            continue;
        obeys = prepare(file);
        run_for(&turns[i], file, turn_ns / 10, &result); /* warm-up: threads, caches */
        run_for(&turns[i], file, turn_ns, &result);
        if (kops(&result) > kops(&best[i]))
            best[i] = result;
    }
    if (obeys)
        print_table(turns, best, file, depth);
    for (unsigned i = 0; i < ENGINES; i++)
        turn_close(&turns[i]);
    return obeys;
}

static void compare_all(struct file *file, unsigned rounds, uint64_t turn_ns)
{
    for (unsigned i = 0; i < sizeof depths / sizeof *depths; i++)
        if (!compare(file, depths[i], rounds, turn_ns)) {
            printf("\n%s: skipped: the page cache does not obey for this file (choose a disk with BENCH_DIR)\n",
                   file->cold ? "cold" : "cached");
            return;
        }
}

int main(int argc, char **argv)
{
    struct file file = {0};

    if (argc != 4) {
        fprintf(stderr, "usage: bench FILE TURNS TURN_MS\n");
        return 2;
    }
    file_open(&file, argv[1]);
    for (file.cold = 0; file.cold < 2; file.cold++)
        compare_all(&file, (unsigned)atoi(argv[2]), (uint64_t)atoi(argv[3]) * 1000000u);
    return 0;
}
