#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const struct row rows[] = {
    {"cached-read-4k", "data", READ, CACHED, 0, 4096},
    {"cached-read-64k", "data", READ, CACHED, 0, 65536},
    {"cold-read-4k", "data", READ, COLD, 0, 4096},
    {"cold-read-64k", "data", READ, COLD, 0, 65536},
    {"direct-read-4k", "data", READ, COLD, 1, 4096},
    {"direct-write-4k", "overwritten", WRITE, COLD, 1, 4096},
    {"overwrite-4k", "overwritten", WRITE, DIRTY, 0, 4096},
    {"overwrite-sync-4k", "overwritten", WRITE_SYNC, CACHED, 0, 4096},
    {"append-sync-512", "log", WRITE_SYNC, EMPTY_LOG, 0, LOG_RECORD},
    {NULL, NULL, READ, CACHED, 0, 0},
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return *state;
}

static char *path_of(const char *folder, const char *name)
{
    char *path = malloc(strlen(folder) + strlen(name) + 2);

    sprintf(path, "%s/%s", folder, name);
    return path;
}

static void make_file(const char *folder, const char *name, unsigned mib)
{
    static uint64_t block[(1 << 20) / sizeof(uint64_t)];
    char *path = path_of(folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    uint64_t random = 88172645463325252u;

    if (fd < 0)
        die(path, errno);
    for (unsigned i = 0; i < mib; i++) {
        for (size_t word = 0; word < sizeof block / sizeof *block; word++)
            block[word] = next_random(&random);
        ssize_t wrote = write(fd, block, sizeof block);
        check_moved(path, wrote < 0 ? -errno : wrote, sizeof block);
    }
    if (fsync(fd) < 0)
        die(path, errno);
    close(fd);
    free(path);
}

void targets_make(const char *folder, unsigned mib)
{
    make_file(folder, "data", mib);
    make_file(folder, "overwritten", mib < 64 ? mib : 64);
    make_file(folder, "log", 0);
}

static void shuffle(struct target *target, uint64_t random)
{
    target->order = malloc(target->blocks * sizeof *target->order);
    for (unsigned i = 0; i < target->blocks; i++) {
        unsigned j = (unsigned)(next_random(&random) % (i + 1));
        target->order[i] = target->order[j];
        target->order[j] = i;
    }
}

static int open_file(const struct row *row, const char *folder)
{
    char *path = path_of(folder, row->file);
    int fd = open(path, O_RDWR | O_CLOEXEC | (row->direct ? O_DIRECT : 0));

    if (fd < 0 && !row->direct)
        die(path, errno);
    /* No read-ahead: a random read caches only its own block. */
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    free(path);
    return fd;
}

int target_open(struct target *target, const struct row *row, const char *folder, uint64_t seed, char *why,
                size_t why_size)
{
    struct stat status;

    *target = (struct target){.row = row, .fd = open_file(row, folder)};
    if (target->fd < 0) {
        snprintf(why, why_size, "O_DIRECT: %s", strerror(errno));
        return 0;
    }
    if (fstat(target->fd, &status) < 0)
        die(row->file, errno);
    target->blocks = (unsigned)(status.st_size / row->size);
    shuffle(target, 88172645463325252u + (seed << 32));
    return 1;
}

void target_reopen(struct target *target, const char *folder)
{
    close(target->fd);
    target->fd = open_file(target->row, folder);
    if (target->fd < 0)
        die(target->row->file, errno);
}

void target_close(struct target *target)
{
    close(target->fd);
    free(target->order);
}

static double part_in_cache(const struct target *target)
{
    size_t bytes = (size_t)target->blocks * target->row->size, pages = bytes / BLOCK, count = 0;
    unsigned char *resident = malloc(pages);
    void *mapping = mmap(NULL, bytes, PROT_READ, MAP_SHARED, target->fd, 0);

    if (mapping == MAP_FAILED || mincore(mapping, bytes, resident) < 0)
        die("mincore", errno);
    for (size_t i = 0; i < pages; i++)
        count += resident[i] & 1;
    munmap(mapping, bytes);
    free(resident);
    return (double)count / (double)pages;
}

static int prepare_cold(struct target *target)
{
    if (fdatasync(target->fd) < 0)
        die("fdatasync", errno);
    posix_fadvise(target->fd, 0, 0, POSIX_FADV_DONTNEED);
    target->next = 0;
    return part_in_cache(target) < 0.01;
}

/* Blocks that were read are cached now, so a turn continues after the last block of the previous turn. */
static int needs_preparing(const struct target *target, int round_begins)
{
    switch (target->row->cache) {
    case EMPTY_LOG:
        return 1;
    case COLD:
        return target->row->direct ? round_begins : target->next == 0 || target->next > target->blocks / 2;
    case CACHED:
    case DIRTY:
        break;
    }
    return round_begins;
}

static int prepare_cached(const struct target *target)
{
    static char chunk[1 << 20];

    if (part_in_cache(target) == 1.0)
        return 1;
    for (off_t at = 0; at < (off_t)target->blocks * target->row->size; at += (off_t)sizeof chunk)
        if (pread(target->fd, chunk, sizeof chunk, at) < 0)
            die("pread", errno);
    return part_in_cache(target) > 0.99;
}

/* Writing to a dirty page is cheaper than to a clean one: make all pages dirty for every engine. */
static void prepare_dirty(const struct target *target)
{
    static char chunk[1 << 16];

    for (off_t at = 0; at < (off_t)target->blocks * target->row->size; at += (off_t)sizeof chunk)
        if (pwrite(target->fd, chunk, sizeof chunk, at) < 0)
            die("pwrite", errno);
}

int target_prepare(struct target *target, int round_begins, char *why, size_t why_size)
{
    int obeys = 1;

    if (!needs_preparing(target, round_begins))
        return 1;
    switch (target->row->cache) {
    case CACHED:
        obeys = prepare_cached(target) && fdatasync(target->fd) == 0;
        break;
    case COLD:
        obeys = prepare_cold(target);
        break;
    case DIRTY:
        prepare_dirty(target);
        break;
    case EMPTY_LOG:
        if (ftruncate(target->fd, 0) < 0 || fsync(target->fd) < 0)
            die("ftruncate", errno);
        target->next = 0;
        break;
    }
    if (!obeys)
        snprintf(why, why_size, "cannot control the page cache for this file (set BENCH_DIR to a directory on a disk)");
    return obeys;
}

static unsigned take_appends(struct target *target, struct slot *slots, const unsigned *which, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        slots[which[i]].offset = (uint64_t)target->next++ * target->row->size;
    return count;
}

unsigned target_take(struct target *target, struct slot *slots, const unsigned *which, unsigned count)
{
    if (target->row->cache == EMPTY_LOG)
        return take_appends(target, slots, which, count);
    for (unsigned i = 0; i < count; i++) {
        if (target->next == target->blocks) {
            if (target->row->cache == COLD && target->row->kind == READ && !target->row->direct)
                return i;
            target->next = 0;
        }
        slots[which[i]].offset = (uint64_t)target->order[target->next++] * target->row->size;
    }
    return count;
}
