/* With -a: finds the source files that have several names, copies each once, and links the other names to the copy. */
#include "caio-cp.h"
#include <search.h>

struct file {
    uint64_t device, number;
    char *path;           /* of the copy; NULL while it is not complete */
    struct item *waiting; /* the links that were found meanwhile */
};

static void *files;

static int by_number(const void *left, const void *right)
{
    const struct file *a = left, *b = right;
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

/* Returns the file, and sets `*new` if this is its first name. */
static struct file *find_file(const struct statx *st, bool *new)
{
    struct file *file = checked_alloc(calloc(1, sizeof *file)), *found;
    file->device = makedev(st->stx_dev_major, st->stx_dev_minor);
    file->number = st->stx_ino;
    found = *(struct file **)checked_alloc(tsearch(file, &files, by_number));
    *new = found == file;
    if (!*new)
        free(file);
    return found;
}

bool link_known(struct item *item)
{
    bool new;
    struct file *file = find_file(&item->st, &new);
    if (new) {
        item->file = file;
    } else if (file->path) {
        item_link(item, file->path);
    } else {
        item->next_waiting = file->waiting;
        file->waiting = item;
    }
    return !new;
}

/* After a failure, the first link that waits is copied in its place, and the others wait for that. */
static void copy_the_next(struct file *file)
{
    struct item *item = file->waiting;
    if (!item) {
        tdelete(file, &files, by_number);
        free(file);
        return;
    }
    file->waiting = item->next_waiting;
    item->file = file;
    if (interrupted)
        item_end(item);
    else
        item_copy(item);
}

void link_over(struct item *item)
{
    struct file *file = item->file;
    struct item *waiting = file->waiting, *next;
    item->file = NULL;
    if (!item->complete) {
        copy_the_next(file);
        return;
    }
    file->path = path_of(item->folder, item->name[TARGET], TARGET);
    file->waiting = NULL;
    for (; waiting; waiting = next) {
        next = waiting->next_waiting;
        if (interrupted)
            item_end(waiting);
        else
            item_link(waiting, file->path);
    }
}
