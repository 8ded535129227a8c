/* Copies a small regular file with two chains. The first opens, examines and reads the source; if it is cached, that
 * completes inside submit. The second writes the copy, sets what is to be kept, gives it its name and closes it, on one
 * worker thread. It does that for all files that were read while the chains before it ran, up to a limit: a thread wakes up
 * and the loop is notified once for several files.
 *
 * In a folder that this command made, the copy has no name until it is complete (O_TMPFILE). This takes less time than a
 * temporary name and rename(2), and threads do not wait for each other's lock on the folder while they make files.
 *
 * The second chain breaks at whatever needs more than that: extended attributes, an inherited ACL, a refused owner. Then
 * the item goes on as a larger file, which also reports the errors. The files behind it in the chain start again. */
#include "caio-cp.h"

#ifndef O_TMPFILE
#define O_TMPFILE 0
#endif

enum { ROOM = 64 * 1024, LONGEST = 10, MOST_IN_VAIN = 16, MOST_CHAINS = 64 };

struct link {
    struct request request;
    struct small *small;
    int64_t result;
};

struct small {
    struct small *next_spare;
    struct item *item;
    struct link links[LONGEST];
    unsigned count, pending, target_open, chain;
    bool unnamed;
    void (*done)(struct small *);
    struct timespec times[2];
    char data[ROOM + 1]; /* a file that fills it is not small */
};

static struct small *spare;
static struct queue waiting; /* of the first links of the files that were read */
static unsigned in_vain; /* files in a row that broke a chain */
static unsigned unfinished[MOST_CHAINS]; /* in each second chain in flight, the files that are not finished */
static bool always_named = O_TMPFILE == 0;

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

/* `more`: the operations of another file follow in the same chain. */
static void send(struct small *small, void (*done)(struct small *), bool more)
{
    small->pending = small->count;
    small->done = done;
    if (!more)
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

static void write_later(struct small *small);
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

static void complete(struct item *item, uint64_t bytes)
{
    in_vain = 0;
    copied.files++;
    copied.bytes += bytes;
    item->complete = true;
    item_end(item);
}

static void broken(struct item *item)
{
    if (interrupted)
        item_end(item);
    else if (item->temporary_link)
        send_request(&item->request, path_op(CAIO_OP_UNLINKAT, item->folder->fd[TARGET], item->temporary), discarded);
    else
        item_copy(item);
}

/* Returns true if the file must be written again, for no fault of its own: the chain broke before it, or the file system
 * does not make files without a name. */
static bool starts_again(const struct small *small)
{
    int64_t opened = small->links[small->target_open].result;
    bool cancelled = small->links[0].result == -ECANCELED, refused = small->unnamed && opened < 0 && opened != -ECANCELED;
    always_named |= refused;
    return !interrupted && (cancelled || refused);
}

static void written(struct small *small)
{
    struct item *item = small->item;
    bool good = succeeded(small), opened = small->links[small->target_open].result >= 0;
    unfinished[small->chain]--;
    if (item->temporary_link && (good || !opened))
        temporary_gone(item);
    if (starts_again(small)) {
        write_later(small);
        return;
    }
    give_back(small);
    write_waiting();
    if (good) {
        complete(item, item->size);
        return;
    }
    in_vain++;
    broken(item);
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
    if (!loop_supports(CAIO_OP_FLISTXATTR))
        return;
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
    if (options.archive && loop_supports(CAIO_OP_FCHOWNAT))
        add(small, owner);
    add(small, mode);
    add(small, times);
}

static caio_op open_copy(const struct small *small)
{
    int folder = small->item->folder->fd[TARGET];
    if (small->unnamed)
        return open_op(folder, ".", O_WRONLY | O_TMPFILE, 0600);
    return open_op(folder, small->item->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
}

static void add_name_and_close(struct small *small)
{
    const struct item *item = small->item;
    int folder = item->folder->fd[TARGET];
    caio_op linking = opened_op(CAIO_OP_LINKAT), renaming = path_op(CAIO_OP_RENAMEAT, folder, item->temporary);
    linking.flags = CAIO_FLAG_DIR2;
    linking.offset = (uint64_t)(int64_t)folder;
    linking.buf2 = renaming.buf2 = (void *)item->name[TARGET];
    if (small->unnamed)
        add(small, linking);
    add(small, fd_op(CAIO_OP_CLOSE, CAIO_FD_OPENED));
    if (!small->unnamed)
        add(small, renaming);
}

static void make_copy_links(struct small *small)
{
    struct item *item = small->item;
    small->unnamed = item->folder->made && !always_named;
    if (!small->unnamed) {
        temporary_name(item);
        temporary_made(item);
    }
    small->count = 0;
    add_list(small, item->fd[SOURCE]);
    small->target_open = small->count;
    add(small, open_copy(small));
    add_list(small, CAIO_FD_OPENED);
    add_write(small);
    add_attributes(small);
    if (options.fsync)
        add(small, fd_op(CAIO_OP_FSYNC, CAIO_FD_OPENED));
    add_name_and_close(small);
}

/* More threads only wait for each other's locks, unless they wait for a sync. */
static unsigned most_chains(void)
{
    return options.fsync ? MOST_CHAINS : 3;
}

/* A sync of its own for each file is faster in a chain of its own: libcaio makes the syncs of several chains together. */
static unsigned longest_chain(void)
{
    return options.fsync ? LONGEST : options.depth / 4 > MOST_LINKED ? MOST_LINKED : options.depth / 4;
}

static void write_chain(unsigned chain)
{
    unsigned length = 0;
    bool more = true;
    while (more) {
        struct small *small = ((struct link *)dequeue(&waiting))->small;
        make_copy_links(small);
        small->chain = chain;
        unfinished[chain]++;
        length += small->count;
        more = waiting.first && length + LONGEST <= longest_chain();
        send(small, written, more);
    }
}

static void write_waiting(void)
{
    for (unsigned chain = 0; waiting.first && chain < most_chains(); chain++)
        if (unfinished[chain] == 0)
            write_chain(chain);
}

static void write_later(struct small *small)
{
    enqueue(&waiting, &small->links[0].request);
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
    send(small, source_read, false);
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
