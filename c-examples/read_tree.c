/* Reads every file below a directory, and prints how many files and bytes there are.
 *
 *   read_tree DIRECTORY
 *
 * 64 files and directories are open at a time. Each goes through the same steps: open, read until nothing is left, close. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <caio.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN_AT_MOST = 64, ROOM = 64 * 1024 };

struct item {
    struct item *next; /* in the queue of those that are not open yet */
    uint8_t step;      /* the opcode that is in flight */
    bool folder;
    int fd;
    char *room, path[];
};

static struct item *queue;
static unsigned active;
static uint64_t files, bytes;
static bool failed;

static void *checked(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static void add(const char *folder, const char *name, bool is_folder)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    struct item *item = checked(calloc(1, sizeof *item + size));
    snprintf(item->path, size, "%s%s%s", folder, *folder ? "/" : "", name);
    item->folder = is_folder;
    item->next = queue;
    queue = item;
}

/* Submits the next step. The item is the user data: it lives until its last event. */
static void submit(caio_ctx *ctx, struct item *item, uint8_t step)
{
    caio_op op = {.user_data = (uintptr_t)item, .opcode = step};
    int error;
    item->step = step;
    if (step == CAIO_OP_OPENAT) {
        op.fd = AT_FDCWD;
        op.buf = item->path;
        op.sys_flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW;
    } else {
        op.fd = item->fd;
    }
    if (step == CAIO_OP_READ || step == CAIO_OP_GETDENTS) {
        op.buf = item->room;
        op.len = ROOM;
    }
    if (step == CAIO_OP_READ)
        op.offset = CAIO_OFFSET_CURRENT;
    error = caio_ctx_submit(ctx, &op, 1);
    if (error < 0) { /* not -EAGAIN: the context has room for 512 operations */
        fprintf(stderr, "read_tree: %s\n", caio_strerror(error));
        exit(1);
    }
}

static void start(caio_ctx *ctx)
{
    while (queue && active < OPEN_AT_MOST) {
        struct item *item = queue;
        queue = item->next;
        item->room = (char *)checked(malloc(ROOM));
        active++;
        submit(ctx, item, CAIO_OP_OPENAT);
    }
}

static void finish(struct item *item)
{
    free(item->room);
    free(item);
    active--;
}

static void list(struct item *folder, size_t size)
{
    for (size_t at = 0; at < size;) {
        struct dirent64 *entry = (struct dirent64 *)(folder->room + at);
        bool dots = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        if (!dots && (entry->d_type == DT_DIR || entry->d_type == DT_REG))
            add(folder->path, entry->d_name, entry->d_type == DT_DIR);
        at += entry->d_reclen;
    }
}

static void on_event(caio_ctx *ctx, struct item *item, int64_t result)
{
    uint8_t read = item->folder ? CAIO_OP_GETDENTS : CAIO_OP_READ;
    if (result < 0) {
        fprintf(stderr, "read_tree: %s: %s\n", item->path, caio_strerror((int)result));
        failed = true;
    }
    if (item->step == CAIO_OP_CLOSE || (item->step == CAIO_OP_OPENAT && result < 0)) {
        finish(item);
        return;
    }
    if (item->step == CAIO_OP_OPENAT) {
        item->fd = (int)result;
        files += !item->folder;
    } else if (result <= 0) {
        submit(ctx, item, CAIO_OP_CLOSE);
        return;
    } else if (item->folder) {
        list(item, (size_t)result);
    } else {
        bytes += (uint64_t)result; /* the data is in item->room */
    }
    submit(ctx, item, read);
}

int main(int argc, char **argv)
{
    caio_event events[OPEN_AT_MOST];
    caio_ctx *ctx;
    if (argc != 2 || caio_ctx_new(NULL, &ctx) < 0) {
        fputs("usage: read_tree DIRECTORY\n", stderr);
        return 1;
    }
    add("", argv[1], true);
    for (start(ctx); active > 0; start(ctx)) {
        int count = caio_ctx_wait(ctx, events, 1, OPEN_AT_MOST, -1); /* -EINTR after a signal */
        for (int i = 0; i < count; i++)
            on_event(ctx, (struct item *)(uintptr_t)events[i].user_data, events[i].result);
    }
    printf("%llu files, %llu bytes\n", (unsigned long long)files, (unsigned long long)bytes);
    caio_ctx_free(ctx);
    return failed || fflush(stdout) != 0;
}
