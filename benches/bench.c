/* bench FOLDER: measures file I/O from an event loop, one line of tab-separated values for each turn.
 *
 * Each engine runs in its own process, so that its threads, io-wq limits and memory do not affect another. The engines
 * take short turns, so that noise affects all of them. All use the same buffers and start on the same processor. New
 * processes are started now and then, because some costs depend on chance at the start of a process. */
#include "player.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
    const char *folder, *rows, *engines, *depths;
    unsigned mib, rounds, turn_ms;
    int lockstep;
};

enum { MAX_ENGINES = 32, ROUNDS_PER_PROCESS = 5 };

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

static int takes_part(const struct options *options, const struct row *row, const struct engine *engine, unsigned depth)
{
    return chosen(options->engines, engine->name) && (!engine->max_depth || depth <= engine->max_depth) &&
           depth >= engine->min_depth && (!engine->cached_only || row->cache != COLD) &&
           (!engine->pairs_only || row->kind == WRITE_SYNC);
}

/* Rounds `from` to `to`: every player takes a turn. The order alternates, so that no player always follows the same one. */
static void play(const struct options *options, struct stage *stage, struct player *players, unsigned count,
                 unsigned from, unsigned to)
{
    for (unsigned round = from; round < to; round++)
        for (unsigned step = 0; step < count; step++) {
            struct player *player = &players[round % 2 ? count - 1 - step : step];
            if (!target_prepare(&stage->target, step == 0, stage->shared->why, sizeof stage->shared->why)) {
                fprintf(stderr, "skipped: %s, depth %u: %s\n", stage->target.row->name, stage->plan.depth,
                        stage->shared->why);
                return;
            }
            player_turn(player, stage, round);
            if (stage->shared->result.count > 0)
                print_line(options, stage->target.row, player->engine, stage->plan.depth, round,
                           &stage->shared->result);
        }
}

static void compare(const struct options *options, const struct row *row, unsigned depth)
{
    struct plan plan = {.depth = depth, .lockstep = options->lockstep, .turn_ns = (uint64_t)options->turn_ms * 1000000u};
    const struct engine *refused[MAX_ENGINES] = {NULL};
    struct stage stage;

    if (!stage_open(&stage, row, options->folder, &plan)) {
        fprintf(stderr, "skipped: %s, depth %u: %s\n", row->name, depth, stage.shared->why);
        stage_close(&stage);
        return;
    }
    for (unsigned round = 0; round < options->rounds; round += ROUNDS_PER_PROCESS) {
        struct player players[MAX_ENGINES];
        unsigned count = 0, left = options->rounds - round;

        for (unsigned i = 0; engines[i]; i++) {
            if (refused[i] || !takes_part(options, row, engines[i], depth))
                continue;
            if (player_start(&players[count], &stage, engines[i], round / ROUNDS_PER_PROCESS)) {
                count++;
                continue;
            }
            refused[i] = engines[i];
            fprintf(stderr, "skipped: %s, %s, depth %u: %s\n", row->name, engines[i]->name, depth, stage.shared->why);
        }
        play(options, &stage, players, count, round, round + (left < ROUNDS_PER_PROCESS ? left : ROUNDS_PER_PROCESS));
        while (count > 0)
            player_stop(&players[--count]);
    }
    stage_close(&stage);
}

static void compare_all(const struct options *options)
{
    for (const struct row *row = rows; row->name; row++) {
        if (!chosen(options->rows, row->name))
            continue;
        for (char *at = (char *)options->depths, *end; (at += strspn(at, " ,")), *at; at = end) {
            unsigned long depth = strtoul(at, &end, 10);
            if (end == at || depth == 0 || depth > MAX_DEPTH)
                die("a depth is a number from 1 to 4096", EINVAL);
            fprintf(stderr, "%s %s, depth %lu\n", options->lockstep ? "lockstep" : "loop", row->name, depth);
            compare(options, row, (unsigned)depth);
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
    struct options options = {.rows = "", .engines = "", .depths = "1 16 128", .mib = 512, .rounds = 40, .turn_ms = 20};

    parse(argc, argv, &options);
    targets_make(options.folder, options.mib);
    compare_all(&options);
    return 0;
}
