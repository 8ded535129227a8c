/* Plain system calls, one after the other, while everything else waits; and one fdatasync(2) for a whole batch. */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct sync {
    struct work work;
};

static void *sync_open(const struct engine *engine, const struct work *work, char *why, size_t why_size)
{
    struct sync *self = malloc(sizeof *self);

    (void)engine, (void)why, (void)why_size;
    self->work = *work;
    return self;
}

static unsigned sync_submit(void *state, struct slot *slots, const unsigned *which, unsigned count, unsigned *done)
{
    const struct sync *self = state;

    for (unsigned i = 0; i < count; i++) {
        const struct slot *slot = &slots[which[i]];
        off_t offset = (off_t)slot->offset;
        ssize_t moved = self->work.kind == READ ? pread(self->work.fd, slot->buffer, self->work.size, offset)
                                                : pwrite(self->work.fd, slot->buffer, self->work.size, offset);
        check_moved("sync", moved < 0 ? -errno : moved, self->work.size);
        done[i] = which[i];
    }
    if (self->work.kind == WRITE_SYNC && fdatasync(self->work.fd) < 0)
        die("fdatasync", errno);
    return count;
}

static unsigned sync_wait(void *state, unsigned *done)
{
    (void)state, (void)done;
    return 0;
}

const struct engine engine_sync = {
    .name = "sync", .batch = 1, .max_depth = 1,
    .open = sync_open, .submit = sync_submit, .wait = sync_wait, .close = free};
const struct engine engine_sync_batch = {
    .name = "sync-batch", .min_depth = 2, .pairs_only = 1,
    .open = sync_open, .submit = sync_submit, .wait = sync_wait, .close = free};
