/* Copies one file, link or FIFO: under a temporary name beside the final one, then renames it. */
#include "caio-cp.h"
#include <sys/random.h>

static void look(struct item *item);
static void give_up(struct item *item);

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
    look(item);
}

static void item_over(struct item *item)
{
    struct folder *folder = item->folder;
    if (item->fd[SOURCE] >= 0)
        close(item->fd[SOURCE]); /* opened for reading: close(2) does not block */
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
    give_up(item);
    return false;
}

static void temporary_made(struct item *item)
{
    item->next_temporary = temporaries;
    item->temporary_link = &temporaries;
    if (temporaries)
        temporaries->temporary_link = &item->next_temporary;
    temporaries = item;
}

static void temporary_gone(struct item *item)
{
    *item->temporary_link = item->next_temporary;
    if (item->next_temporary)
        item->next_temporary->temporary_link = item->temporary_link;
    item->temporary_link = NULL;
}

void remove_temporaries(void)
{
    for (struct item *item = temporaries; item; item = item->next_temporary)
        unlinkat(item->folder->fd[TARGET], item->temporary, 0);
}

/* The end of an item, in success and failure: removes the temporary file, closes the descriptors, frees the item. */

static void closed(struct request *request, int64_t result)
{
    (void)result;
    give_up(item_of(request));
}

static void unlinked(struct request *request, int64_t result)
{
    struct item *item = item_of(request);
    if (result != -ECANCELED) /* an interruption cancels this too: retry */
        temporary_gone(item);
    give_up(item);
}

static void close_target(struct item *item, void (*done)(struct request *, int64_t))
{
    int fd = item->fd[TARGET];
    item->fd[TARGET] = -1;
    send_for(item, fd_op(CAIO_OP_CLOSE, fd), done);
}

static void give_up(struct item *item)
{
    if (item->temporary_link) {
        send_for(item, path_op(CAIO_OP_UNLINKAT, item->folder->fd[TARGET], item->temporary), unlinked);
    } else if (item->fd[TARGET] >= 0)
        close_target(item, closed);
    else
        item_over(item);
}

/* ".name.caio-XXXXXX". A name that is too long is cut, but not within a UTF-8 character. */
static void temporary_name(struct item *item)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    static uint64_t state;
    const char *name = item->name[TARGET];
    size_t length = strlen(name), most = NAME_MAX - strlen("..caio-XXXXXX");
    char suffix[7] = {0};
    uint64_t bits;
    if (state == 0 && getrandom(&state, sizeof state, 0) != sizeof state)
        state = (uint64_t)getpid();
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
        temporary_gone(item);
        copied.files++;
        give_up(item); /* closes what is still open */
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
        close_target(item, target_closed);
}

static void keep_all(struct item *item, struct place source, struct place target)
{
    struct acl *acl = read_acl(source, ACCESS_ACL);
    keep_attributes(target, &item->st, &acl, item->folder, item->name[TARGET]);
    free(acl);
}

static void sized(struct request *request, int64_t result)
{
    struct item *item = item_of(request);
    if (!succeeded(item, result, "error writing '%s'", TARGET))
        return;
    keep_all(item, (struct place){.fd = item->fd[SOURCE]}, (struct place){.fd = item->fd[TARGET]});
    if (options.fsync)
        send_for(item, fd_op(CAIO_OP_FSYNC, item->fd[TARGET]), synced);
    else
        close_target(item, target_closed);
}

void item_data_over(struct item *item)
{
    caio_op truncate = fd_op(CAIO_OP_TRUNCATE, item->fd[TARGET]);
    truncate.offset = item->end_of_file;
    if (item->failed || interrupted)
        give_up(item);
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

/* Links and FIFOs, also under a temporary name. libcaio has no opcodes for them; the system calls are short. */

static int make_link(struct item *item, int folder)
{
    char text[PATH_MAX];
    ssize_t length = readlinkat(item->folder->fd[SOURCE], item->name[SOURCE], text, sizeof text - 1);
    if (length < 0)
        return -1;
    text[length] = '\0';
    return symlinkat(text, folder, item->temporary);
}

static int make_fifo(struct item *item, int folder)
{
    return mkfifoat(folder, item->temporary, 0600);
}

static void make_special(struct item *item, int (*make)(struct item *, int), const char *what)
{
    struct place source = {.fd = item->folder->fd[SOURCE], .name = item->name[SOURCE]};
    struct place target = {.fd = item->folder->fd[TARGET], .name = item->temporary};
    int result;
    do {
        temporary_name(item);
        result = make(item, target.fd);
    } while (result < 0 && errno == EEXIST);
    if (!succeeded(item, result < 0 ? -errno : 0, what, TARGET))
        return;
    temporary_made(item);
    if (S_ISLNK(item->st.stx_mode))
        keep_times(target, &item->st, item->folder, item->name[TARGET]);
    else
        keep_all(item, source, target);
    rename_it(item);
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

static void looked(struct request *request, int64_t result)
{
    struct item *item = item_of(request);
    mode_t mode = item->st.stx_mode;
    if (!succeeded(item, result, "cannot stat '%s'", SOURCE))
        return;
    if (S_ISDIR(mode))
        make_folder(item);
    else if (counting)
        count(item);
    else if (S_ISREG(mode))
        open_source(item);
    else if (S_ISLNK(mode))
        make_special(item, make_link, "cannot create symbolic link '%s'");
    else if (S_ISFIFO(mode))
        make_special(item, make_fifo, "cannot create fifo '%s'");
    else
        succeeded(item, -EOPNOTSUPP, "cannot copy special file '%s'", SOURCE);
}

static void look(struct item *item)
{
    caio_op op = path_op(CAIO_OP_STATX, item->folder->fd[SOURCE], item->name[SOURCE]);
    op.sys_flags = item->follow ? 0 : AT_SYMLINK_NOFOLLOW;
    op.mode = STATX_BASIC_STATS;
    op.buf2 = &item->st;
    send_for(item, op, looked);
}
