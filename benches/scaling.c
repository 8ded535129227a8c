/* scaling FOLDER MS: the cost of an operation against the number in flight and the number of contexts, and of a cancel. */
#include "scaling.h"
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum { BUFFERS = 16, FILE_BLOCKS = 256, MAX_CONTEXTS = 64, CONTEXT_DEPTH = 16 };

const struct backend backends[] = {
    {"uring", CAIO_BACKEND_URING}, {"linux", CAIO_BACKEND_LINUX}, {"thread", CAIO_BACKEND_THREAD}, {NULL, 0}};

/* The operations at every depth. They share a few buffers, as this does not measure the CPU caches. */
static struct {
    int fd;
    char buffers[BUFFERS][BLOCK];
} cached;

struct load {
    unsigned opcode, backend, flags, contexts, depth;
};

struct cost {
    double wall_us, cpu_us;
};

caio_ctx *context_new(unsigned backend, unsigned flags, unsigned max_requests)
{
    caio_options options = CAIO_OPTIONS_INIT;
    caio_ctx *ctx;

    options.backend = backend;
    options.flags = flags;
    options.max_requests = max_requests;
    return caio_ctx_new(&options, &ctx) < 0 ? NULL : ctx;
}

static double cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static unsigned check(const caio_event *events, unsigned count, unsigned opcode)
{
    for (unsigned i = 0; i < count; i++)
        check_moved("scaling", events[i].result, opcode == CAIO_OP_READ ? BLOCK : 0);
    return count;
}

/* Submits `count` operations; returns how many completed, including earlier ones. */
static unsigned submit(caio_ctx *ctx, const struct load *load, unsigned count)
{
    static caio_op ops[MAX_DEPTH];
    static caio_event events[MAX_DEPTH];
    static unsigned at;
    uint32_t polled;

    for (unsigned i = 0; i < count; i++, at++)
        ops[i] = load->opcode == CAIO_OP_NOP ? (caio_op){.opcode = CAIO_OP_NOP}
                                             : (caio_op){.opcode = CAIO_OP_READ,
                                                         .fd = cached.fd,
                                                         .buf = cached.buffers[at % BUFFERS],
                                                         .len = BLOCK,
                                                         .offset = (uint64_t)(at % FILE_BLOCKS) * BLOCK};
    int accepted = caio_ctx_submit_poll(ctx, ops, count, events, load->depth, &polled);
    if (accepted != (int)count)
        die("caio_ctx_submit_poll", accepted < 0 ? -accepted : 0);
    return check(events, polled, load->opcode);
}

static unsigned collect(caio_ctx *ctx, const struct load *load)
{
    static caio_event events[MAX_DEPTH];
    int count = caio_ctx_poll(ctx, events, load->depth);

    if (count < 0)
        die("caio_ctx_poll", -count);
    return check(events, (unsigned)count, load->opcode);
}

/* One loop over all contexts, each of which keeps `depth` operations in flight. */
static uint64_t run_for(caio_ctx **contexts, int loop, const struct load *load, uint64_t ns)
{
    struct epoll_event ready[MAX_CONTEXTS];
    unsigned idle[MAX_CONTEXTS], inflight = 0;
    uint64_t start = now_ns(), done = 0;

    for (unsigned i = 0; i < load->contexts; i++)
        idle[i] = load->depth;
    for (int stopping = 0; !stopping || inflight; stopping = now_ns() - start >= ns) {
        unsigned found = 0;
        for (unsigned i = 0; i < load->contexts && !stopping; i++) {
            unsigned handed = idle[i], got = handed ? submit(contexts[i], load, handed) : 0;
            idle[i] = got, found += got, inflight += handed - got;
        }
        /* Poll the other contexts even if this one is never idle; sleep only if no completion arrived. */
        int count = inflight ? epoll_wait(loop, ready, MAX_CONTEXTS, found ? 0 : -1) : 0;
        for (int i = 0; i < count; i++) {
            unsigned got = collect(contexts[ready[i].data.u32], load);
            idle[ready[i].data.u32] += got, found += got, inflight -= got;
        }
        done += found;
    }
    return done;
}

