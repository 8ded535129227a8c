/* The interface of the engines (implementations of asynchronous file I/O), and the operations that they run. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>

enum { BLOCK = 4096, MAX_DEPTH = 4096, LOG_RECORD = 512 };

/* The kind of an operation. WRITE_SYNC is a pair: a write, then an fdatasync that starts after the write succeeded. */
enum kind { READ, WRITE, WRITE_SYNC };

struct work {
    enum kind kind;
    int fd;
    unsigned depth, size; /* operations in flight; bytes of each */
};

/* One operation that may be in flight. Engines identify it by the number of its slot. */
struct slot {
    uint64_t offset;
    void *buffer;
    uint64_t started_ns;
};

/* An engine driven from one event loop: submit, collect completions, and if there are none wait in the loop. */
struct engine {
    const char *name;
    unsigned backend, flags; /* the engine's own */
    unsigned batch;          /* operations in one submit at most; 0 = no limit */
    unsigned min_depth, max_depth; /* 0 = no limit */
    int cached_only;         /* runs only on rows whose file is cached */
    int pairs_only;          /* runs only on rows of WRITE_SYNC */
    /* Returns NULL if this machine does not support the engine; `why` then has the reason. */
    void *(*open)(const struct engine *engine, const struct work *work, char *why, size_t why_size);
    /* Submits `count` operations and collects completions. Returns how many slots it put into `done`. */
    unsigned (*submit)(void *state, struct slot *slots, const unsigned *which, unsigned count, unsigned *done);
    /* Sleeps in the event loop until at least one operation is complete. */
    unsigned (*wait)(void *state, unsigned *done);
    void (*close)(void *state);
};

/* All engines of this build, then NULL. */
extern const struct engine *const engines[];
extern const struct engine engine_auto_st, engine_auto, engine_uring, engine_linux, engine_thread,
    engine_uring_noinline, engine_liburing, engine_liburing_polled, engine_liburing_quiet, engine_liburing_defer,
    engine_libaio, engine_libuv, engine_sync, engine_sync_batch, engine_sync_thread;

/* Ends the program: figures of an engine that fails would be wrong. */
_Noreturn void die(const char *what, int error);
/* Ends the program unless `moved`, bytes or -errno, is `wanted`. */
void check_moved(const char *engine, long long moved, unsigned wanted);

uint64_t now_ns(void);

/* Is `word` in a list separated by spaces or commas? An empty list contains every word. */
int chosen(const char *list, const char *word);

/* The event loop of all engines but libuv: one epoll instance that watches one descriptor. */
int loop_open(int watched, uint32_t events);
void loop_wait(int loop);

#endif
