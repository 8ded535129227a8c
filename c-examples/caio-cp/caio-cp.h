/* caio-cp: copies files and trees through one event loop.
 *
 *   main.c        options and arguments
 *   loop.c        the event loop: queues operations, submits them in batches, passes each completion to a function
 *   walk.c        opens folders, reads their entries, and finishes a folder after its contents are copied
 *   item.c        copies one file, link, FIFO or device under a temporary name and renames it
 *   small.c       copies a small regular file with two chains
 *   links.c       with -a, finds the hard links to the same file
 *   data.c        copies the bytes of a larger regular file, with many chunks in flight
 *   attributes.c  copies owners, extended attributes, mode, access control lists and times
 *   report.c      messages, the progress bar, the summary
 *   port.c        what differs between systems; windows/ has the same for Windows, which keeps no owners
 */
#ifndef CAIO_CP_H
#define CAIO_CP_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <caio.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef _WIN32
#include "windows/port.h"
#else
#include <dirent.h>
#include <endian.h>
#include <sys/sysmacros.h>
#endif

struct options {
    uint32_t backend, depth;
    bool archive, fsync, direct, quiet;
};
extern struct options options;

/* loop.c */

/* A queued or in-flight operation, embedded in the struct that it belongs to. */
struct request {
    struct request *next;
    caio_op op;
    void (*done)(struct request *request, int64_t result);
    unsigned retries;
};

/* Requests that wait in order, each in one queue at a time. */
struct queue {
    struct request *first, *last;
};

static inline void enqueue(struct queue *queue, struct request *request)
{
    request->next = NULL;
    if (queue->first)
        queue->last->next = request;
    else
        queue->first = request;
    queue->last = request;
}

/* Takes the first request of a queue that is not empty. */
static inline struct request *dequeue(struct queue *queue)
{
    struct request *request = queue->first;
    queue->first = request->next;
    return request;
}

extern int interrupted; /* the signal, or 0 */

enum { MOST_LINKED = 64 }; /* the most operations of a chain, and of a submit */

void loop_open(bool ticking);
void send_request(struct request *request, caio_op op, void (*done)(struct request *, int64_t));
/* Runs until nothing is queued or in flight after `refill`. */
void loop_run(void (*refill)(void));
/* Whether the system has an operation. */
bool loop_supports(uint8_t opcode);
/* Runs one operation and returns its result. Nothing else may be in flight. */
int64_t run_request(caio_op op);
/* Frees the context. */
caio_stats loop_close(const char **backend);

static inline caio_op fd_op(uint8_t opcode, int fd)
{
    return (caio_op){.opcode = opcode, .fd = fd};
}

static inline caio_op path_op(uint8_t opcode, int folder, const char *path)
{
    return (caio_op){.opcode = opcode, .fd = folder, .buf = (void *)path};
}

static inline caio_op open_op(int folder, const char *path, int flags, mode_t mode)
{
    return (caio_op){.opcode = CAIO_OP_OPENAT, .fd = folder, .buf = (void *)path,
                     .sys_flags = (uint32_t)(flags | O_CLOEXEC), .mode = mode};
}

/* attributes.c */

struct attribute {
    struct attribute *next;
    int error; /* not 0 if the value could not be read */
    size_t size;
    char name[256]; /* XATTR_NAME_MAX and the null byte */
    char value[];
};

/* A name in an open folder, or if the name is NULL the open file itself. */
struct place {
    int fd;
    const char *name;
};

struct folder;

/* Both call then(owner) at the end, also after an interruption. */
/* Reads the ACLs, with -a all extended attributes. The caller frees the list. */
void read_attributes(struct place source, bool folder, struct attribute **list, void (*then)(void *), void *owner);
/* Sets mode, ACLs and times of the target, with -a also owner and attributes. `folder` and `name` are for messages. */
void keep_attributes(struct place target, const struct statx *st, const struct attribute *list, const struct folder *folder,
                     const char *name, void (*then)(void *), void *owner);
void free_attributes(struct attribute *list);
void times_of(const struct statx *st, struct timespec times[2]);

/* port.c */

/* Prepares the process. Makes the arguments UTF-8, with slashes. */
void port_begin(int *argc, char ***argv);
/* Begins to watch for completions and signals, and for a tick if `tick_ms` is not 0. */
void watch_begin(const caio_ctx *ctx, int tick_ms);
/* Waits for them. Returns false after the timeout. */
bool watch_wait(int timeout_ms, void (*on_signal)(int signal), void (*on_tick)(void));
/* The number of free descriptors, at most 4096. */
unsigned free_descriptors(void);
/* Closes a folder. This does not wait. */
void close_folder_now(int fd);
/* Removes a file without the loop. */
void remove_now(int folder, const char *name);
/* The path of an open file. */
char *path_of_open(int fd);
/* Turns O_DIRECT on or off. */
bool set_direct(int fd, bool on);
uint64_t random_seed(void);
int terminal_width(void);
/* The access ACL of what cannot be opened without effects, in a folder. Both return a negative errno after a failure. A value
 * of NULL removes it. */
