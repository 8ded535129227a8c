/* The file: creation, alignment for O_DIRECT, the page cache. */
#include "caio-bench.h"
#include "../file/file.h"
#include <sys/mman.h>
#include <sys/stat.h>

enum { FILL = 1 << 20, DEFAULT_SIZE = 256 * 1024 * 1024 };

static const char *type_of(int fd)
{
    const char *type;
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISBLK(st.st_mode))
        return "block device";
    type = file_system_of(fd);
    return type ? type : "unknown file system";
}

/* Data that no file system or device can compress. */
static void fill_random(uint64_t *words, size_t size)
{
    uint64_t x = 0x9e3779b97f4a7c15;
    for (size_t i = 0; i < size / sizeof *words; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        words[i] = x;
    }
}

static void write_file(int fd, uint64_t size, const char *path)
{
    char *data = aligned_alloc(4096, FILL);
    if (!data)
        die(ENOMEM, "cannot create", path);
    fill_random((uint64_t *)data, FILL);
    for (uint64_t done = 0; done < size;) {
        ssize_t moved = write(fd, data, size - done < FILL ? (size_t)(size - done) : FILL);
        if (moved < 0)
            die(errno, "cannot write", path);
        done += (uint64_t)moved;
    }
    free(data);
    if (fdatasync(fd) < 0)
        die(errno, "cannot sync", path);
}

/* In a directory, an unnamed file of the wanted size. */
static int open_unnamed(const char *path)
{
    char *name = NULL;
    int fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) { /* not every file system supports O_TMPFILE */
        if (asprintf(&name, "%s/.caio-bench.XXXXXX", path) < 0)
            die(ENOMEM, "cannot create a file in", path);
        fd = mkostemp(name, O_CLOEXEC);
        if (fd >= 0)
            unlink(name);
        free(name);
    }
    if (fd < 0)
        die(errno, "cannot create a file in", path);
    write_file(fd, options.size ? options.size : DEFAULT_SIZE, path);
    return fd;
}

static int open_existing(const char *path)
{
    bool writes = options.read_percent < 100;
    int fd;
    if (writes && !options.overwrite)
        die(0, "would overwrite data (name a directory, or use --overwrite):", path);
    fd = open(path, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0)
        die(errno, "cannot open", path);
    return fd;
}

static void find_alignment(struct target *target)
{
    char *buf = aligned_alloc(DIRECT_LARGEST, DIRECT_LARGEST);
    if (!direct_alignment(target->fd, buf, &target->memory, &target->offset))
        target->memory = target->offset = DIRECT_LARGEST;
    free(buf);
}

static void set_direct(struct target *target)
{
    int flags = fcntl(target->fd, F_GETFL);
    if (flags < 0 || fcntl(target->fd, F_SETFL, flags | O_DIRECT) < 0)
        die(errno, "O_DIRECT does not work on", target->path);
    find_alignment(target);
    if (options.block % target->offset != 0) {
        char what[96];
        snprintf(what, sizeof what, "O_DIRECT needs a block size that is a multiple of %u on", target->offset);
        die(0, what, target->path);
    }
}

static uint64_t size_of(int fd, const char *path)
{
    off_t size = lseek(fd, 0, SEEK_END); /* of block devices too */
    if (size < 0)
        die(errno, "cannot get the size of", path);
    return (uint64_t)size;
}

struct target target_open(const char *path)
{
    struct target target = {.path = path, .memory = 1, .offset = 1};
    struct stat st;
    if (stat(path, &st) < 0)
        die(errno, "cannot open", path);
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        die(0, "not a directory, a regular file or a block device:", path);
    target.fd = S_ISDIR(st.st_mode) ? open_unnamed(path) : open_existing(path);
    target.type = type_of(target.fd);
    target.size = size_of(target.fd, path);
    if (options.size && options.size < target.size)
        target.size = options.size;
    target.size -= target.size % options.block;
    if (target.size == 0)
        die(0, "smaller than a block:", path);
    if (options.cache == DIRECT)
        set_direct(&target);
    return target;
}

void target_drop(const struct target *target)
{
    posix_fadvise(target->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void read_all(const struct target *target)
{
    char *buf = malloc(FILL);
    for (uint64_t at = 0; buf && at < target->size;) {
        ssize_t moved = pread(target->fd, buf, FILL, (off_t)at);
        if (moved <= 0)
            die(moved < 0 ? errno : 0, "cannot read", target->path);
        at += (uint64_t)moved;
    }
    free(buf);
}

/* mincore(2) reports the pages only to a user who may write the file. */
static double share_cached(const struct target *target)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (size_t)((target->size + page - 1) / page), cached = 0;
    unsigned char *map = mmap(NULL, target->size, PROT_READ, MAP_SHARED, target->fd, 0), *present = malloc(pages);
    double share = -1;
    if (map != MAP_FAILED && present && mincore(map, target->size, present) == 0) {
        for (size_t i = 0; i < pages; i++)
            cached += present[i] & 1;
        share = (double)cached / (double)pages;
    }
    free(present);
    if (map != MAP_FAILED)
        munmap(map, target->size);
    return share;
}

double target_prepare(const struct target *target)
{
    if (options.cache == CACHED)
        read_all(target);
    else {
        fdatasync(target->fd); /* the kernel keeps dirty pages */
        target_drop(target);
    }
    if (options.random) /* read-ahead would turn cold reads into cached ones */
        posix_fadvise(target->fd, 0, 0, POSIX_FADV_RANDOM);
    return share_cached(target);
}
