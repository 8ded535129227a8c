/* A FUSE file system with one file, "gated". It holds reads, writes and syncs until it reads the line "go" from standard input.
 * From the line "all" on, it also holds opens of the file, the answer to stat(2), and what close(2) waits for.
 *
 * Arguments: the directory to mount on; optionally a block device to mount from, as ntfs-3g does. It prints "ready", then "held"
 * for each held request. It exits at the end of its input, and with 77 if it is not allowed to mount. It uses /dev/fuse
 * directly, so that the tests need no FUSE library. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Without input for this time, the test is gone. A test whose own read is held cannot exit by itself. */
enum { PATIENCE_MS = 300000 };

enum { FILE_SIZE = 1 << 20, LARGEST_WRITE = 1 << 17, MOST_HELD = 256, GATED = 2, CANNOT_MOUNT = 77 };

struct held {
    uint64_t unique;
    uint32_t opcode, size;
};

static struct held held[MOST_HELD];
static int held_count, holds_all;
static int device;
static volatile sig_atomic_t ended;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void answer(uint64_t unique, int error, const void *body, size_t size)
{
    struct fuse_out_header header;
    struct iovec parts[2];
    ssize_t put;
    header.len = (uint32_t)(sizeof header + size);
    header.error = error;
    header.unique = unique;
    parts[0].iov_base = &header;
    parts[0].iov_len = sizeof header;
    parts[1].iov_base = (void *)body;
    parts[1].iov_len = size;
    put = writev(device, parts, size > 0 ? 2 : 1);
    if (put < 0 && errno != ENOENT) /* ENOENT: the calling process was killed */
        fail("answer");
}

static void answer_init(uint64_t unique, const struct fuse_init_in *in)
{
    struct fuse_init_out out;
    memset(&out, 0, sizeof out);
    out.major = FUSE_KERNEL_VERSION;
    out.minor = in->minor < FUSE_KERNEL_MINOR_VERSION ? in->minor : FUSE_KERNEL_MINOR_VERSION;
    out.max_background = 2 * MOST_HELD;
    out.congestion_threshold = 2 * MOST_HELD;
    out.max_write = LARGEST_WRITE;
    out.time_gran = 1;
    answer(unique, 0, &out, sizeof out);
}

static void fill_attributes(uint64_t node, struct fuse_attr *attributes)
{
    attributes->ino = node;
    attributes->nlink = 1;
    attributes->mode = node == GATED ? S_IFREG | 0666 : S_IFDIR | 0755;
    attributes->size = node == GATED ? FILE_SIZE : 0;
    attributes->blksize = 4096;
}

static void answer_lookup(uint64_t unique, const char *name)
{
    struct fuse_entry_out out;
    if (strcmp(name, "gated") != 0) {
        answer(unique, -ENOENT, NULL, 0);
        return;
    }
    memset(&out, 0, sizeof out);
    out.nodeid = GATED;
    out.entry_valid = out.attr_valid = 3600;
    fill_attributes(GATED, &out.attr);
    answer(unique, 0, &out, sizeof out);
}

static void answer_attributes(uint64_t unique, uint64_t node)
{
    struct fuse_attr_out out;
    memset(&out, 0, sizeof out);
    out.attr_valid = 3600;
    fill_attributes(node, &out.attr);
    answer(unique, 0, &out, sizeof out);
}

static void answer_open(uint64_t unique)
{
    struct fuse_open_out out;
    memset(&out, 0, sizeof out);
    answer(unique, 0, &out, sizeof out);
}

static void answer_room(uint64_t unique)
{
    struct fuse_statfs_out out;
    memset(&out, 0, sizeof out);
    out.st.bsize = 4096;
    out.st.namelen = 255;
    answer(unique, 0, &out, sizeof out);
}

static void hold(uint64_t unique, uint32_t opcode, uint32_t size)
{
    if (held_count == MOST_HELD) {
        answer(unique, -EBUSY, NULL, 0);
        return;
    }
    held[held_count].unique = unique;
    held[held_count].opcode = opcode;
    held[held_count++].size = size;
    puts("held");
}

