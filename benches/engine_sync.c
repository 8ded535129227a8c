/* Plain system calls, one after the other; the loop blocks meanwhile. For a batch, an upper bound for any non-blocking
 * implementation: one fdatasync(2) for all, and cached reads with RWF_NOWAIT. */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

struct sync {
    struct work work;
    int batches;
};

static void *sync_open(const struct engine *engine, const struct work *work, char *why, size_t why_size)
{
    struct sync *self = malloc(sizeof *self);

    (void)why, (void)why_size;
    *self = (struct sync){.work = *work, .batches = engine->min_depth > 1};
    return self;
}

static ssize_t move(const struct sync *self, const struct slot *slot)
{
    off_t offset = (off_t)slot->offset;
    struct iovec part = {slot->buffer, self->work.size};

    if (self->work.kind != READ)
        return pwrite(self->work.fd, slot->buffer, self->work.size, offset);
    if (self->batches) {
        ssize_t moved = preadv2(self->work.fd, &part, 1, offset, RWF_NOWAIT);
        if (moved >= 0 || errno != EAGAIN)
            return moved;
    }
    return pread(self->work.fd, slot->buffer, self->work.size, offset);
}

static unsigned sync_submit(void *state, struct slot *slots, const unsigned *which, unsigned count, unsigned *done)
{
    const struct sync *self = state;

    for (unsigned i = 0; i < count; i++) {
        ssize_t moved = move(self, &slots[which[i]]);
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
    .name = "sync-batch", .min_depth = 2, .cached_only = 1,
    .open = sync_open, .submit = sync_submit, .wait = sync_wait, .close = free};
