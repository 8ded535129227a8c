/* Small files with liburing: steps as they complete, and a linked chain with direct descriptors. */
#include "small_files.h"
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { STEP_OPEN, STEP_STAT, STEP_READ, STEP_CLOSE, STEPS };

struct file {
    const char *path;
    struct statx attributes;
    long long moved;
    unsigned completed;
    int fd;
    char buffer[LARGEST];
};

struct state {
    struct io_uring ring;
    unsigned depth, running;
    int direct;
    struct file *files;
};

static void *open_ring(const struct reader *reader, unsigned depth)
{
    struct state *self = calloc(1, sizeof *self);
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};

    if (io_uring_queue_init_params(depth * STEPS, &self->ring, &params) < 0)
        return NULL;
    self->direct = reader == &liburing_direct_reader;
    if (self->direct && io_uring_register_files_sparse(&self->ring, depth) < 0)
        return NULL;
    self->depth = depth;
    self->files = touched(depth, sizeof *self->files);
    return self;
}

static struct io_uring_sqe *entry(struct state *self, unsigned file, unsigned step)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);

    if (!sqe)
        die("io_uring_get_sqe", EBUSY);
    sqe->user_data = file * STEPS + step;
    return sqe;
}

/* A preparation clears the entry's user_data and flags, so they come last. */
static void finish_entry(struct io_uring_sqe *sqe, unsigned file, unsigned step, unsigned flags)
{
    io_uring_sqe_set_data64(sqe, file * STEPS + step);
    io_uring_sqe_set_flags(sqe, flags);
}

static void queue_direct(struct state *self, unsigned number)
{
    struct file *file = &self->files[number];
    struct io_uring_sqe *sqe = entry(self, number, STEP_OPEN);

    io_uring_prep_openat_direct(sqe, AT_FDCWD, file->path, O_RDONLY, 0, number);
    finish_entry(sqe, number, STEP_OPEN, IOSQE_IO_LINK);
    /* statx takes no direct descriptor. */
    sqe = entry(self, number, STEP_STAT);
    io_uring_prep_statx(sqe, AT_FDCWD, file->path, 0, STATX_SIZE, &file->attributes);
    finish_entry(sqe, number, STEP_STAT, IOSQE_IO_LINK);
    sqe = entry(self, number, STEP_READ);
    io_uring_prep_read(sqe, (int)number, file->buffer, LARGEST, 0);
    finish_entry(sqe, number, STEP_READ, IOSQE_IO_HARDLINK | IOSQE_FIXED_FILE);
    sqe = entry(self, number, STEP_CLOSE);
    io_uring_prep_close_direct(sqe, number);
    finish_entry(sqe, number, STEP_CLOSE, 0);
}

static void queue_open(struct state *self, unsigned number)
{
    struct io_uring_sqe *sqe = entry(self, number, STEP_OPEN);

    io_uring_prep_openat(sqe, AT_FDCWD, self->files[number].path, O_RDONLY | O_CLOEXEC, 0);
    finish_entry(sqe, number, STEP_OPEN, 0);
}

static void queue_opened(struct state *self, unsigned number)
{
    struct file *file = &self->files[number];
    struct io_uring_sqe *sqe = entry(self, number, STEP_STAT);

    io_uring_prep_statx(sqe, file->fd, "", AT_EMPTY_PATH, STATX_SIZE, &file->attributes);
    finish_entry(sqe, number, STEP_STAT, IOSQE_IO_LINK);
    sqe = entry(self, number, STEP_READ);
    io_uring_prep_read(sqe, file->fd, file->buffer, LARGEST, 0);
    finish_entry(sqe, number, STEP_READ, IOSQE_IO_HARDLINK);
    sqe = entry(self, number, STEP_CLOSE);
    io_uring_prep_close(sqe, file->fd);
    finish_entry(sqe, number, STEP_CLOSE, 0);
}

static void next_file(struct state *self, unsigned number)
{
    struct file *file = &self->files[number];

    file->path = take_path();
    if (!file->path)
        return;
    file->completed = 0;
    self->running++;
    if (self->direct)
        queue_direct(self, number);
    else
        queue_open(self, number);
}

static void completed(struct state *self, const struct io_uring_cqe *cqe)
{
    unsigned number = (unsigned)(cqe->user_data / STEPS), step = (unsigned)(cqe->user_data % STEPS);
    struct file *file = &self->files[number];

    if (cqe->res < 0)
        die("liburing", -cqe->res);
    if (step == STEP_READ)
        file->moved = cqe->res;
    if (step == STEP_OPEN && !self->direct) {
        file->fd = cqe->res;
        queue_opened(self, number);
    }
    if (++file->completed < STEPS)
        return;
    got_file((long long)file->attributes.stx_size, file->moved);
    self->running--;
    next_file(self, number);
}

static void read_tree(void *state)
{
    struct state *self = state;
    struct io_uring_cqe *cqe;
    unsigned head, seen;

    for (unsigned number = 0; number < self->depth; number++)
        next_file(self, number);
    while (self->running > 0) {
        int error = io_uring_submit_and_wait(&self->ring, 1);
        if (error < 0 && error != -EINTR)
            die("io_uring_submit_and_wait", -error);
        seen = 0;
        io_uring_for_each_cqe(&self->ring, head, cqe) {
            completed(self, cqe);
            seen++;
        }
        io_uring_cq_advance(&self->ring, seen);
    }
}

const struct reader liburing_reader = {.name = "liburing", .open = open_ring, .read_tree = read_tree};
const struct reader liburing_direct_reader = {.name = "liburing-direct", .open = open_ring, .read_tree = read_tree};
