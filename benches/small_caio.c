/* Small files with libcaio: a chain of open, statx, read and close for each. */
#include "small_files.h"
#include "bench.h"

#include <caio.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

enum { STEP_OPEN, STEP_STAT, STEP_READ, STEP_CLOSE, STEPS };

struct file {
    struct statx attributes;
    long long moved;
    unsigned completed;
    char buffer[LARGEST];
};

struct state {
    caio_ctx *ctx;
    int loop;
    unsigned depth, running, queued;
    struct file *files;
    caio_op *queue;
};

static void *open_context(const struct reader *reader, unsigned depth)
{
    caio_options options = CAIO_OPTIONS_INIT;
    struct state *self = calloc(1, sizeof *self);

    options.backend = reader->backend;
    options.flags = reader->flags;
    options.max_requests = depth * STEPS;
    if (caio_ctx_new(&options, &self->ctx) < 0)
        return NULL;
    self->depth = depth;
    self->loop = loop_open(caio_ctx_eventfd(self->ctx), EPOLLIN);
    self->files = touched(depth, sizeof *self->files);
    self->queue = calloc(depth * STEPS, sizeof *self->queue);
    return self;
}

static caio_op *add(struct state *self, unsigned file, unsigned step, uint8_t opcode)
{
    caio_op *op = &self->queue[self->queued++];

    memset(op, 0, sizeof *op);
    op->user_data = file * STEPS + step;
    op->opcode = opcode;
    op->fd = CAIO_FD_OPENED;
    op->flags = step < STEP_CLOSE ? CAIO_FLAG_LINK : 0;
    return op;
}

static void next_file(struct state *self, unsigned file)
{
    const char *path = take_path();
    caio_op *op;

    if (!path)
        return;
    self->running++;
    self->files[file].completed = 0;
    op = add(self, file, STEP_OPEN, CAIO_OP_OPENAT);
    op->fd = AT_FDCWD;
    op->buf = (void *)path;
    op->sys_flags = O_RDONLY | O_CLOEXEC;
    op = add(self, file, STEP_STAT, CAIO_OP_STATX);
    op->buf = "";
    op->sys_flags = AT_EMPTY_PATH;
    op->mode = STATX_SIZE;
    op->buf2 = &self->files[file].attributes;
    op = add(self, file, STEP_READ, CAIO_OP_READ);
    op->buf = self->files[file].buffer;
    op->len = LARGEST;
    add(self, file, STEP_CLOSE, CAIO_OP_CLOSE);
}

static void completed(struct state *self, const caio_event *event)
{
    unsigned number = (unsigned)(event->user_data / STEPS);
    struct file *file = &self->files[number];

    if (event->result < 0)
        die("a file", (int)-event->result);
    if (event->user_data % STEPS == STEP_READ)
        file->moved = event->result;
    if (++file->completed < STEPS)
        return;
    got_file((long long)file->attributes.stx_size, file->moved);
    self->running--;
    next_file(self, number);
}

static void read_tree(void *state)
{
    struct state *self = state;
    caio_event events[512];
    uint32_t polled;

    for (unsigned file = 0; file < self->depth; file++)
        next_file(self, file);
    while (self->running > 0) {
        unsigned queued = self->queued;
        int accepted = caio_ctx_submit_poll(self->ctx, self->queue, queued, events, 512, &polled);
        if (accepted != (int)queued)
            die("submit", accepted < 0 ? -accepted : 0);
        self->queued = 0;
        for (uint32_t i = 0; i < polled; i++)
            completed(self, &events[i]);
        if (polled == 0)
            loop_wait(self->loop);
    }
}

#define READER(NAME, BACKEND, FLAGS) {.name = NAME, .open = open_context, .read_tree = read_tree, .backend = BACKEND, .flags = FLAGS}
const struct reader caio_readers[] = {
    READER("auto", CAIO_BACKEND_AUTO, 0), READER("auto-st", CAIO_BACKEND_AUTO, CAIO_CTX_SINGLE_THREAD),
    READER("uring", CAIO_BACKEND_URING, 0), READER("linux", CAIO_BACKEND_LINUX, 0),
    READER("thread", CAIO_BACKEND_THREAD, 0), {.name = NULL},
};
