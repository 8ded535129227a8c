/* What the bench knows of a way to read files asynchronously. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>

enum { BLOCK = 4096, MAX_DEPTH = 128 };

/* One read that may be in flight; engines speak of it by its slot's number. */
struct slot {
    uint64_t offset;
    void *buffer;
    uint64_t started_ns;
};

/* An engine driven from one event loop: submit, collect what is there, else wait in the loop. */
struct engine {
    const char *name;
    unsigned arg;   /* the engine's own: a backend */
    unsigned batch; /* most reads in one submit; 0 = no limit */
    /* NULL if this machine refuses; `why` then says the reason. */
    void *(*open)(const struct engine *engine, int fd, unsigned depth, char *why, size_t why_size);
    /* Hands over `count` reads and collects what is finished at once: returns how many slots it put into `done`. */
    unsigned (*submit)(void *state, struct slot *slots, const unsigned *which, unsigned count, unsigned *done);
    /* Sleeps in the event loop until at least one read is finished. */
    unsigned (*wait)(void *state, unsigned *done);
    void (*close)(void *state);
};

extern const struct engine engine_uring, engine_linux, engine_thread;
extern const struct engine engine_liburing, engine_libaio, engine_libuv, engine_pread;

/* Ends the program: a peer that fails in the middle has no number to show. */
_Noreturn void die(const char *what, int error);
/* Every read must move a whole block. */
void check_read(const char *engine, long long moved);

/* The event loop that all engines but libuv share: one epoll instance, one descriptor watched. */
int loop_open(int watched);
void loop_wait(int loop);

#endif