/* A negative wall time: this machine does not support the backend. */
static struct cost measure(const struct load *load, unsigned ms)
{
    caio_ctx *contexts[MAX_CONTEXTS];
    int loop = epoll_create1(EPOLL_CLOEXEC);
    struct cost cost = {.wall_us = -1};

    for (unsigned i = 0; i < load->contexts; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        contexts[i] = context_new(load->backend, load->flags, load->depth);
        if (!contexts[i])
            return cost;
        epoll_ctl(loop, EPOLL_CTL_ADD, caio_ctx_eventfd(contexts[i]), &event);
    }
    run_for(contexts, loop, load, (uint64_t)ms * 200000u);
    double cpu = cpu_us();
    uint64_t start = now_ns(), done = run_for(contexts, loop, load, (uint64_t)ms * 1000000u);
    cost.wall_us = (double)(now_ns() - start) / 1e3 / (double)done;
    cost.cpu_us = (cpu_us() - cpu) / (double)done;
    for (unsigned i = 0; i < load->contexts; i++)
        caio_ctx_free(contexts[i]);
    close(loop);
    return cost;
}

static int by_wall(const void *a, const void *b)
{
    const struct cost *left = a, *right = b;

    return (left->wall_us > right->wall_us) - (left->wall_us < right->wall_us);
}

/* The median of some turns: "wall (CPU)". */
static void print_cell(const struct load *load, unsigned ms)
{
    enum { TURNS = 5 };
    struct cost costs[TURNS];

    for (unsigned i = 0; i < TURNS; i++)
        costs[i] = measure(load, ms);
    qsort(costs, TURNS, sizeof *costs, by_wall);
    if (costs[0].wall_us < 0)
        printf("\t-");
    else
        printf("\t%.2f (%.2f)", costs[TURNS / 2].wall_us, costs[TURNS / 2].cpu_us);
    fflush(stdout);
}

static void print_line(unsigned contexts, unsigned depth, unsigned ms)
{
    for (const struct backend *backend = backends; backend->name; backend++) {
        struct load load = {.opcode = CAIO_OP_READ, .backend = backend->number, .contexts = contexts, .depth = depth};
        print_cell(&load, ms);
        load.opcode = CAIO_OP_NOP, load.flags = CAIO_CTX_NO_INLINE;
        print_cell(&load, ms);
    }
    printf("\n");
}

static void print_head(const char *first)
{
    printf("%s", first);
    for (const struct backend *backend = backends; backend->name; backend++)
        printf("\t%s: read\tNOP, NO_INLINE", backend->name);
    printf("\n");
}

static void cached_open(const char *folder)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/small", folder);
    cached.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (cached.fd < 0)
        die(path, errno);
    for (unsigned i = 0; i < FILE_BLOCKS; i++)
        if (write(cached.fd, cached.buffers[0], BLOCK) != BLOCK)
            die(path, errno);
}

int main(int argc, char **argv)
{
    unsigned ms = argc == 3 ? (unsigned)atoi(argv[2]) : 0;

    if (ms == 0) {
        fprintf(stderr, "usage: scaling FOLDER MS\n");
        return 2;
    }
    cached_open(argv[1]);
    printf("cost of an operation against depth\tMicroseconds of wall (CPU) time for each operation: 4 KiB cached "
           "reads, and NOPs with CAIO_CTX_NO_INLINE.\n");
    print_head("depth");
    for (unsigned depth = 1; depth <= MAX_DEPTH; depth *= 4) {
        printf("%u", depth);
        print_line(1, depth, ms);
    }
    printf("\ncost of an operation against the number of contexts\tThe same, one loop over all contexts, each with %d "
           "operations in flight.\n", CONTEXT_DEPTH);
    print_head("contexts");
    for (unsigned contexts = 1; contexts <= MAX_CONTEXTS; contexts *= 4) {
        printf("%u", contexts);
        print_line(contexts, CONTEXT_DEPTH, ms);
    }
    printf("\n");
    cancel_table(argv[1]);
    return 0;
}
