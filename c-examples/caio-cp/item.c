/* Copies one file, link, FIFO, socket or device: under a temporary name beside the final one, then renames it. */
#include "caio-cp.h"

static struct item *temporaries; /* the items that have a temporary file */

static struct item *item_of(struct request *request)
{
    return (struct item *)request;
}

static void send_for(struct item *item, caio_op op, void (*done)(struct request *, int64_t))
{
    send_request(&item->request, op, done);
}

void item_begin(struct folder *folder, struct argument argument)
{
    struct item *item = checked_alloc(calloc(1, sizeof *item));
    item->folder = folder;
    item->name[SOURCE] = argument.name[SOURCE];
    item->name[TARGET] = argument.name[TARGET];
    item->follow = argument.follow;
    item->fd[SOURCE] = item->fd[TARGET] = -1;
    if (counting || argument.type != DT_REG || !small_begin(item))
        item_look(item);
}

static void item_over(struct item *item)
{
    struct folder *folder = item->folder;
    if (item->file)
        link_over(item);
    free_attributes(item->attributes);
    free(item->text);
    free(item->name[SOURCE]);
    free(item);
    item_left(folder);
}

/* Reports the first error of an item, but none after an interruption. */
void item_fail(struct item *item, int error, const char *what, enum side side)
{
    if (!item->failed && !interrupted && !counting)
        complain_at(error, what, item->folder, item->name[side], side);
    item->failed = true;
}

/* Returns true if the operation succeeded; otherwise gives the item up. */
static bool succeeded(struct item *item, int64_t result, const char *what, enum side side)
{
    if (result >= 0 && !interrupted)
        return true;
    item_fail(item, (int)-result, what, side);
    item_end(item);
    return false;
}

void temporary_made(struct item *item)
{
    item->next_temporary = temporaries;
    item->temporary_link = &temporaries;
    if (temporaries)
        temporaries->temporary_link = &item->next_temporary;
    temporaries = item;
}

void temporary_gone(struct item *item)
{
    *item->temporary_link = item->next_temporary;
    if (item->next_temporary)
        item->next_temporary->temporary_link = item->temporary_link;
    item->temporary_link = NULL;
}

void remove_temporaries(void)
{
    for (struct item *item = temporaries; item; item = item->next_temporary)
        remove_now(item->folder->fd[TARGET], item->temporary);
}

/* The end of an item, in success and failure: removes the temporary file, closes the descriptors, frees the item. */

static void closed(struct request *request, int64_t result)
{
    (void)result;
    item_end(item_of(request));
}

static void unlinked(struct request *request, int64_t result)
{
    struct item *item = item_of(request);
    if (result != -ECANCELED) /* an interruption cancels this too: retry */
        temporary_gone(item);
    item_end(item);
}

/* Also the source: on some file systems, close(2) of a file that was only read waits too. */
static void close_side(struct item *item, enum side side, void (*done)(struct request *, int64_t))
{
    int fd = item->fd[side];
    item->fd[side] = -1;
    send_for(item, fd_op(CAIO_OP_CLOSE, fd), done);
}

void item_end(struct item *item)
{
    if (item->temporary_link) {
        send_for(item, path_op(CAIO_OP_UNLINKAT, item->folder->fd[TARGET], item->temporary), unlinked);
    } else if (item->fd[TARGET] >= 0)
        close_side(item, TARGET, closed);
    else if (item->fd[SOURCE] >= 0)
        close_side(item, SOURCE, closed);
    else
        item_over(item);
}

/* ".name.caio-XXXXXX". A name that is too long is cut, but not within a UTF-8 character. */
void temporary_name(struct item *item)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    static uint64_t state;
    const char *name = item->name[TARGET];
    size_t length = strlen(name), most = NAME_MAX - strlen("..caio-XXXXXX");
    char suffix[7] = {0};
    uint64_t bits;
    if (state == 0)
        state = random_seed();
    bits = state += 0x9e3779b97f4a7c15;
    bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ bits >> 27) * 0x94d049bb133111eb;
    for (int i = 0; i < 6; i++, bits /= 36)
        suffix[i] = letters[bits % 36];
    if (length > most)
        for (length = most; length > 0 && (name[length] & 0xC0) == 0x80;)
            length--;
    snprintf(item->temporary, sizeof item->temporary, ".%.*s.caio-%s", (int)length, name, suffix);
}

/* The rename, the last step of a successful copy. */

