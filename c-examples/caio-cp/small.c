/* Copies a small regular file with two chains. The first opens, examines and reads the source; if it is cached, that
 * completes inside submit. The second writes the copy under its temporary name, sets what is to be kept, closes it and
 * renames it, on one worker thread.
 *
 * The second chain breaks at whatever needs more than that: extended attributes, an inherited ACL, a refused owner. Then
 * the item goes on as a larger file, which also reports the errors. */
#include "caio-cp.h"

enum { ROOM = 64 * 1024, LONGEST = 10, MOST_IN_VAIN = 16 };

struct link {
    struct request request;
    struct small *small;
    int64_t result;
};

struct small {
    struct small *next_spare, *next_waiting;
    struct item *item;
    struct link links[LONGEST];
    unsigned count, pending;
    void (*done)(struct small *);
    struct timespec times[2];
    char data[ROOM + 1]; /* a file that fills it is not small */
};

static struct small *spare, *waiting, **waiting_end = &waiting;
static unsigned in_vain; /* chains in a row that broke */
static unsigned writing; /* second chains in flight */

static struct small *take_spare(void)
{
    struct small *small = spare;
    if (!small)
        return checked_alloc(malloc(sizeof *small));
    spare = small->next_spare;
    return small;
}

static struct item *give_back(struct small *small)
{
    small->next_spare = spare;
    spare = small;
    return small->item;
}

void small_close(void)
{
    while (spare) {
        struct small *next = spare->next_spare;
        free(spare);
        spare = next;
    }
}

static void add(struct small *small, caio_op op)
{
    op.flags |= CAIO_FLAG_LINK;
    small->links[small->count++].request.op = op;
}

static void arrived(struct request *request, int64_t result)
{
    struct link *link = (struct link *)request;
    struct small *small = link->small;
    link->result = result;
    if (--small->pending == 0)
        small->done(small);
}

static void send(struct small *small, void (*done)(struct small *))
{
    small->pending = small->count;
    small->done = done;
    small->links[small->count - 1].request.op.flags &= (uint8_t)~CAIO_FLAG_LINK;
    for (unsigned i = 0; i < small->count; i++) {
        small->links[i].small = small;
        send_request(&small->links[i].request, small->links[i].request.op, arrived);
    }
}

static bool succeeded(const struct small *small)
{
    for (unsigned i = 0; i < small->count; i++)
        if (small->links[i].result < 0)
            return false;
    return true;
}

/* The second chain. */

enum second { SOURCE_LIST, TARGET_OPEN };

static void write_waiting(void);

static void discarded(struct request *request, int64_t result)
{
    struct item *item = (struct item *)request;
    if (interrupted) {
        item_end(item); /* an interruption cancels the removal too, and this retries it */
        return;
    }
    (void)result;
    temporary_gone(item);
    item_copy(item);
}

static void written(struct small *small)
{
    bool good = succeeded(small), opened = small->count > TARGET_OPEN && small->links[TARGET_OPEN].result >= 0;
    uint64_t bytes = small->links[small->count - 1].result == 0 ? small->item->size : 0;
    struct item *item = give_back(small);
    in_vain = good ? 0 : in_vain + 1;
    writing--;
    write_waiting();
    if (good || !opened)
        temporary_gone(item);
    if (good) {
        copied.files++;
        copied.bytes += bytes;
        item->complete = true;
    }
    if (good || interrupted)
        item_end(item);
    else if (opened)
        send_request(&item->request, path_op(CAIO_OP_UNLINKAT, item->folder->fd[TARGET], item->temporary), discarded);
    else
        item_copy(item);
}

static caio_op opened_op(uint8_t opcode)
{
    caio_op op = path_op(opcode, CAIO_FD_OPENED, "");
    op.sys_flags = AT_EMPTY_PATH;
    return op;
}

/* Fails with ERANGE if the file has extended attributes. */
static void add_list(struct small *small, int fd)
{
    caio_op op = fd_op(CAIO_OP_FLISTXATTR, fd);
    op.buf2 = small->data + ROOM;
    op.len = 1;
    add(small, op);
}

static void add_write(struct small *small)
{
    caio_op op = fd_op(CAIO_OP_WRITE, CAIO_FD_OPENED);
    op.flags = CAIO_FLAG_FULL;
    op.buf = small->data;
    op.len = small->item->size;
    if (op.len > 0)
        add(small, op);
}

