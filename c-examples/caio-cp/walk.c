/* Opens and creates folders, reads their entries, and finishes a folder after its contents are copied.
 *
 * Few folders are open at a time, and folders that were found but not opened wait on a stack. This bounds memory and
 * descriptors for a tree of any size. A folder with subfolders is closed after its own items are copied. It is opened
 * again after the subfolders, to set its times: they change until then. */
#include "caio-cp.h"

enum { MOST_OPEN = 64, MOST_UNREAD = 8, MANY_WAITING = 1024, ENTRIES = 32 * 1024 };
/* The most descriptors of an open folder and of an item, and a reserve for libcaio and the C library. */
enum { FOLDER_DESCRIPTORS = 3, ITEM_DESCRIPTORS = 2, LIBRARY_DESCRIPTORS = 4 };

bool counting;

static const struct argument *arguments;
static size_t argument_count;
static struct folder top;

static struct folder *waiting, *finishing, *unread; /* stacks */
static unsigned waiting_count, open_count, unread_count, item_count;
static unsigned most_open, most_items;

static void folder_check(struct folder *folder);

static unsigned between(unsigned least, unsigned value, unsigned most)
{
    return value < least ? least : value < most ? value : most;
}

/* A third of the descriptors is for folders. There must be enough for one folder and one item. */
void walk_limits(unsigned descriptors)
{
    unsigned usable = descriptors > LIBRARY_DESCRIPTORS ? descriptors - LIBRARY_DESCRIPTORS : 0, left;
    most_open = between(1, usable / 3 / FOLDER_DESCRIPTORS, MOST_OPEN);
    left = usable > most_open * FOLDER_DESCRIPTORS ? usable - most_open * FOLDER_DESCRIPTORS : 0;
    most_items = between(1, left / ITEM_DESCRIPTORS, options.depth);
}

static void push(struct folder **stack, struct folder *folder)
{
    folder->next = *stack;
    *stack = folder;
}

static struct folder *pop(struct folder **stack)
{
    struct folder *folder = *stack;
    *stack = folder->next;
    return folder;
}

void walk_begin(const struct argument *list, size_t count, const char *target_path, int target_fd)
{
    memset(&top, 0, sizeof top);
    arguments = list;
    argument_count = count;
    top.name[TARGET] = (char *)target_path;
    top.fd[SOURCE] = AT_FDCWD;
    top.fd[TARGET] = target_fd;
    top.unread = true;
    unread_count = 1;
    push(&unread, &top);
}

/* Puts a name and a slash before the text that starts at `at`. */
static size_t put_before(char *text, size_t at, const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || name[length - 1] != '/')
        text[--at] = '/';
    memcpy(text + at - length, name, length);
    return at - length;
}

char *path_of(const struct folder *folder, const char *name, enum side side)
{
    size_t size = strlen(name) + 1, at;
    char *text;
    for (const struct folder *f = folder; f; f = f->parent)
        size += f->name[side] ? strlen(f->name[side]) + 1 : 0;
    text = checked_alloc(malloc(size));
    at = size - strlen(name) - 1;
    strcpy(text + at, name);
    for (const struct folder *f = folder; f; f = f->parent)
        if (f->name[side])
            at = put_before(text, at, f->name[side]);
    memmove(text, text + at, size - at);
    return text;
}

void folder_found(struct folder *parent, char *source, char *target, const struct statx *st, bool follow)
{
    struct folder *folder = checked_alloc(calloc(1, sizeof *folder));
    folder->parent = parent;
    folder->name[SOURCE] = source;
    folder->name[TARGET] = target;
    folder->st = *st;
    folder->follow = follow;
    folder->fd[SOURCE] = folder->fd[TARGET] = -1;
    folder->base = AT_FDCWD;
    parent->subfolders++;
    waiting_count++;
    push(&waiting, folder);
}

/* The path of a folder may be longer than PATH_MAX. If it is, step() opens its leading directories, one piece at a time,
 * until `rest`, relative to `base`, is short enough. */

static void send_for(struct folder *folder, caio_op op, void (*done)(struct request *, int64_t))
{
    send_request(&folder->request, op, done);
}

static void leave_way(struct folder *folder)
{
    if (folder->base >= 0)
        close_folder_now(folder->base);
    folder->base = AT_FDCWD;
    free(folder->path);
    folder->path = NULL;
}

