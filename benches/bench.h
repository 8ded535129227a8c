/* What the bench knows of a way to do file I/O asynchronously, and of the work it gives to it. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>

enum { BLOCK = 4096, MAX_DEPTH = 4096, LOG_RECORD = 512 };

/* What one operation is. WRITE_SYNC is a pair: a write, and an fdatasync that starts when the write succeeded. */
enum kind { READ, WRITE, WRITE_SYNC };

struct work {
    enum kind kind;
    int fd;
    unsigned depth, size; /* operations in flight; bytes that each moves */
};

/* One operation that may be in flight; engines speak of it by its slot's number. */
struct slot {
    uint64_t offset;
    void *buffer;
    uint64_t started_ns;
};

/* An engine driven from one event loop: submit, collect what is there, else wait in the loop. */
struct engine {
    const char *name;
    unsigned backend, flags; /* the engine's own */
    unsigned batch;          /* most operations in one submit; 0 = no limit */
    unsigned min_depth, max_depth; /* 0 = no limit */
    int cached_only;         /* has something to show only where the page cache has the file */
    /* NULL if this machine refuses; `why` then says the reason. */
    void *(*open)(const struct engine *engine, const struct work *work, char *why, size_t why_size);
    /* Hands over `count` operations and collects what is finished at once: how many slots it put into `done`. */
    unsigned (*submit)(void *state, struct slot *slots, const unsigned *which, unsigned count, unsigned *done);
    /* Sleeps in the event loop until at least one operation is finished. */
    unsigned (*wait)(void *state, unsigned *done);
    void (*close)(void *state);
};

/* All engines that this program was built with; ends with NULL. */
extern const struct engine *const engines[];
extern const struct engine engine_auto_st, engine_auto, engine_uring, engine_linux, engine_thread,
    engine_uring_noinline, engine_liburing, engine_liburing_quiet, engine_liburing_defer, engine_libaio, engine_libuv,
    engine_sync, engine_sync_batch;

/* Ends the program: an engine that fails in the middle has no number to show. */
_Noreturn void die(const char *what, int error);
/* Ends the program unless an operation that should move `wanted` bytes moved them (-errno if it failed). */
void check_moved(const char *engine, long long moved, unsigned wanted);

uint64_t now_ns(void);

/* The event loop that all engines but libuv share: one epoll instance, one descriptor watched. */
int loop_open(int watched, uint32_t events);
void loop_wait(int loop);

#endif