static void add_attributes(struct small *small)
{
    const struct statx *st = &small->item->st;
    caio_op owner = opened_op(CAIO_OP_FCHOWNAT), mode = opened_op(CAIO_OP_FCHMODAT), times = opened_op(CAIO_OP_UTIMENSAT);
    owner.mode = st->stx_uid;
    owner.len = st->stx_gid;
    mode.mode = st->stx_mode & 07777;
    times.buf2 = small->times;
    times_of(st, small->times);
    if (options.archive)
        add(small, owner);
    add(small, mode);
    add(small, times);
}

static void write_copy(struct small *small)
{
    struct item *item = small->item;
    int folder = item->folder->fd[TARGET];
    caio_op renaming = path_op(CAIO_OP_RENAMEAT, folder, item->temporary);
    renaming.buf2 = (void *)item->name[TARGET];
    temporary_name(item);
    temporary_made(item);
    small->count = 0;
    add_list(small, item->fd[SOURCE]);
    add(small, open_op(folder, item->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    add_list(small, CAIO_FD_OPENED);
    add_write(small);
    add_attributes(small);
    if (options.fsync)
        add(small, fd_op(CAIO_OP_FSYNC, CAIO_FD_OPENED));
    add(small, fd_op(CAIO_OP_CLOSE, CAIO_FD_OPENED));
    add(small, renaming);
    send(small, written);
}

/* More threads only wait for each other's locks on the folder, unless they wait for a sync. */
static unsigned most_writing(void)
{
    return options.fsync ? 64 : 4;
}

static void write_waiting(void)
{
    while (waiting && writing < most_writing()) {
        struct small *small = waiting;
        waiting = small->next_waiting;
        if (!waiting)
            waiting_end = &waiting;
        writing++;
        write_copy(small);
    }
}

static void write_later(struct small *small)
{
    small->next_waiting = NULL;
    *waiting_end = small;
    waiting_end = &small->next_waiting;
    write_waiting();
}

/* The first chain. */

enum first { OPEN, STAT, READ };

static bool is_sparse(const struct statx *st)
{
    return st->stx_blocks * 512 < st->stx_size;
}

/* Files with set-user-ID keep it only with their owner, which the larger files check. */
static bool fits(const struct item *item, int64_t length)
{
    bool set_id = (item->st.stx_mode & (S_ISUID | S_ISGID)) != 0;
    bool linked = options.archive && item->st.stx_nlink > 1;
    return length < ROOM && !set_id && !linked && !is_sparse(&item->st) && in_vain < MOST_IN_VAIN;
}

static void closed(struct request *request, int64_t result)
{
    (void)result;
    item_look((struct item *)request);
}

/* It was replaced after the folder was read, or cannot be opened: looks at it, which reports the error. */
static void look_again(struct item *item)
{
    int fd = item->fd[SOURCE];
    item->fd[SOURCE] = -1;
    if (fd >= 0)
        send_request(&item->request, fd_op(CAIO_OP_CLOSE, fd), closed);
    else
        item_look(item);
}

static void source_read(struct small *small)
{
    struct item *item = small->item;
    int64_t fd = small->links[OPEN].result, length = small->links[READ].result;
    item->fd[SOURCE] = fd >= 0 ? (int)fd : -1;
    if (succeeded(small) && !interrupted && S_ISREG(item->st.stx_mode) && fits(item, length)) {
        item->size = (uint64_t)length;
        write_later(small);
        return;
    }
    give_back(small);
    if (interrupted)
        item_end(item);
    else if (!succeeded(small) || !S_ISREG(item->st.stx_mode))
        look_again(item);
    else
        item_known(item);
}

static void read_source(struct small *small)
{
    struct item *item = small->item;
    caio_op stat = opened_op(CAIO_OP_STATX), read = fd_op(CAIO_OP_READ, CAIO_FD_OPENED);
    stat.mode = STATX_BASIC_STATS;
    stat.buf2 = &item->st;
    read.flags = CAIO_FLAG_FULL;
    read.buf = small->data;
    read.len = ROOM;
    small->count = 0;
    /* O_NONBLOCK: if a FIFO has taken the place of the file, does not wait for a writer. */
    add(small, open_op(item->folder->fd[SOURCE], item->name[SOURCE], O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0));
    add(small, stat);
    add(small, read);
    send(small, source_read);
}

bool small_begin(struct item *item)
{
    struct small *small;
    if (options.depth < LONGEST || options.direct || in_vain >= MOST_IN_VAIN)
        return false;
    small = take_spare();
    small->item = item;
    read_source(small);
    return true;
}
