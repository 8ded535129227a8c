/* Small files with libuv: uv_fs_open, uv_fs_fstat, uv_fs_read and uv_fs_close on its loop. */
#include "small_files.h"
#include "bench.h"

#include <fcntl.h>
#include <stdlib.h>
#include <uv.h>

struct file {
    uv_fs_t request;
    int fd;
    long long size, moved;
    char buffer[LARGEST];
};

struct state {
    uv_loop_t loop;
    unsigned depth;
    struct file *files;
};

static void next_file(uv_loop_t *loop, struct file *file);

static void *open_loop(const struct reader *reader, unsigned depth)
{
    struct state *self = calloc(1, sizeof *self);

    (void)reader;
    if (uv_loop_init(&self->loop) != 0)
        return NULL;
    self->depth = depth;
    self->files = touched(depth, sizeof *self->files);
    return self;
}

static long long result_of(uv_fs_t *request)
{
    long long result = (long long)request->result;

    if (result < 0)
        die("libuv", (int)-result);
    uv_fs_req_cleanup(request);
    return result;
}

static void closed(uv_fs_t *request)
{
    struct file *file = request->data;

    result_of(request);
    got_file(file->size, file->moved);
    next_file(request->loop, file);
}

static void was_read(uv_fs_t *request)
{
    struct file *file = request->data;

    file->moved = result_of(request);
    uv_fs_close(request->loop, request, file->fd, closed);
}

static void was_stat(uv_fs_t *request)
{
    struct file *file = request->data;
    uv_buf_t buffer = uv_buf_init(file->buffer, LARGEST);

    file->size = (long long)request->statbuf.st_size;
    result_of(request);
    uv_fs_read(request->loop, request, file->fd, &buffer, 1, 0, was_read);
}

static void opened(uv_fs_t *request)
{
    struct file *file = request->data;

    file->fd = (int)result_of(request);
    uv_fs_fstat(request->loop, request, file->fd, was_stat);
}

static void next_file(uv_loop_t *loop, struct file *file)
{
    const char *path = take_path();

    file->request.data = file;
    if (path)
        uv_fs_open(loop, &file->request, path, UV_FS_O_RDONLY, 0, opened);
}

static void read_tree(void *state)
{
    struct state *self = state;

    for (unsigned i = 0; i < self->depth; i++)
        next_file(&self->loop, &self->files[i]);
    uv_run(&self->loop, UV_RUN_DEFAULT);
}

const struct reader libuv_reader = {.name = "libuv", .open = open_loop, .read_tree = read_tree};
