/* caio-cp: copies files and trees through one epoll loop. What its parts share.
 *
 *   main.c     options and arguments
 *   loop.c     the loop: operations wait in a queue, go to libcaio in batches, come back to a function
 *   walk.c     folders: opened, read, and finished when all that is in them is copied
 *   item.c     one file, link or FIFO in a folder: looked at, copied under a temporary name, renamed
 *   data.c     the bytes of a regular file, many chunks at a time
 *   attributes.c  mode, access control lists and times
 *   report.c   messages, the progress bar, the summary
 */
#ifndef CAIO_CP_H
#define CAIO_CP_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <caio.h>
#include <dirent.h>
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

struct options {
    uint32_t backend, depth;
    bool fsync, direct, quiet;
};
extern struct options options;

/* loop.c */

/* An operation on its way, embedded in what it belongs to. */
struct request {
    struct request *next;
    caio_op op;
    void (*done)(struct request *request, int64_t result);
    unsigned retries;
};

extern int interrupted; /* the signal, or 0 */

void loop_open(bool ticking);
void send_request(struct request *request, caio_op op, void (*done)(struct request *, int64_t));
/* Runs until nothing is queued or in flight after `refill`. */
void loop_run(void (*refill)(void));
/* Ends the loop's context. */
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

enum acl_kind { ACCESS_ACL, DEFAULT_ACL, ACL_KINDS }; /* only folders have the latter */

struct acl {
    int error; /* not 0: it could not be read */
    size_t size;
    char data[];
};

/* A name in an open folder; without a name, what is open. */
struct place {
    int fd;
    const char *name;
};

struct folder;

/* Returns NULL if there is none; to be freed. */
struct acl *read_acl(struct place place, enum acl_kind kind);
/* Gives the target mode, ACLs and times of the original. `folder` and `name` are for messages. */
void keep_attributes(struct place target, const struct statx *st, struct acl *const acls[], const struct folder *folder,
                     const char *name);
void keep_times(struct place target, const struct statx *st, const struct folder *folder, const char *name);

/* walk.c */

enum side { SOURCE, TARGET };

struct folder {
    struct request request;
    struct folder *next, *parent; /* no parent: the folder that stands for the arguments */
    char *name[2];                /* in the parent, of source and target; owns the former */
    int fd[2];
    DIR *stream;                  /* owns fd[SOURCE] */
    struct statx st;
    struct acl *acls[ACL_KINDS];
    bool unread, open, follow;
    unsigned items, subfolders; /* in it, not finished yet */
    char *path, *rest;            /* on the way to it; see reach() */
    int base;
    void (*reached)(struct folder *);
};

struct argument {
    char *name[2];
    bool follow; /* a trailing slash: what the link points to */
};

extern bool counting; /* only find out how much there is */

void walk_begin(const struct argument *arguments, size_t count, const char *target_path, int target_fd);
void walk_on(void);
void walk_limits(unsigned descriptors);
/* The path to show and to open, to be freed. */
char *path_of(const struct folder *folder, const char *name, enum side side);
void folder_found(struct folder *parent, char *source, char *target, const struct statx *st, bool follow);
void item_left(struct folder *folder);

/* item.c, data.c */

struct item {
    struct request request;
    struct folder *folder;
    char *name[2];
    bool follow;
    struct statx st;
    char temporary[NAME_MAX + 1];
    struct item *next_temporary, **temporary_link; /* the latter is NULL if there is no such file */
    int fd[2];
    /* the copying of its data */
    struct item *next_hungry;
    bool hungry, failed, direct, sparse;
    unsigned chunks;     /* in flight */
    uint64_t next;       /* where the next chunk starts */
    uint64_t extent_end; /* of the data around it, in a sparse file */
    uint64_t size;       /* as far as is known */
    uint64_t end_of_file; /* UINT64_MAX until a read has seen it */
    uint64_t written_end;
};

void item_begin(struct folder *folder, struct argument argument); /* takes the source's name */
void item_fail(struct item *item, int error, const char *what, enum side side);
void item_data_over(struct item *item);
/* Removes temporary files at once, where the program ends without its loop. */
void remove_temporaries(void);

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

/* "caio-cp: WHAT 'PATH': the error's text", without the last part if error is 0. `what` holds one %s. */
void complain(int error, const char *what, const char *path);
void complain_at(int error, const char *what, const struct folder *folder, const char *name, enum side side);
void die(int error, const char *what, const char *path);
void *checked_alloc(void *memory);
bool progress_wanted(void);
void progress_begin(void);
void progress_draw(void);
void progress_clear(void);
/* Flushes standard output, and reports if not all could be written. */
void finish_output(void);
void print_summary(const caio_stats *stats, const char *backend);

#endif
