/* The table, the JSON and the live line. */
#include "caio-bench.h"
#include "../json/json.h"
#include <math.h>
#include <sys/ioctl.h>

static const char *const names[] = {[READS] = "read", [WRITES] = "write"};
static const double percentiles[] = {50, 90, 99, 99.9};
enum { PERCENTILES = sizeof percentiles / sizeof *percentiles };

static bool line_shown;

/* Live line. */

/* "12.5 s  98123 ops/s  401.9 MB/s", of the time since the last line. */
void live_line(const struct result *so_far, uint64_t elapsed_ns)
{
    static uint64_t last_count, last_ns;
    uint64_t count = so_far->latency[READS].count + so_far->latency[WRITES].count;
    double rate = (double)(count - last_count) * 1e9 / (double)(elapsed_ns - last_ns);
    last_count = count;
    last_ns = elapsed_ns;
    if (options.quiet || !isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r%.1f of %g s  %.0f ops/s  %.1f MB/s\033[K", (double)elapsed_ns / 1e9, options.seconds, rate,
            rate * (double)options.block / 1e6);
    line_shown = true;
}

void live_clear(void)
{
    if (line_shown)
        fputs("\r\033[K", stderr);
    line_shown = false;
}

/* What was measured. */

static const char *state_of(const struct result *result)
{
    if (options.cache == DIRECT)
        return "direct";
    if (result->cached_before < 0)
        return "unknown";
    return result->cached_before > 0.99 ? "cached" : result->cached_before < 0.01 ? "cold" : "mixed";
}

static void print_state(const struct result *result)
{
    double percent = result->cached_before * 100;
    printf("%s: ", state_of(result));
    if (options.cache == DIRECT)
        puts("the page cache is bypassed");
    else if (result->cached_before < 0)
        puts("the kernel does not report what the page cache holds");
    else if (options.read_percent == 0)
        puts("writes go to the page cache; the disk is only measured by the sync afterwards");
    else if (percent > 99)
        printf("the page cache held all of it, so that the disk is not measured%s\n",
               options.cache == COLD ? " (this file system keeps data in memory)" : "");
    else if (percent < 1)
        puts("the page cache held none of it, and each pass reads a block once");
    else
        printf("the page cache held %.0f %% of it before the run\n", percent);
}

/* Table. */

static double us(uint64_t ns)
{
    return (double)ns / 1000;
}

static double mean(const struct histogram *latency)
{
    return latency->count ? (double)latency->sum / (double)latency->count : 0;
}

static double passes(const struct target *target, const struct result *result)
{
    uint64_t count = result->latency[READS].count + result->latency[WRITES].count;
    return (double)count * (double)options.block / (double)target->size;
}

static void print_row(const char *name, const struct histogram *latency, double seconds)
{
    double rate = (double)latency->count / seconds;
    printf("%-6s %10.0f %9.1f %9.1f", name, rate, rate * (double)options.block / 1e6, mean(latency) / 1000);
    for (size_t i = 0; i < PERCENTILES; i++)
        printf(" %9.1f", us(histogram_percentile(latency, percentiles[i])));
    printf(" %9.1f\n", us(latency->max));
}

/* One line for each power of two that has a value. */
static void print_histogram(const char *name, const struct histogram *latency)
{
    enum { WIDTH = 40 };
    uint64_t part[64] = {0}, most = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        unsigned power = 63 - (unsigned)__builtin_clzll(histogram_limit(i) - 1 ? histogram_limit(i) - 1 : 1);
        part[power] += latency->bucket[i];
        most = part[power] > most ? part[power] : most;
    }
    printf("\n%s latency, us\n", name);
    for (unsigned power = 0; power < 63; power++)
        if (part[power])
            printf("%11.1f .. %-10.1f %6.2f %%  %.*s\n", us(1ull << power), us(2ull << power),
                   100.0 * (double)part[power] / (double)latency->count,
                   (int)ceil((double)part[power] * WIDTH / (double)most), "########################################");
}

