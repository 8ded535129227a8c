/* The plain loop: one pread(2) after the other, and everything else waits. Its submit is its read. */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static void *pread_open(const struct engine *engine, int fd, unsigned depth, char *why, size_t why_size)
{
    int *self = malloc(sizeof *self);

    (void)engine, (void)depth, (void)why, (void)why_size;
    *self = fd;
    return self;
}

static unsigned pread_submit(void *state, struct slot *slots, const unsigned *which, unsigned count, unsigned *done)
{
    const int *fd = state;

    for (unsigned i = 0; i < count; i++) {
        const struct slot *slot = &slots[which[i]];
        ssize_t moved = pread(*fd, slot->buffer, BLOCK, (off_t)slot->offset);
        check_read("pread", moved < 0 ? -errno : moved);
        done[i] = which[i];
    }
    return count;
}

static unsigned pread_wait(void *state, unsigned *done)
{
    (void)state, (void)done;
    return 0;
}

const struct engine engine_pread = {
    .name = "pread loop", .batch = 1, .open = pread_open, .submit = pread_submit, .wait = pread_wait, .close = free};