int64_t read_special_acl(const struct place *place, void *value, size_t size);
int set_special_acl(const struct place *place, const void *value, size_t size);

/* walk.c */

enum side { SOURCE, TARGET };

struct folder {
    struct request request;
    struct folder *next, *parent; /* parent is NULL in the pseudo-folder of the arguments */
    char *name[2];                /* in the parent; owns the source's */
    int fd[2];
    char *entries;                /* what GETDENTS returned, from `at` to `end` still to be used */
    unsigned at, end;
    struct statx st;
    struct attribute *attributes;
    bool unread, open, follow, at_end;
    bool made; /* the target did not exist before */
    unsigned items, subfolders; /* in the folder and not finished yet */
    char *path, *rest;            /* used by reach() */
    int base;
    void (*reached)(struct folder *);
};

struct argument {
    char *name[2];
    bool follow;        /* after a trailing slash, a link is followed */
    unsigned char type; /* DT_*; DT_UNKNOWN for an argument of the command */
};

extern bool counting; /* the first pass only counts files and bytes */

void walk_begin(const struct argument *arguments, size_t count, const char *target_path, int target_fd);
void walk_on(void);
void walk_limits(unsigned descriptors);
/* Returns the path to open or print; the caller frees it. */
char *path_of(const struct folder *folder, const char *name, enum side side);
void folder_found(struct folder *parent, char *source, char *target, const struct statx *st, bool follow);
void item_left(struct folder *folder);

/* item.c */

struct item {
    struct request request;
    struct folder *folder;
    char *name[2];
    bool follow, complete, failed;
    bool linked; /* made as another hard link */
    struct statx st;
    char temporary[NAME_MAX + 1];
    struct item *next_temporary, **temporary_link; /* the link is NULL if there is no temporary file */
    int fd[2];
    char *text; /* of a symbolic link */
    struct attribute *attributes;
    /* state of links.c */
    struct file *file; /* if this item is the copy that the other links wait for */
    struct item *next_waiting;
    /* state of data.c */
    bool hungry, seeking, direct, sparse, copying;
    unsigned chunks;      /* in flight */
    uint64_t next;        /* offset of the next chunk */
    uint64_t extent_end;  /* in a sparse file: end of the current data */
    uint64_t size;        /* the largest size seen so far */
    uint64_t end_of_file; /* UINT64_MAX until a read finds it */
    uint64_t written_end;
};

void item_begin(struct folder *folder, struct argument argument); /* takes ownership of the source's name */
void item_fail(struct item *item, int error, const char *what, enum side side);
/* Finds out the kind of the item, and copies it. */
void item_look(struct item *item);
/* Goes on when the kind is known. The source may be open. */
void item_known(struct item *item);
void item_copy(struct item *item);
void item_link(struct item *item, const char *path);
void item_data_over(struct item *item);
/* Ends the item: removes its temporary file, closes its descriptors and frees it. */
void item_end(struct item *item);
void temporary_name(struct item *item);
void temporary_made(struct item *item);
void temporary_gone(struct item *item);
/* Removes all temporary files synchronously, for an exit without the loop. */
void remove_temporaries(void);

/* small.c */

/* Returns false if the item cannot be copied with chains. */
bool small_begin(struct item *item);
void small_close(void);

/* links.c */

/* Returns true if the item waits for another link to the same file, or links to its copy. */
bool link_known(struct item *item);
/* The copy is complete, or has failed. */
void link_over(struct item *item);

/* data.c */

void data_open(void);
void data_begin(struct item *item);
void data_feed(void);
void data_close(void);

/* report.c */

struct totals {
    uint64_t files, folders, bytes;
};
extern struct totals expected, copied;
extern bool failed;

/* Prints "caio-cp: WHAT: error text", without the error text if `error` is 0. `what` contains one %s, for the path. */
void complain(int error, const char *what, const char *path);
void complain_at(int error, const char *what, const struct folder *folder, const char *name, enum side side);
void die(int error, const char *what, const char *path);
void *checked_alloc(void *memory);
bool progress_wanted(void);
void progress_begin(void);
void progress_draw(void);
void progress_clear(void);
/* Flushes standard output and reports a write error. */
void finish_output(void);
void print_summary(const caio_stats *stats, const char *backend);

#endif