static void print_table(const struct target *target, const struct result *result)
{
    const caio_stats *stats = &result->stats;
    printf("%s, blocks of %" PRIu64 " bytes, depth %u, backend %s, %.2f s\n", options.workload, options.block, options.depth,
           result->backend, result->seconds);
    printf("%s: %.1f MB on %s, %.2f passes\n", target->path, (double)target->size / 1e6, target->type, passes(target, result));
    print_state(result);
    printf("\n%-6s %10s %9s %9s %9s %9s %9s %9s %9s  (latency in us)\n", "", "ops/s", "MB/s", "mean", "p50", "p90", "p99", "p99.9", "max");
    for (int i = READS; i <= WRITES; i++)
        if (result->latency[i].count)
            print_row(names[i], &result->latency[i], result->seconds);
    printf("\nCPU: %.0f %% user, %.0f %% system; %" PRIu64 " operations inline, %" PRIu64 " native, %" PRIu64 " by workers\n",
           100 * result->cpu_user / result->seconds, 100 * result->cpu_system / result->seconds, stats->done_inline,
           stats->done_native, stats->done_worker);
    if (result->sync_seconds >= 0)
        printf("sync after the last write: %.3f s\n", result->sync_seconds);
    for (int i = READS; i <= WRITES; i++)
        if (result->latency[i].count)
            print_histogram(names[i], &result->latency[i]);
}

/* JSON. */

static void json_latency(const struct histogram *latency)
{
    char name[16];
    json_open("latency_ns", '{');
    json_number("min", latency->min);
    json_real("mean", mean(latency));
    json_number("max", latency->max);
    json_open("percentiles", '{');
    for (size_t i = 0; i < PERCENTILES; i++) {
        snprintf(name, sizeof name, "%g", percentiles[i]);
        json_number(name, histogram_percentile(latency, percentiles[i]));
    }
    json_close('}');
    json_open("histogram", '[');
    for (unsigned i = 0; i < BUCKETS; i++)
        if (latency->bucket[i]) {
            json_open(NULL, '{');
            json_number("below", histogram_limit(i));
            json_number("count", latency->bucket[i]);
            json_close('}');
        }
    json_close(']');
    json_close('}');
}

static void json_row(const char *name, const struct histogram *latency, double seconds)
{
    double rate = (double)latency->count / seconds;
    json_open(name, '{');
    json_number("operations", latency->count);
    json_number("bytes", latency->count * options.block);
    json_real("ops_per_second", rate);
    json_real("bytes_per_second", rate * (double)options.block);
    json_latency(latency);
    json_close('}');
}

static void json_options(void)
{
    json_string("workload", options.workload);
    json_number("read_percent", options.read_percent);
    json_number("block_size", options.block);
    json_number("depth", options.depth);
    json_number("rate", options.rate);
}

static void json_target(const struct target *target, const struct result *result)
{
    json_string("path", target->path);
    json_string("file_system", target->type);
    json_number("size", target->size);
    json_real("passes", passes(target, result));
    json_string("cache_wanted", cache_names[options.cache]);
    json_string("cache", state_of(result));
    if (result->cached_before >= 0)
        json_real("cached_before", result->cached_before);
    json_number("memory_alignment", target->memory);
    json_number("offset_alignment", target->offset);
}

static void print_json(const struct target *target, const struct result *result)
{
    json_open(NULL, '{');
    json_options();
    json_string("backend", result->backend);
    json_target(target, result);
    json_real("seconds", result->seconds);
    json_real("cpu_user_seconds", result->cpu_user);
    json_real("cpu_system_seconds", result->cpu_system);
    json_number("done_inline", result->stats.done_inline);
    json_number("done_native", result->stats.done_native);
    json_number("done_worker", result->stats.done_worker);
    if (result->sync_seconds >= 0)
        json_real("sync_seconds", result->sync_seconds);
    for (int i = READS; i <= WRITES; i++)
        json_row(names[i], &result->latency[i], result->seconds);
    json_close('}');
}

void report(const struct target *target, const struct result *result)
{
    live_clear();
    (options.json ? print_json : print_table)(target, result);
}