static void close_folder(struct folder *folder)
{
    leave_way(folder);
    for (int side = SOURCE; side <= TARGET; side++)
        if (folder->fd[side] >= 0)
            close_folder_now(folder->fd[side]);
    free(folder->entries);
    folder->entries = NULL;
    folder->fd[SOURCE] = folder->fd[TARGET] = -1;
    folder->open = false;
    open_count--;
}

static void folder_over(struct folder *folder)
{
    struct folder *parent = folder->parent;
    if (folder->open)
        close_folder(folder);
    free_attributes(folder->attributes);
    free(folder->name[SOURCE]);
    free(folder);
    parent->subfolders--;
    folder_check(parent);
}

/* If the operation failed, prints a message, gives the folder up and returns false. */
static bool succeeded(struct folder *folder, int64_t result, const char *what, enum side side)
{
    if (interrupted)
        return false;
    if (result >= 0)
        return true;
    if (!counting)
        complain_at((int)-result, what, folder->parent, folder->name[side], side);
    if (folder->unread)
        unread_count--;
    folder_over(folder);
    return false;
}

static void step(struct folder *folder);

static void stepped(struct request *request, int64_t result)
{
    struct folder *folder = (struct folder *)request;
    if (!succeeded(folder, result, "cannot access '%s'", SOURCE))
        return;
    if (folder->base >= 0)
        close_folder_now(folder->base);
    folder->base = (int)result;
    folder->rest += strlen(folder->rest) + 1;
    step(folder);
}

static void step(struct folder *folder)
{
    char *cut = folder->rest + PATH_MAX - 1;
    if (strlen(folder->rest) < PATH_MAX) {
        folder->reached(folder);
        return;
    }
    while (*cut != '/')
        cut--;
    *cut = '\0';
    send_for(folder, open_op(folder->base, folder->rest, O_PATH | O_DIRECTORY, 0), stepped);
}

static void reach(struct folder *folder, enum side side, void (*then)(struct folder *))
{
    leave_way(folder);
    folder->path = folder->rest = path_of(folder->parent, folder->name[side], side);
    folder->reached = then;
    step(folder);
}

static void open_it(struct folder *folder, bool follow, void (*done)(struct request *, int64_t))
{
    int flags = O_RDONLY | O_DIRECTORY | (follow ? 0 : O_NOFOLLOW);
    send_for(folder, open_op(folder->base, folder->rest, flags, 0), done);
}

/* Finishing a folder after all of its contents are copied. */

static void finish_synced(struct request *request, int64_t result)
{
    struct folder *folder = (struct folder *)request;
    if (succeeded(folder, result, "error syncing '%s'", TARGET))
        folder_over(folder);
}

static void finish_kept(void *owner)
{
    struct folder *folder = owner;
    if (interrupted)
        return;
    if (options.fsync)
        send_for(folder, fd_op(CAIO_OP_FSYNC, folder->fd[TARGET]), finish_synced);
    else
        folder_over(folder);
}

static void finish(struct folder *folder)
{
    struct place target = {.fd = folder->fd[TARGET]};
    copied.folders++;
    keep_attributes(target, &folder->st, folder->attributes, folder->parent, folder->name[TARGET], finish_kept, folder);
}

static void finish_opened(struct request *request, int64_t result)
{
    struct folder *folder = (struct folder *)request;
    if (!succeeded(folder, result, "cannot access '%s'", TARGET))
        return;
    folder->fd[TARGET] = (int)result;
    finish(folder);
}

static void finish_reached(struct folder *folder)
{
    open_it(folder, false, finish_opened);
}

static void finish_begin(struct folder *folder)
{
    folder->open = true;
    open_count++;
    reach(folder, TARGET, finish_reached);
}

/* Called when something in the folder is finished: finishes the folder if that was the last. */
static void folder_check(struct folder *folder)
{
    if (folder->unread || folder->items > 0 || folder == &top || interrupted)
        return;
    if (folder->subfolders > 0) {
        if (folder->open)
            close_folder(folder);
    } else if (counting)
        folder_over(folder);
    else if (folder->open)
        finish(folder);
    else
        push(&finishing, folder);
}

void item_left(struct folder *folder)
{
    item_count--;
    folder->items--;
    folder_check(folder);
}

/* Opening the source, then the target, which is created if it does not exist. */

static void start_reading(struct folder *folder)
{
    leave_way(folder);
    push(&unread, folder);
}

