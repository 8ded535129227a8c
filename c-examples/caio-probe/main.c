/* Options, backends, limits and output. */
#include "caio-probe.h"
#include "../json/json.h"
#include <fcntl.h>
#include <getopt.h>
#include <sys/resource.h>
#include <sys/utsname.h>

static const char usage_text[] =
    "Usage: caio-probe [OPTION]... [PATH]...\n"
    "Reports which backends of libcaio work on this machine, why others do not, and how to change that.\n"
    "For each PATH, reports what its file system supports.\n\n"
    "  -b, --backend=BACKEND  only check uring, linux, thread or auto; exit with 1 if it is not available\n"
    "      --json             print JSON\n"
    "      --help, --version\n";

static bool json;

static void refuse_usage(const char *what, const char *argument)
{
    fprintf(stderr, "caio-probe: %s '%s'\nTry 'caio-probe --help' for more information.\n", what, argument);
    exit(2);
}

static int finish(int status)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "caio-probe: error writing standard output: %s\n", caio_strerror(errno));
        return 2;
    }
    return status;
}

/* Backends. */

struct backend {
    const char *name;
    int error; /* 0 or a negative errno */
    char why[1024];
};

static struct backend probe(uint32_t number)
{
    struct backend backend = {.name = caio_backend_name(number)};
    backend.error = caio_backend_probe(number, backend.why, sizeof backend.why);
    return backend;
}

/* "uring: io_uring is available" without the name. */
static const char *sentence(const struct backend *backend)
{
    const char *colon = strstr(backend->why, ": ");
    return colon ? colon + 2 : backend->why;
}

/* The backend of a new context, or NULL. */
static const char *automatic(void)
{
    caio_ctx *ctx;
    const char *name = NULL;
    if (caio_ctx_new(NULL, &ctx) == 0)
        name = caio_backend_name((uint32_t)caio_ctx_backend(ctx));
    caio_ctx_free(ctx);
    return name;
}

static void report_backends(void)
{
    if (json)
        json_open("backends", '{');
    else
        puts("\nBackends");
    for (uint32_t number = CAIO_BACKEND_URING; caio_backend_name(number); number++) {
        struct backend backend = probe(number);
        if (json) {
            json_open(backend.name, '{');
            json_bool("available", backend.error == 0);
            json_number("errno", (uint64_t)-backend.error);
            json_string("why", sentence(&backend));
            json_close('}');
        } else
            printf("  %-8s %-4s %s\n", backend.name, backend.error ? "no" : "yes", sentence(&backend));
    }
    if (json)
        json_close('}');
}

static void report_automatic(void)
{
    struct backend backend = probe(CAIO_BACKEND_AUTO);
    const char *name = automatic();
    if (json) {
        json_open("auto", '{');
        if (name)
            json_string("uses", name);
        else
            json_null("uses");
        json_string("why", sentence(&backend));
        json_close('}');
    } else
        printf("  %-8s %-4s %s\n", "auto", name ? "yes" : "no", sentence(&backend));
}

/* Limits. */

/* Reads the first line of a file. Returns false if there is none. */
static bool first_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    bool found = file && fgets(line, (int)size, file);
    if (file)
        fclose(file);
    if (found)
        line[strcspn(line, "\n")] = '\0';
    return found;
}

static void print_limit(const char *key, const char *label, const char *value, const char *effect)
{
    if (json)
        json_string(key, value);
    else
        printf("  %-32s %-12s %s\n", label, value, effect);
}

static void report_rlimit(int resource, const char *key, const char *label, const char *effect)
{
    struct rlimit limit;
    char value[32] = "unlimited";
    if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
        return;
    if (limit.rlim_cur != RLIM_INFINITY)
        snprintf(value, sizeof value, "%" PRIu64, (uint64_t)limit.rlim_cur);
    print_limit(key, label, value, effect);
}

static void report_setting(const char *path, const char *key, const char *label, const char *effect)
{
    char value[64];
    if (first_line(path, value, sizeof value))
        print_limit(key, label, value, effect);
}

/* A container's limit of processes and threads, in the process's own cgroup of version 2. */
static void report_pids(void)
{
    char cgroup[512], path[600];
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file && fgets(cgroup, sizeof cgroup, file))
        if (strncmp(cgroup, "0::/", 4) == 0) {
            cgroup[strcspn(cgroup, "\n")] = '\0';
            snprintf(path, sizeof path, "/sys/fs/cgroup%s/pids.max", cgroup + 3);
            report_setting(path, "pids.max", "threads of the control group", "pids.max");
        }
    if (file)
        fclose(file);
}

