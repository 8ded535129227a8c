/* How long caio_ctx_cancel of one operation takes while 4096 are in flight. */
#include "bench.h"
#include "histogram.h"
#include "scaling.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INFLIGHT = 4096, CANCELS = 2000, PIPES = 64, FILE_MIB = 32 };

/* What is in flight. A chain is a read of an empty pipe, then a NOP; the cancel target is the NOP. */
enum place { EMPTY_PIPE, CHAIN, DISK };
static const uint64_t CHAIN_HEAD = (uint64_t)1 << 63;
static const char *const places[] = {"read of an empty pipe", "waiting in a chain", "O_DIRECT read"};

static struct {
    int pipes[PIPES], disk;
    char *buffer;
} files;

static void files_open(const char *folder)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/data-cancel", folder);
    files.buffer = aligned_alloc(BLOCK, 1 << 20);
    memset(files.buffer, 'x', 1 << 20);
    files.disk = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (unsigned i = 0; i < FILE_MIB; i++)
        if (write(files.disk, files.buffer, 1 << 20) != 1 << 20)
            die(path, errno);
    if (fsync(files.disk) < 0)
        die(path, errno);
    close(files.disk);
    files.disk = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    for (unsigned i = 0; i < PIPES; i++) {
        int ends[2];
        if (pipe(ends) < 0)
            die("pipe", errno);
        files.pipes[i] = ends[0];
    }
}

/* The operations of one unit. user_data is the number of the unit; the head of a chain also has the highest bit set. */
static unsigned prepare(caio_op *ops, enum place place, unsigned unit)
{
    caio_op read = {.opcode = CAIO_OP_READ, .buf = files.buffer, .len = BLOCK, .user_data = unit};

    if (place == DISK) {
        read.fd = files.disk;
        read.offset = (uint64_t)(unit * 2654435761u % (FILE_MIB * 256u)) * BLOCK;
        ops[0] = read;
        return 1;
    }
    read.fd = files.pipes[unit % PIPES];
    read.offset = CAIO_OFFSET_CURRENT;
    ops[0] = read;
    if (place == EMPTY_PIPE)
        return 1;
    ops[0].flags = CAIO_FLAG_LINK;
    ops[0].user_data |= CHAIN_HEAD;
    ops[1] = (caio_op){.opcode = CAIO_OP_NOP, .user_data = unit};
    return 2;
}

/* Adds units until the context is full; returns the number of the next one. */
static unsigned fill(caio_ctx *ctx, enum place place, unsigned next)
{
    caio_op ops[2];
    int accepted;

    while ((accepted = caio_ctx_submit(ctx, ops, prepare(ops, place, next))) > 0)
        next++;
    if (accepted != -EAGAIN)
        die("caio_ctx_submit", -accepted);
    return next;
}

static void cancel(caio_ctx *ctx, uint64_t unit, struct histogram *times)
{
    uint64_t started = now_ns();
    int found = caio_ctx_cancel(ctx, unit);

    histogram_add(times, now_ns() - started);
    if (found < 0 && found != -ENOENT)
        die("caio_ctx_cancel", -found);
}

static void collect(caio_ctx *ctx, unsigned wanted)
{
    caio_event events[256];

    while (wanted) {
        int count = caio_ctx_wait(ctx, events, 1, wanted, -1);
        if (count < 0)
            die("caio_ctx_wait", -count);
        wanted -= (unsigned)count;
    }
}

/* Units that do not complete until they are cancelled: cancels a random one, then adds another. */
static void measure_stuck(caio_ctx *ctx, enum place place, struct histogram *times)
{
    static unsigned units[INFLIGHT];
    unsigned next = fill(ctx, place, 0);

    for (unsigned i = 0; i < next; i++)
        units[i] = i;
    for (unsigned count = next, step = 0; step < CANCELS; step++) {
        unsigned *unit = &units[step * 2654435761u % count];
        cancel(ctx, *unit, times);
        if (place == CHAIN && caio_ctx_cancel(ctx, *unit | CHAIN_HEAD) != 1)
            die("caio_ctx_cancel", ENOENT);
        collect(ctx, place == CHAIN ? 2 : 1);
        *unit = next;
        next = fill(ctx, place, next);
    }
}

/* Disk reads, which complete by themselves: cancels one of the latest. */
static void measure_disk(caio_ctx *ctx, struct histogram *times)
{
    unsigned next = 0;

    for (unsigned step = 0; step < CANCELS; step++) {
        next = fill(ctx, DISK, next);
        cancel(ctx, next - 1 - step * 2654435761u % (INFLIGHT / 2), times);
        collect(ctx, 1);
    }
}

void cancel_table(const char *folder)
{
    static struct histogram times;

    files_open(folder);
    printf("caio_ctx_cancel of one among %d in flight\tMicroseconds inside the call, %d calls; the target is under 50.\n",
           INFLIGHT, CANCELS);
    printf("backend\twhat is cancelled\tp50\tp99\tlongest\n");
    for (const struct backend *backend = backends; backend->name; backend++)
        for (enum place place = EMPTY_PIPE; place <= DISK; place++) {
            caio_ctx *ctx = context_new(backend->number, 0, INFLIGHT);
            if (!ctx)
                continue;
            memset(&times, 0, sizeof times);
            if (place == DISK)
                measure_disk(ctx, &times);
            else
                measure_stuck(ctx, place, &times);
            caio_ctx_free(ctx);
            printf("%s\t%s\t%.2f\t%.2f\t%.2f\n", backend->name, places[place], histogram_us(&times, 0.5),
                   histogram_us(&times, 0.99), (double)times.max_ns / 1e3);
            fflush(stdout);
        }
    printf("\n");
}