/* Answers all held requests, with an error or with success. */
static void let_go(int error)
{
    static char content[LARGEST_WRITE];
    struct fuse_write_out out;
    memset(content, 'g', sizeof content);
    memset(&out, 0, sizeof out);
    for (int i = 0; i < held_count; i++) {
        if (error)
            answer(held[i].unique, error, NULL, 0);
        else if (held[i].opcode == FUSE_READ)
            answer(held[i].unique, 0, content, held[i].size);
        else if (held[i].opcode == FUSE_WRITE) {
            out.size = held[i].size;
            answer(held[i].unique, 0, &out, sizeof out);
        } else if (held[i].opcode == FUSE_OPEN)
            answer_open(held[i].unique);
        else if (held[i].opcode == FUSE_GETATTR)
            answer_attributes(held[i].unique, GATED);
        else
            answer(held[i].unique, 0, NULL, 0);
    }
    held_count = 0;
}

static void serve(const struct fuse_in_header *in, const void *body)
{
    switch (in->opcode) {
    case FUSE_INIT:
        answer_init(in->unique, (const struct fuse_init_in *)body);
        break;
    case FUSE_LOOKUP:
        answer_lookup(in->unique, (const char *)body);
        break;
    case FUSE_GETATTR:
    case FUSE_SETATTR:
        if (holds_all && in->opcode == FUSE_GETATTR && in->nodeid == GATED)
            hold(in->unique, in->opcode, 0);
        else
            answer_attributes(in->unique, in->nodeid);
        break;
    case FUSE_OPEN:
        if (holds_all)
            hold(in->unique, in->opcode, 0);
        else
            answer_open(in->unique);
        break;
    case FUSE_STATFS:
        answer_room(in->unique);
        break;
    case FUSE_READ:
        hold(in->unique, in->opcode, ((const struct fuse_read_in *)body)->size);
        break;
    case FUSE_WRITE:
        hold(in->unique, in->opcode, ((const struct fuse_write_in *)body)->size);
        break;
    case FUSE_FSYNC:
        hold(in->unique, in->opcode, 0);
        break;
    case FUSE_FLUSH:
        if (holds_all)
            hold(in->unique, in->opcode, 0);
        else
            answer(in->unique, 0, NULL, 0);
        break;
    case FUSE_RELEASE:
        answer(in->unique, 0, NULL, 0);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: /* needs no answer: the request stays held */
        break;
    default:
        answer(in->unique, -ENOSYS, NULL, 0);
    }
}

/* Returns false after the file system was unmounted. */
static int take_request(void)
{
    static union {
        struct fuse_in_header header;
        char bytes[LARGEST_WRITE + 4096];
    } request;
    ssize_t got = read(device, &request, sizeof request);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN || errno == ENOENT;
    serve(&request.header, request.bytes + sizeof request.header);
    return 1;
}

static void end(int signal)
{
    (void)signal;
    ended = 1;
}

/* A killed parent whose requests are held keeps its end of our standard input open. A signal reports its death. */
static void end_with_parent(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = end;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
}

/* Returns false at the end of standard input. Each line is "go", "refuse" or "all". */
static int take_command(void)
{
    char line[16];
    if (read(0, line, sizeof line) <= 0)
        return 0;
    if (line[0] == 'a') {
        holds_all = 1;
        puts("all");
    } else
        let_go(line[0] == 'r' ? -EOPNOTSUPP : 0);
    return 1;
}

int main(int argc, char **argv)
{
    char options[64];
    struct pollfd both[2];
    const char *source = argc == 3 ? argv[2] : "gate", *type = argc == 3 ? "fuseblk" : "fuse.gate";
    if (argc < 2 || argc > 3)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (device < 0)
        return CANNOT_MOUNT;
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%d,group_id=%d", device, (int)getuid(), (int)getgid());
    if (mount(source, argv[1], type, MS_NOSUID | MS_NODEV, options) != 0)
        return CANNOT_MOUNT;
    end_with_parent();
    puts("ready");
    both[0].fd = device;
    both[1].fd = 0;
    both[0].events = both[1].events = POLLIN;
    while (!ended) {
        int ready = poll(both, 2, PATIENCE_MS);
        if (ready == 0)
            break;
        if (ready < 0)
            continue;
        if (both[0].revents && !take_request())
            break;
        if (both[1].revents && !take_command())
            break;
    }
    let_go(0);
    close(device); /* otherwise unmounting a block device waits for our answer */
    umount2(argv[1], MNT_DETACH);
    return 0;
}