static void report_seccomp(void)
{
    static const char *const modes[] = {"none", "strict", "a filter"};
    char line[256];
    unsigned mode;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Seccomp: %u", &mode) == 1 && mode < 3)
            print_limit("seccomp", "seccomp", modes[mode], "a filter can forbid system calls");
    if (file)
        fclose(file);
}

static void report_limits(void)
{
    if (json)
        json_open("limits", '{');
    else
        puts("\nLimits");
    report_rlimit(RLIMIT_NOFILE, "RLIMIT_NOFILE", "open descriptors", "ulimit -n; a context uses a few");
    report_rlimit(RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK", "locked memory, bytes", "ulimit -l; the rings of io_uring can count");
    report_rlimit(RLIMIT_NPROC, "RLIMIT_NPROC", "processes and threads", "ulimit -u; worker threads count");
    report_rlimit(RLIMIT_FSIZE, "RLIMIT_FSIZE", "file size, bytes", "ulimit -f; larger writes fail with EFBIG");
    report_pids();
    report_setting("/proc/sys/fs/aio-nr", "fs.aio-nr", "kernel AIO requests, reserved", "fs.aio-nr, of all programs");
    report_setting("/proc/sys/fs/aio-max-nr", "fs.aio-max-nr", "kernel AIO requests, limit", "fs.aio-max-nr");
    report_setting("/proc/sys/kernel/io_uring_disabled", "kernel.io_uring_disabled", "kernel.io_uring_disabled",
                   "0: allowed, 1: for privileged processes, 2: disabled");
    report_seccomp();
    if (json)
        json_close('}');
}

/* Features. */

static void report_feature(const struct feature *feature)
{
    char why[256] = "";
    int error = feature->test();
    if (error)
        explain_missing(feature, error, why, sizeof why);
    if (json) {
        json_open(feature->name, '{');
        json_bool("available", error == 0);
        json_string("purpose", feature->purpose);
        if (error) {
            json_string("why", why);
            json_string("without", feature->without);
        }
        json_close('}');
    } else if (error)
        printf("  %-28s no   %s; %s\n", feature->name, why, feature->without);
    else
        printf("  %-28s yes  %s\n", feature->name, feature->purpose);
}

static void report_features(void)
{
    if (json)
        json_open("features", '{');
    else
        puts("\nKernel features");
    for (size_t i = 0; i < feature_count; i++)
        report_feature(&features[i]);
    if (json)
        json_close('}');
}

/* Operations. */

static const char *const operations[] = { /* by opcode */
    "NOP", "READ", "WRITE", "FSYNC", "FDSYNC", "READV", "WRITEV", "SYNC_RANGE", "ALLOCATE", "TRUNCATE", "OPENAT",
    "CLOSE", "STATX", "RENAMEAT", "UNLINKAT", "MKDIRAT", "READLINKAT", "SYMLINKAT", "LINKAT", "GETDENTS",
    "COPY_RANGE", "SENDFILE", "SPLICE", "FADVISE", "SEEK", "FCHMODAT", "FCHOWNAT", "UTIMENSAT", "FACCESSAT",
    "FGETXATTR", "FSETXATTR", "FLISTXATTR", "FREMOVEXATTR", "OPENAT2", "SYNCFS", "MKNODAT", "FSTATFS"};

/* The operations that a new context supports. */
static void report_operations(void)
{
    caio_ctx *ctx;
    bool all = true;
    if (caio_ctx_new(NULL, &ctx) < 0)
        return;
    if (json)
        json_open("operations", '{');
    else
        fputs("\nOperations\n  not supported:", stdout);
    for (uint32_t opcode = 0; opcode < sizeof operations / sizeof *operations; opcode++) {
        bool supported = caio_ctx_supports(ctx, opcode) == 1;
        if (json)
            json_bool(operations[opcode], supported);
        else if (!supported)
            printf(" %s", operations[opcode]);
        all &= supported;
    }
    if (json)
        json_close('}');
    else
        puts(all ? " none" : "");
    caio_ctx_free(ctx);
}

/* Paths. */

static const char *support(int error)
{
    return error == 0 ? "yes" : error < 0 ? "not tested" : caio_strerror(error);
}

static void report_path_json(const char *path, const struct path_facts *facts)
{
    json_open(NULL, '{');
    json_string("path", path);
    if (facts->error)
        json_string("error", caio_strerror(facts->error));
    else {
        json_string("file_system", facts->type);
        json_bool("o_direct", facts->direct == 0);
        json_number("o_direct_memory", facts->memory);
        json_number("o_direct_offset", facts->offset);
        json_string("nowait_read", support(facts->nowait_read));
        json_string("nowait_write", support(facts->nowait_write));
    }
    json_close('}');
}

static void report_path_text(const char *path, const struct path_facts *facts)
{
    printf("\n%s: %s\n", path, facts->error ? caio_strerror(facts->error) : facts->type);
    if (facts->error)
        return;
    if (facts->direct == 0)
        printf("  %-28s yes  memory aligned to %u bytes, offset and length to %u\n", "O_DIRECT", facts->memory, facts->offset);
    else
        printf("  %-28s no   %s\n", "O_DIRECT", caio_strerror(facts->direct));
    printf("  %-28s %s\n", "RWF_NOWAIT, buffered read", support(facts->nowait_read));
    printf("  %-28s %s\n", "RWF_NOWAIT, buffered write", support(facts->nowait_write));
}

/* Returns false if a path cannot be examined. */
static bool report_paths(char **paths)
{
    bool good = true;
    if (json)
        json_open("paths", '[');
    for (; *paths; paths++) {
        struct path_facts facts = examine_path(*paths);
        (json ? report_path_json : report_path_text)(*paths, &facts);
        good &= facts.error == 0;
    }
    if (json)
        json_close(']');
    return good;
}

static void report_versions(void)
{
    struct utsname name;
    char library[32];
    uint32_t version = caio_version();
    snprintf(library, sizeof library, "%u.%u.%u", version >> 16, version >> 8 & 0xff, version & 0xff);
    if (uname(&name) < 0)
        memset(&name, 0, sizeof name);
    if (json) {
        json_string("libcaio", library);
        json_string("kernel", name.release);
        json_string("machine", name.machine);
    } else
        printf("libcaio %s, %s %s, %s\n", library, name.sysname, name.release, name.machine);
}

static int report_all(char **paths)
{
    bool good;
    if (json)
        json_open(NULL, '{');
    report_versions();
    report_backends();
    report_automatic();
    report_limits();
    report_features();
    report_operations();
    good = report_paths(paths);
    if (json)
        json_close('}');
    return finish(good ? 0 : 1);
}

static int report_one(const char *name)
{
    struct backend backend;
    uint32_t number = CAIO_BACKEND_AUTO;
    while (caio_backend_name(number) && strcmp(caio_backend_name(number), name) != 0)
        number++;
    if (!caio_backend_name(number))
        refuse_usage("unknown backend", name);
    backend = probe(number);
    if (json) {
        json_open(NULL, '{');
        json_string("backend", backend.name);
        json_bool("available", backend.error == 0);
        json_number("errno", (uint64_t)-backend.error);
        json_string("why", sentence(&backend));
        json_close('}');
    } else
        puts(backend.why);
    return finish(backend.error ? 1 : 0);
}

static int print_version(void)
{
    uint32_t v = caio_version();
    printf("caio-probe %d.%d.%d (libcaio %u.%u.%u)\n", CAIO_VERSION_MAJOR, CAIO_VERSION_MINOR, CAIO_VERSION_PATCH, v >> 16,
           v >> 8 & 0xff, v & 0xff);
    return finish(0);
}

int main(int argc, char **argv)
{
    enum { HELP = 256, VERSION, JSON };
    static const struct option names[] = {{"help", no_argument, NULL, HELP},
                                          {"version", no_argument, NULL, VERSION},
                                          {"json", no_argument, NULL, JSON},
                                          {"backend", required_argument, NULL, 'b'},
                                          {NULL, 0, NULL, 0}};
    const char *backend = NULL;
    for (;;) {
        switch (getopt_long(argc, argv, "b:", names, NULL)) {
        case -1:
            if (backend && optind < argc)
                refuse_usage("--backend takes no path:", argv[optind]);
            return backend ? report_one(backend) : report_all(argv + optind);
        case HELP:
            fputs(usage_text, stdout);
            return finish(0);
        case VERSION:
            return print_version();
        case JSON:
            json = true;
            break;
        case 'b':
            backend = optarg;
            break;
        default: /* getopt_long has printed the reason */
            fputs("Try 'caio-probe --help' for more information.\n", stderr);
            return 2;
        }
    }
}
