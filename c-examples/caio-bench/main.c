/* Options. */
#include "caio-bench.h"
#include <getopt.h>
#include <math.h>

struct options options = {.workload = "randread", .random = true, .read_percent = 100, .depth = 16, .block = 4096, .seconds = 5};
const char *const cache_names[] = {[COLD] = "cold", [CACHED] = "cached", [DIRECT] = "direct"};

enum { MOST_DEPTH = 32768, MOST_BLOCK = 1 << 30 };

static const char usage_text[] =
    "Usage: caio-bench [OPTION]... [PATH]\n"
    "Measures file I/O through libcaio. PATH is an existing file, a block device, or a directory in which the command\n"
    "creates a file without a name (the default is the current directory).\n\n"
    "  -w, --workload=NAME    read, write, rw, randread (the default), randwrite or randrw\n"
    "      --mix=PERCENT      of reads in rw and randrw (default 50)\n"
    "  -c, --cache=STATE      cold (the default): empty the page cache before each pass\n"
    "                         cached: fill it; the disk is not measured\n"
    "                         direct: bypass it with O_DIRECT\n"
    "      --direct           the same as --cache=direct\n"
    "  -s, --block-size=SIZE  bytes for each operation; K, M and G are powers of 1024 (default 4K)\n"
    "  -j, --depth=DEPTH      operations in flight, 1 to 32768 (default 16)\n"
    "  -b, --backend=BACKEND  uring, linux, thread, or auto (the default)\n"
    "  -t, --time=SECONDS     how long to measure (default 5)\n"
    "      --size=SIZE        of the new file (default 256M), or the part of an existing one\n"
    "      --rate=NUMBER      start at most this many operations per second\n"
    "      --overwrite        allow writes to an existing file or device; destroys its data\n"
    "      --json             print JSON\n"
    "  -q, --quiet            no live line\n"
    "      --help, --version\n";

void die(int error, const char *what, const char *name)
{
    live_clear();
    fprintf(stderr, "caio-bench: %s%s%s%s%s\n", what, *name ? " " : "", name, error ? ": " : "", error ? caio_strerror(error) : "");
    exit(1);
}

static void refuse_usage(const char *what, const char *argument)
{
    fprintf(stderr, "caio-bench: %s '%s'\nTry 'caio-bench --help' for more information.\n", what, argument);
    exit(2);
}

static void finish_output(void)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        die(errno, "error writing standard output", "");
}

static uint32_t backend_named(const char *name)
{
    for (uint32_t backend = CAIO_BACKEND_AUTO; caio_backend_name(backend); backend++)
        if (strcmp(caio_backend_name(backend), name) == 0)
            return backend;
    refuse_usage("unknown backend", name);
    return 0;
}

static uint64_t number(const char *text, uint64_t least, uint64_t most, const char *what)
{
    static const char units[] = "KMG";
    char *end;
    uint64_t value;
    const char *unit;
    errno = 0;
    value = strtoull(text, &end, 10);
    unit = *end ? strchr(units, *end >= 'a' ? *end - 'a' + 'A' : *end) : NULL;
    if (unit) {
        unsigned shift = 10 * (unsigned)(unit - units + 1);
        errno = value > UINT64_MAX >> shift ? ERANGE : errno;
        value <<= shift;
        end++;
    }
    if (*text < '0' || *text > '9' || *end || errno || value < least || value > most)
        refuse_usage(what, text);
    return value;
}

static double seconds(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (*end || end == text || !isfinite(value) || value <= 0 || value > 1e6)
        refuse_usage("the time is a number of seconds above 0, not", text);
    return value;
}

static enum cache cache_named(const char *name)
{
    for (size_t i = 0; i < sizeof cache_names / sizeof *cache_names; i++)
        if (strcmp(cache_names[i], name) == 0)
            return (enum cache)i;
    refuse_usage("the cache is cold, cached or direct, not", name);
    return COLD;
}

