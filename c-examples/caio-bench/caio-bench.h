/* caio-bench: measures file I/O through libcaio.
 *
 *   main.c       options
 *   target.c     the file: creation, alignment for O_DIRECT, the page cache
 *   run.c        keeps operations in flight, and measures them
 *   histogram.c  latencies
 *   report.c     the table, the JSON and the live line
 */
#ifndef CAIO_BENCH_H
#define CAIO_BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <caio.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum cache { COLD, CACHED, DIRECT };

struct options {
    const char *workload; /* the name that was given */
    bool random;
    uint32_t read_percent;
    uint32_t backend, depth;
    uint64_t block, size; /* bytes; a size of 0 means the whole file */
    enum cache cache;
    uint64_t rate;        /* operations a second, or 0 */
    double seconds;
    bool overwrite, json, quiet;
};
extern struct options options;
extern const char *const cache_names[];

/* Prints "caio-bench: WHAT: error text", without the error text if `error` is 0, and exits with 1. */
void die(int error, const char *what, const char *name);

/* target.c */

struct target {
    const char *path, *type; /* the type of the file system */
    int fd;
    uint64_t size;           /* that the run uses, a multiple of the block size */
    uint32_t memory, offset; /* the alignment that O_DIRECT needs; 1 without O_DIRECT */
};

struct target target_open(const char *path);
/* Brings the page cache into the wanted state. Returns the share of the target that is cached now, or -1 if it is unknown. */
double target_prepare(const struct target *target);
/* Removes the target from the page cache. */
void target_drop(const struct target *target);

/* histogram.c: latencies in nanoseconds, with an error of at most 1/32. */

enum { SUB_BITS = 5, SUBS = 1 << SUB_BITS, BUCKETS = (64 - SUB_BITS) * SUBS };

struct histogram {
    uint64_t count, sum, min, max;
    uint64_t bucket[BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);
/* The value that `percent` of all are at or below. */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);
/* The smallest value above the bucket. */
uint64_t histogram_limit(unsigned bucket);

/* run.c */

struct result {
    struct histogram latency[2]; /* of reads, of writes */
    double seconds, cpu_user, cpu_system;
    double cached_before; /* the share of the target in the page cache, or -1 */
    double sync_seconds;  /* the fdatasync(2) after the last write, or -1 */
    uint64_t passes;      /* how often the whole target was used */
    const char *backend;
    caio_stats stats;
    int signal;           /* that ended the run, or 0 */
};

enum { READS, WRITES };

uint64_t now_ns(void);
/* Runs the workload. The result is large and belongs to the caller. */
struct result *run(const struct target *target);

/* report.c */

void live_line(const struct result *so_far, uint64_t elapsed_ns);
void live_clear(void);
void report(const struct target *target, const struct result *result);

#endif