static void target_opened(struct request *request, int64_t result)
{
    struct folder *folder = (struct folder *)request;
    bool in_the_way = result == -ENOTDIR || result == -ELOOP;
    const char *what = in_the_way ? "cannot create directory '%s'" : "cannot access '%s'";
    if (!succeeded(folder, in_the_way ? -EEXIST : result, what, TARGET))
        return;
    folder->fd[TARGET] = (int)result;
    start_reading(folder);
}

static void target_made(struct request *request, int64_t result)
{
    struct folder *folder = (struct folder *)request;
    folder->made = result >= 0;
    if (succeeded(folder, result == -EEXIST ? 0 : result, "cannot create directory '%s'", TARGET))
        open_it(folder, false, target_opened);
}

static void target_reached(struct folder *folder)
{
    caio_op op = path_op(CAIO_OP_MKDIRAT, folder->base, folder->rest);
    op.mode = 0700; /* until its contents are copied */
    send_for(folder, op, target_made);
}

static void source_read(void *owner)
{
    if (!interrupted)
        reach(owner, TARGET, target_reached);
}

static void source_opened(struct request *request, int64_t result)
{
    struct folder *folder = (struct folder *)request;
    if (!succeeded(folder, result, "cannot access '%s'", SOURCE))
        return;
    folder->fd[SOURCE] = (int)result;
    if (counting)
        start_reading(folder);
    else
        read_attributes((struct place){.fd = (int)result}, true, &folder->attributes, source_read, folder);
}

static void source_reached(struct folder *folder)
{
    open_it(folder, folder->follow, source_opened);
}

static void open_folder(struct folder *folder)
{
    waiting_count--;
    folder->open = folder->unread = true;
    open_count++;
    unread_count++;
    reach(folder, SOURCE, source_reached);
}

/* Reading entries, one at a time, while there is room for more items. */

static bool next_argument(struct argument *next)
{
    if (argument_count == 0)
        return false;
    *next = *arguments++;
    next->name[SOURCE] = checked_alloc(strdup(next->name[SOURCE]));
    argument_count--;
    return true;
}

/* The records of getdents64(2), as CAIO_OP_GETDENTS returns them. */
struct entry {
    uint64_t number;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

/* Takes a name from what was read of the folder. Returns false if there is none. */
static bool next_name(struct folder *folder, struct argument *next)
{
    while (folder->at < folder->end) {
        const struct entry *entry = (const struct entry *)(folder->entries + folder->at);
        folder->at += entry->size;
        if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
            continue;
        next->name[SOURCE] = next->name[TARGET] = checked_alloc(strdup(entry->name));
        next->follow = false;
        next->type = entry->type;
        return true;
    }
    return false;
}

static void entries_read(struct request *request, int64_t result)
{
    struct folder *folder = (struct folder *)request;
    if (interrupted)
        return;
    if (result < 0 && !counting)
        complain_at((int)-result, "error reading directory '%s'", folder->parent, folder->name[SOURCE], SOURCE);
    folder->at_end = result <= 0;
    folder->at = 0;
    folder->end = result > 0 ? (unsigned)result : 0;
    push(&unread, folder);
}

static void read_entries(struct folder *folder)
{
    caio_op op = fd_op(CAIO_OP_GETDENTS, folder->fd[SOURCE]);
    if (!folder->entries)
        folder->entries = checked_alloc(malloc(ENTRIES));
    op.buf = folder->entries;
    op.len = ENTRIES;
    send_for(folder, op, entries_read);
}

static void read_one(struct folder *folder)
{
    struct argument next;
    if (folder == &top ? next_argument(&next) : next_name(folder, &next)) {
        folder->items++;
        item_count++;
        item_begin(folder, next);
        return;
    }
    pop(&unread);
    if (folder != &top && !folder->at_end) {
        read_entries(folder);
        return;
    }
    folder->unread = false;
    unread_count--;
    folder_check(folder);
}

/* Starts as much as the limits allow. Reading pauses while many subfolders wait and one of them can be opened. */
void walk_on(void)
{
    while (!interrupted) {
        bool can_open = open_count < most_open, crowded = waiting_count >= MANY_WAITING;
        if (finishing && can_open)
            finish_begin(pop(&finishing));
        else if (waiting && can_open && (unread_count < MOST_UNREAD || crowded))
            open_folder(pop(&waiting));
        else if (unread && item_count < most_items && !(crowded && can_open))
            read_one(unread);
        else
            break;
    }
    data_feed();
}
