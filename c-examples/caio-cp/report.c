/* Messages, the progress bar, the summary. */
#include "caio-cp.h"
#include <inttypes.h>

struct totals expected, copied;
bool failed;

static bool bar_shown, bar_wanted, begun;
static struct timespec started;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - started.tv_sec) + (double)(now.tv_nsec - started.tv_nsec) * 1e-9;
}

/* A name may contain control sequences of the terminal. */
static void print_safely(const char *text)
{
    for (; *text; text++)
        putc((unsigned char)*text < ' ' || *text == 127 ? '?' : *text, stderr);
}

void complain(int error, const char *what, const char *path)
{
    const char *hole = strstr(what, "%s");
    progress_clear();
    failed = true;
    fprintf(stderr, "caio-cp: %.*s", (int)(hole - what), what);
    print_safely(path);
    fputs(hole + 2, stderr);
    if (error != 0)
        fprintf(stderr, ": %s", caio_strerror(error));
    putc('\n', stderr);
}

void complain_at(int error, const char *what, const struct folder *folder, const char *name, enum side side)
{
    char *path = path_of(folder, name, side);
    complain(error, what, path);
    free(path);
}

void die(int error, const char *what, const char *path)
{
    complain(error, what, path);
    exit(1);
}

void *checked_alloc(void *memory)
{
    if (!memory)
        die(ENOMEM, "%s", "memory");
    return memory;
}

bool progress_wanted(void)
{
    bar_wanted = !options.quiet && isatty(STDERR_FILENO);
    return bar_wanted;
}

void progress_begin(void)
{
    begun = true;
    clock_gettime(CLOCK_MONOTONIC, &started);
}

static const char *amount(char *text, size_t size, double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;
    for (; bytes >= 999.5 && unit < 5; unit++)
        bytes /= 1000;
    snprintf(text, size, unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return text;
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

/* "12.3 MB / 45.6 MB  210 MB/s  0:07 left" */
static int figures(char *text, size_t size, double share)
{
    char done[16], all[16], rate[16];
    double time = seconds(), left = share > 0 ? time / share - time : 0;
    if (left > 359999)
        left = 359999;
    return snprintf(text, size, " %3.0f%%  %s / %s  %s/s  %d:%02d left", share * 100,
                    amount(done, sizeof done, (double)copied.bytes), amount(all, sizeof all, (double)expected.bytes),
                    amount(rate, sizeof rate, time > 0 ? (double)copied.bytes / time : 0), (int)left / 60, (int)left % 60);
}

/* Each file counts as 4096 bytes more, so that the bar also moves in a tree of empty files. */
static double share_done(void)
{
    double done = (double)copied.bytes + 4096.0 * (double)copied.files;
    double all = (double)expected.bytes + 4096.0 * (double)expected.files;
    return all > 0 && done < all ? done / all : 1;
}

static void draw_bar(char *line, size_t size)
{
    char text[160];
    int length = figures(text, sizeof text, share_done()), width = terminal_width() - length - 3;
    int full = (int)(share_done() * width);
    if (width < 10 || (size_t)(width + length + 3) > size) {
        snprintf(line, size, "%.*s", terminal_width() - 1, text);
        return;
    }
    line[0] = '[';
    memset(line + 1, '#', (size_t)full);
    memset(line + 1 + full, ' ', (size_t)(width - full));
    snprintf(line + 1 + width, size - 1 - (size_t)width, "]%s", text);
}

void progress_draw(void)
{
    char line[512];
    if (!bar_wanted || !begun)
        return;
    bar_shown = true;
    if (counting)
        snprintf(line, sizeof line, "counting: %" PRIu64 " file%s", expected.files, plural(expected.files));
    else
        draw_bar(line, sizeof line);
    fprintf(stderr, "\r%s\033[K", line);
}

void progress_clear(void)
{
    if (bar_shown)
        fputs("\r\033[K", stderr);
    bar_shown = false;
}

void finish_output(void)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        complain(errno, "error writing %s", "standard output");
}

void print_summary(const caio_stats *stats, const char *backend)
{
    char bytes[16], rate[16];
    double time = seconds();
    printf("%" PRIu64 " file%s, %" PRIu64 " folder%s, %s in %.2f s (%s/s), %s: ", copied.files, plural(copied.files),
           copied.folders, plural(copied.folders), amount(bytes, sizeof bytes, (double)copied.bytes), time,
           amount(rate, sizeof rate, time > 0 ? (double)copied.bytes / time : 0), backend);
    printf("%" PRIu64 " operation%s inline, %" PRIu64 " native, %" PRIu64 " by workers\n", stats->done_inline,
           plural(stats->done_inline), stats->done_native, stats->done_worker);
    finish_output();
}