static void renamed(struct request *request, int64_t result)
{
    struct item *item = item_of(request);
    if (result >= 0) {
        if (!item->linked) /* rename(2) does nothing if both names are links to one file */
            temporary_gone(item);
        item->complete = true;
        copied.files++;
        item_end(item); /* closes what is still open */
    } else if (result == -EISDIR)
        succeeded(item, result, "cannot overwrite directory '%s' with non-directory", TARGET);
    else
        succeeded(item, result, "cannot create '%s'", TARGET);
}

static void rename_it(struct item *item)
{
    caio_op op = path_op(CAIO_OP_RENAMEAT, item->folder->fd[TARGET], item->temporary);
    op.buf2 = (void *)item->name[TARGET];
    send_for(item, op, renamed);
}

/* A regular file: opens both, copies the data (data.c), sets size, mode and times, syncs, closes, renames. */

static void target_closed(struct request *request, int64_t result)
{
    struct item *item = item_of(request);
    if (succeeded(item, result, "error closing '%s'", TARGET)) /* NFS reports write errors here */
        rename_it(item);
}

static void synced(struct request *request, int64_t result)
{
    struct item *item = item_of(request);
    if (succeeded(item, result, "error syncing '%s'", TARGET))
        close_side(item, TARGET, target_closed);
}

static void kept(void *owner)
{
    struct item *item = owner;
    if (interrupted)
        item_end(item);
    else if (item->fd[TARGET] < 0)
        rename_it(item);
    else if (options.fsync)
        send_for(item, fd_op(CAIO_OP_FSYNC, item->fd[TARGET]), synced);
    else
        close_side(item, TARGET, target_closed);
}

static void attributes_read(void *owner)
{
    struct item *item = owner;
    struct place target = {.fd = item->fd[TARGET]};
    if (target.fd < 0)
        target = (struct place){.fd = item->folder->fd[TARGET], .name = item->temporary};
    keep_attributes(target, &item->st, item->attributes, item->folder, item->name[TARGET], kept, item);
}

static void sized(struct request *request, int64_t result)
{
    struct item *item = item_of(request);
    if (succeeded(item, result, "error writing '%s'", TARGET))
        read_attributes((struct place){.fd = item->fd[SOURCE]}, false, &item->attributes, attributes_read, item);
}

void item_data_over(struct item *item)
{
    caio_op truncate = fd_op(CAIO_OP_TRUNCATE, item->fd[TARGET]);
    truncate.offset = item->end_of_file;
    if (item->failed || interrupted)
        item_end(item);
    else if (item->written_end != item->end_of_file)
        send_for(item, truncate, sized);
    else
        sized(&item->request, 0);
}

static void open_target(struct item *item);

static void target_opened(struct request *request, int64_t result)
{
    struct item *item = item_of(request);
    if (result == -EEXIST) {
        open_target(item);
        return;
    }
    item->fd[TARGET] = result >= 0 ? (int)result : -1;
    if (result >= 0)
        temporary_made(item);
    if (succeeded(item, result, "cannot create regular file '%s'", TARGET))
        data_begin(item);
}

static void open_target(struct item *item)
{
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    temporary_name(item);
    send_for(item, open_op(item->folder->fd[TARGET], item->temporary, flags, 0600), target_opened);
}

static void source_opened(struct request *request, int64_t result)
{
    struct item *item = item_of(request);
    item->fd[SOURCE] = result >= 0 ? (int)result : -1;
    if (succeeded(item, result, "cannot open '%s' for reading", SOURCE))
        open_target(item);
}

static void open_source(struct item *item)
{
    int flags = O_RDONLY | (item->follow ? 0 : O_NOFOLLOW);
    send_for(item, open_op(item->folder->fd[SOURCE], item->name[SOURCE], flags, 0), source_opened);
}

/* Links, FIFOs, sockets and devices, also under a temporary name. */

static void special_made(struct request *request, int64_t result, const char *what, void (*again)(struct item *))
{
    struct item *item = item_of(request);
    struct place source = {.fd = item->folder->fd[SOURCE], .name = item->name[SOURCE]};
    if (result == -EEXIST && !interrupted) {
        again(item);
        return;
    }
    if (result >= 0)
        temporary_made(item);
    if (!succeeded(item, result, what, TARGET))
        return;
    if (S_ISLNK(item->st.stx_mode))
        attributes_read(item);
    else
        read_attributes(source, false, &item->attributes, attributes_read, item);
}

