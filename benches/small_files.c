/* small_files [-e ENGINES] [-d DEPTHS] [-s STATES] FOLDER PASSES: reads a tree of 2,000 files of 1 to 64 KiB in several ways.
 *
 * The options are lists of words, and select a part: engines by name, depths, and the states "cached" and "cold".
 * Every pass runs in a process of its own, which sets up first. The ways take turns, so that noise affects all of them. */
#include "small_files.h"
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DIRECTORIES = 20, MOST_READERS = 16, MOST_PASSES = 64, PATH_ROOM = 64 };

static char paths[SMALL_FILES][PATH_ROOM];
static long long tree_bytes;
static _Atomic unsigned next_path, files_read;
static _Atomic long long bytes_read;

struct pass {
    double wall_ms, cpu_us;
};

const char *take_path(void)
{
    unsigned next = atomic_fetch_add(&next_path, 1);

    return next < SMALL_FILES ? paths[next] : NULL;
}

void got_file(long long size, long long moved)
{
    check_moved("small files", moved, (unsigned)size);
    atomic_fetch_add(&files_read, 1);
    atomic_fetch_add(&bytes_read, moved);
}

void *touched(size_t count, size_t size)
{
    void *memory = malloc(count * size);

    if (!memory)
        die("memory", ENOMEM);
    /* Not calloc: it leaves the pages to their first use. */
    return memset(memory, 1, count * size), memset(memory, 0, count * size);
}

static void make_tree(void)
{
    static char content[LARGEST];
    unsigned random = 1;

    memset(content, 'x', sizeof content);
    for (unsigned i = 0; i < DIRECTORIES; i++) {
        char name[16];
        snprintf(name, sizeof name, "d%u", i);
        if (mkdir(name, 0700) < 0 && errno != EEXIST)
            die(name, errno);
    }
    for (unsigned i = 0; i < SMALL_FILES; i++) {
        random = random * 1103515245u + 12345u;
        size_t size = SMALLEST + (random >> 8) % (LARGEST - SMALLEST + 1);
        snprintf(paths[i], PATH_ROOM, "d%u/f%u", i % DIRECTORIES, i);
        int fd = open(paths[i], O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, content, size) != (ssize_t)size || close(fd) < 0)
            die(paths[i], errno);
        tree_bytes += (long long)size;
    }
    sync();
}

static int drop_caches(void)
{
    int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
    int dropped = fd >= 0 && write(fd, "3", 1) == 1;

    if (fd >= 0)
        close(fd);
    return dropped;
}

static double cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void measure(const struct reader *reader, unsigned depth, int cold, struct pass *result)
{
    void *state = reader->open(reader, depth);

    if (!state)
        _exit(0);
    if (cold && !drop_caches())
        _exit(0);
    double cpu = cpu_us();
    uint64_t start = now_ns();
    reader->read_tree(state);
    result->wall_ms = (double)(now_ns() - start) / 1e6;
    result->cpu_us = (cpu_us() - cpu) / SMALL_FILES;
    if (files_read != SMALL_FILES || bytes_read != tree_bytes)
        die(reader->name, EIO);
    _exit(0);
}

static struct pass run_pass(const struct reader *reader, unsigned depth, int cold)
{
    static struct pass *shared;
    int status;

    if (!shared)
        shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(shared, 0, sizeof *shared);
    pid_t child = fork();
    if (child == 0)
        measure(reader, depth, cold, shared);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        die(reader->name, ECHILD);
    return *shared;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, by_value);
    return values[count / 2];
}

static void table(const struct reader *const *readers, unsigned count, unsigned depth, int cold, unsigned passes)
{
    static double wall[MOST_READERS][MOST_PASSES], cpu[MOST_READERS][MOST_PASSES];
    double plain = 0;

    for (unsigned round = 0; round < passes; round++)
        for (unsigned step = 0; step < count; step++) {
            unsigned which = round % 2 ? count - 1 - step : step;
            struct pass pass = run_pass(readers[which], depth, cold);
            wall[which][round] = pass.wall_ms;
            cpu[which][round] = pass.cpu_us;
        }
    printf("small files, %s, %u in progress\tOpen, statx, read and close of %d files of 1 to 64 KiB: the median of %u passes, in turns.\n",
           cold ? "cold" : "cached", depth, SMALL_FILES, passes);
    printf("engine\tms\tof the plain loop\tCPU us a file\n");
    for (unsigned i = 0; i < count; i++) {
        double time = median(wall[i], passes);
        if (i == 0)
            plain = time;
        if (time > 0)
            printf("%s\t%.1f\t%.2f\t%.1f\n", readers[i]->name, time, time / plain, median(cpu[i], passes));
    }
    printf("\n");
    fflush(stdout);
}

struct options {
    const char *engines, *depths, *states;
};

static int parse(int argc, char **argv, struct options *options)
{
    int option;

    while ((option = getopt(argc, argv, "e:d:s:")) >= 0) {
        if (option == 'e')
            options->engines = optarg;
        else if (option == 'd')
            options->depths = optarg;
        else if (option == 's')
            options->states = optarg;
        else
            return 0;
    }
    return argc - optind == 2;
}

/* The plain loop is always the first: the others are measured against it. */
static unsigned choose(const char *engines, int cold, const struct reader **readers)
{
    static const struct reader *const peers[] = {&pool_4_reader, &pool_16_reader, &loop_16_reader,
#ifdef HAVE_LIBURING
                                                 &liburing_reader, &liburing_direct_reader,
#endif
#ifdef HAVE_LIBUV
                                                 &libuv_reader,
#endif
    };
    unsigned count = 0;

    readers[count++] = &plain_reader;
    if (!cold && chosen(engines, plain_looks_reader.name))
        readers[count++] = &plain_looks_reader;
    for (const struct reader *reader = caio_readers; reader->name; reader++)
        if (chosen(engines, reader->name))
            readers[count++] = reader;
    for (unsigned i = 0; i < sizeof peers / sizeof *peers; i++)
        if (chosen(engines, peers[i]->name))
            readers[count++] = peers[i];
    return count;
}

static int compare(const struct options *options, int cold, unsigned passes)
{
    static const char *const depths[] = {"1", "16", "128"};
    const struct reader *readers[MOST_READERS];
    unsigned count = choose(options->engines, cold, readers);

    if (!chosen(options->states, cold ? "cold" : "cached"))
        return 1;
    if (cold && !drop_caches()) {
        fprintf(stderr, "skipped: cold small files need root, to drop the caches\n");
        return 0;
    }
    for (unsigned i = 0; i < sizeof depths / sizeof *depths; i++)
        if (chosen(options->depths, depths[i])) {
            run_pass(&plain_reader, 1, 0); /* fills the cache */
            table(readers, count, (unsigned)atoi(depths[i]), cold, passes);
        }
    return 1;
}

int main(int argc, char **argv)
{
    struct options options = {.engines = "", .depths = "", .states = ""};
    unsigned passes = parse(argc, argv, &options) ? (unsigned)atoi(argv[optind + 1]) : 0;

    if (passes == 0 || passes > MOST_PASSES || chdir(argv[optind]) < 0) {
        fprintf(stderr, "usage: small_files [-e ENGINES] [-d DEPTHS] [-s STATES] FOLDER PASSES\n");
        return 2;
    }
    make_tree();
    return !(compare(&options, 0, passes) && compare(&options, 1, passes));
}