static void set_workload(const char *name, uint32_t mix)
{
    static const struct {
        const char *name;
        bool random;
        int reads; /* percent, or -1 for the mix */
    } workloads[] = {{"read", false, 100},     {"write", false, 0},     {"rw", false, -1},
                     {"randread", true, 100}, {"randwrite", true, 0}, {"randrw", true, -1}};
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
        if (strcmp(workloads[i].name, name) == 0) {
            options.workload = workloads[i].name;
            options.random = workloads[i].random;
            options.read_percent = workloads[i].reads < 0 ? mix : (uint32_t)workloads[i].reads;
            return;
        }
    refuse_usage("unknown workload", name);
}

static void print_version(void)
{
    uint32_t v = caio_version();
    printf("caio-bench %d.%d.%d (libcaio %u.%u.%u)\n", CAIO_VERSION_MAJOR, CAIO_VERSION_MINOR, CAIO_VERSION_PATCH, v >> 16,
           v >> 8 & 0xff, v & 0xff);
}

static void read_options(int argc, char **argv)
{
    enum { HELP = 256, VERSION, MIX, IS_DIRECT, SIZE, RATE, OVERWRITE, JSON };
    static const struct option names[] = {{"help", no_argument, NULL, HELP},
                                          {"version", no_argument, NULL, VERSION},
                                          {"workload", required_argument, NULL, 'w'},
                                          {"mix", required_argument, NULL, MIX},
                                          {"cache", required_argument, NULL, 'c'},
                                          {"direct", no_argument, NULL, IS_DIRECT},
                                          {"block-size", required_argument, NULL, 's'},
                                          {"depth", required_argument, NULL, 'j'},
                                          {"backend", required_argument, NULL, 'b'},
                                          {"time", required_argument, NULL, 't'},
                                          {"size", required_argument, NULL, SIZE},
                                          {"rate", required_argument, NULL, RATE},
                                          {"overwrite", no_argument, NULL, OVERWRITE},
                                          {"json", no_argument, NULL, JSON},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {NULL, 0, NULL, 0}};
    const char *workload = options.workload;
    uint32_t mix = 50;
    for (;;) {
        switch (getopt_long(argc, argv, "w:c:s:j:b:t:q", names, NULL)) {
        case -1:
            set_workload(workload, mix);
            return;
        case HELP:
            fputs(usage_text, stdout);
            finish_output();
            exit(0);
        case VERSION:
            print_version();
            finish_output();
            exit(0);
        case 'w':
            workload = optarg;
            break;
        case MIX:
            mix = (uint32_t)number(optarg, 0, 100, "the mix is a percentage of reads, not");
            break;
        case 'c':
            options.cache = cache_named(optarg);
            break;
        case IS_DIRECT:
            options.cache = DIRECT;
            break;
        case 's':
            options.block = number(optarg, 1, MOST_BLOCK, "the block size is 1 to 1G, not");
            break;
        case 'j':
            options.depth = (uint32_t)number(optarg, 1, MOST_DEPTH, "the depth is 1 to 32768, not");
            break;
        case 'b':
            options.backend = backend_named(optarg);
            break;
        case 't':
            options.seconds = seconds(optarg);
            break;
        case SIZE:
            options.size = number(optarg, 1, INT64_MAX, "the size is a number of bytes, not");
            break;
        case RATE:
            options.rate = number(optarg, 1, 1000000000, "the rate is a number of operations a second, not");
            break;
        case OVERWRITE:
            options.overwrite = true;
            break;
        case JSON:
            options.json = true;
            break;
        case 'q':
            options.quiet = true;
            break;
        default: /* getopt_long has printed the reason */
            fputs("Try 'caio-bench --help' for more information.\n", stderr);
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    struct target target;
    struct result *result;
    int signal;
    read_options(argc, argv);
    if (argc - optind > 1)
        refuse_usage("one path only, not", argv[optind + 1]);
    target = target_open(optind < argc ? argv[optind] : ".");
    result = run(&target);
    report(&target, result);
    finish_output();
    signal = result->signal;
    free(result);
    return signal ? 128 + signal : 0;
}