static void make_symlink(struct item *item);

static void symlink_made(struct request *request, int64_t result)
{
    special_made(request, result, "cannot create symbolic link '%s'", make_symlink);
}

static void make_symlink(struct item *item)
{
    caio_op op = path_op(CAIO_OP_SYMLINKAT, item->folder->fd[TARGET], item->text);
    temporary_name(item);
    op.buf2 = item->temporary;
    send_for(item, op, symlink_made);
}

static void symlink_read(struct request *request, int64_t result)
{
    struct item *item = item_of(request);
    if (!succeeded(item, result, "cannot read symbolic link '%s'", SOURCE))
        return;
    item->text[result] = '\0';
    make_symlink(item);
}

static void read_symlink(struct item *item)
{
    caio_op op = path_op(CAIO_OP_READLINKAT, item->folder->fd[SOURCE], item->name[SOURCE]);
    item->text = checked_alloc(malloc(PATH_MAX));
    op.buf2 = item->text;
    op.len = PATH_MAX - 1;
    send_for(item, op, symlink_read);
}

static void make_node(struct item *item);

static void node_made(struct request *request, int64_t result)
{
    bool fifo = S_ISFIFO(item_of(request)->st.stx_mode);
    special_made(request, result, fifo ? "cannot create fifo '%s'" : "cannot create special file '%s'", make_node);
}

static void make_node(struct item *item)
{
    caio_op op = path_op(CAIO_OP_MKNODAT, item->folder->fd[TARGET], item->temporary);
    temporary_name(item);
    op.mode = (item->st.stx_mode & S_IFMT) | 0600;
    op.offset = makedev(item->st.stx_rdev_major, item->st.stx_rdev_minor);
    send_for(item, op, node_made);
}

/* Another hard link to a file that has been copied. */

static const char *copy_path(const struct item *item)
{
    return item->request.op.buf;
}

static void linked(struct request *request, int64_t result)
{
    struct item *item = item_of(request);
    if (result == -EEXIST && !interrupted) {
        item_link(item, copy_path(item));
        return;
    }
    if (result >= 0)
        temporary_made(item);
    if (succeeded(item, result, "cannot create hard link '%s'", TARGET))
        rename_it(item);
}

void item_link(struct item *item, const char *path)
{
    caio_op op = path_op(CAIO_OP_LINKAT, AT_FDCWD, path);
    temporary_name(item);
    item->linked = true;
    op.flags = CAIO_FLAG_DIR2;
    op.offset = (uint64_t)(int64_t)item->folder->fd[TARGET];
    op.buf2 = item->temporary;
    send_for(item, op, linked);
}

/* The first step: finds out the kind of the item. */

static void count(struct item *item)
{
    expected.files++;
    if (S_ISREG(item->st.stx_mode))
        expected.bytes += item->st.stx_size;
    item_over(item);
}

static void make_folder(struct item *item)
{
    folder_found(item->folder, item->name[SOURCE], item->name[TARGET], &item->st, item->follow);
    item->name[SOURCE] = NULL; /* the folder owns it now */
    item_over(item);
}

void item_copy(struct item *item)
{
    mode_t mode = item->st.stx_mode;
    if (S_ISREG(mode) && item->fd[SOURCE] >= 0)
        open_target(item);
    else if (S_ISREG(mode))
        open_source(item);
    else if (S_ISLNK(mode))
        read_symlink(item);
    else if (S_ISFIFO(mode) || options.archive)
        make_node(item);
    else
        succeeded(item, -EOPNOTSUPP, "cannot copy special file '%s'", SOURCE);
}

void item_known(struct item *item)
{
    if (S_ISDIR(item->st.stx_mode))
        make_folder(item);
    else if (counting)
        count(item);
    else if (!options.archive || item->st.stx_nlink < 2 || !link_known(item))
        item_copy(item);
}

static void looked(struct request *request, int64_t result)
{
    struct item *item = item_of(request);
    if (succeeded(item, result, "cannot stat '%s'", SOURCE))
        item_known(item);
}

void item_look(struct item *item)
{
    caio_op op = path_op(CAIO_OP_STATX, item->folder->fd[SOURCE], item->name[SOURCE]);
    op.sys_flags = item->follow ? 0 : AT_SYMLINK_NOFOLLOW;
    op.mode = STATX_BASIC_STATS;
    op.buf2 = &item->st;
    send_for(item, op, looked);
}
