/* bench FOLDER: measures file I/O from an event loop, one line of tab-separated values for each turn.
 *
 * Each turn runs in a process of its own, so that nothing of one engine (threads, io-wq's bounds, memory) reaches
 * another, and engines take short turns one after the other, so that a noisy moment of the machine hits them alike. */
#include "turn.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct options {
    const char *folder, *rows, *engines, *depths;
    unsigned mib, rounds, turn_ms;
    int lockstep;
};

enum { LEFT_OUT = 3 };

/* What the process of a turn tells its parent. */
struct report {
    char why[256];
    struct result result;
};

/* Whether `word` is in a list that is separated by spaces or commas; an empty list has everything. */
static int chosen(const char *list, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = list; (at = strstr(at, word)); at += length)
        if ((at == list || strchr(" ,", at[-1])) && strchr(" ,", at[length]))
            return 1;
    return !list[strspn(list, " ,")];
}

static void print_line(const struct options *options, const struct row *row, const struct engine *engine,
                       unsigned depth, unsigned round, const struct result *result)
{
    double count = (double)result->count;

    printf("%s\t%s\t%u\t%s\t%u\t%llu\t%.1f\t%.3f\t%.3f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\n",
           options->lockstep ? "lockstep" : "loop", row->name, depth, engine->name, round,
           (unsigned long long)result->count, (double)result->took_ns / 1e6, count * 1e6 / (double)result->took_ns,
           (double)result->cpu_ns / 1e3 / count, histogram_us(&result->latency, 0.5),
           histogram_us(&result->latency, 0.99), histogram_us(&result->latency, 0.999),
           histogram_us(&result->submit, 0.5), histogram_us(&result->submit, 0.99),
           histogram_us(&result->submit, 0.999), (double)result->submit.max_ns / 1e3);
    fflush(stdout);
}

static int turn_child(const struct options *options, const struct row *row, const struct engine *engine,
                      const struct plan *plan, unsigned round, struct report *report)
{
    struct target target;
    char *why = report->why;

    if (!target_open(&target, row, options->folder, round, why, sizeof report->why) ||
        !target_prepare(&target, why, sizeof report->why))
        return LEFT_OUT;
    return turn_run(engine, &target, plan, &report->result, why, sizeof report->why) ? 0 : LEFT_OUT;
}

/* 0 if the engine or the row cannot be had here. */
static int turn(const struct options *options, const struct row *row, const struct engine *engine, unsigned depth,
                unsigned round, struct report *report)
{
    uint64_t turn_ns = (uint64_t)options->turn_ms * 1000000u;
    struct plan plan = {.depth = depth, .lockstep = options->lockstep, .warm_ns = turn_ns / 5, .turn_ns = turn_ns};
    int status;
    pid_t child = fork();

    if (child < 0)
        die("fork", errno);
    if (child == 0)
        _exit(turn_child(options, row, engine, &plan, round, report));
    if (waitpid(child, &status, 0) < 0)
        die("waitpid", errno);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && report->result.count > 0)
        return 1;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != LEFT_OUT) {
        fprintf(stderr, "bench: %s failed in %s at depth %u\n", engine->name, row->name, depth);
        exit(1);
    }
    return 0;
}

static int takes_part(const struct options *options, const struct row *row, const struct engine *engine, unsigned depth)
{
    return chosen(options->engines, engine->name) && (!engine->max_depth || depth <= engine->max_depth) &&
           depth >= engine->min_depth && (!engine->pairs_only || row->kind == WRITE_SYNC);
}

static void compare(const struct options *options, const struct row *row, unsigned depth, struct report *report)
{
    uint64_t left_out = 0;
    unsigned count = 0;

    while (engines[count])
        count++;
    for (unsigned round = 0; round < options->rounds; round++)
        for (unsigned step = 0; step < count; step++) {
            /* To and fro, so that no engine always follows the same one. */
            unsigned i = round % 2 ? count - 1 - step : step;
            if ((left_out >> i & 1) || !takes_part(options, row, engines[i], depth))
                continue;
            if (turn(options, row, engines[i], depth, round, report)) {
                print_line(options, row, engines[i], depth, round, &report->result);
                continue;
            }
            left_out |= (uint64_t)1 << i;
            fprintf(stderr, "skipped: %s, %s, depth %u: %s\n", row->name, engines[i]->name, depth, report->why);
        }
}

static void compare_all(const struct options *options)
{
    struct report *report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (report == MAP_FAILED)
        die("mmap", errno);
    for (const struct row *row = rows; row->name; row++) {
        if (!chosen(options->rows, row->name))
            continue;
        for (char *at = (char *)options->depths, *end; (at += strspn(at, " ,")), *at; at = end) {
            unsigned long depth = strtoul(at, &end, 10);
            if (end == at || depth == 0 || depth > MAX_DEPTH)
                die("a depth is a number from 1 to 4096", EINVAL);
            fprintf(stderr, "%s %s, depth %lu\n", options->lockstep ? "lockstep" : "loop", row->name, depth);
            compare(options, row, (unsigned)depth, report);
        }
    }
}

static unsigned number(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (end == text || *end || value == 0 || value > 1000000)
        die(text, EINVAL);
    return (unsigned)value;
}

static void parse(int argc, char **argv, struct options *options)
{
    int option;

    while ((option = getopt(argc, argv, "r:e:d:m:n:t:l")) >= 0)
        switch (option) {
        case 'r': options->rows = optarg; break;
        case 'e': options->engines = optarg; break;
        case 'd': options->depths = optarg; break;
        case 'm': options->mib = number(optarg); break;
        case 'n': options->rounds = number(optarg); break;
        case 't': options->turn_ms = number(optarg); break;
        case 'l': options->lockstep = 1; break;
        default: optind = argc;
        }
    if (optind != argc - 1) {
        fprintf(stderr, "usage: bench [-r ROWS] [-e ENGINES] [-d DEPTHS] [-m MIB] [-n ROUNDS] [-t TURN_MS] [-l] "
                        "FOLDER\n");
        exit(2);
    }
    options->folder = argv[optind];
}

int main(int argc, char **argv)
{
    struct options options = {.rows = "", .engines = "", .depths = "1 16 128", .mib = 512, .rounds = 5, .turn_ms = 300};

    parse(argc, argv, &options);
    targets_make(options.folder, options.mib);
    compare_all(&options);
    return 0;
}
