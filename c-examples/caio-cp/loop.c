/* The event loop: queues operations, submits them in batches, and passes each completion to its request's function. */
#include "caio-cp.h"

enum { BATCH = MOST_LINKED, TICK_MS = 100, RETRY_MS = 10, MOST_RETRIES = 20 };

int interrupted;

static caio_ctx *ctx;
static struct queue queued;
static struct request *postponed;
static uint32_t in_flight;

static void open_context(void)
{
    caio_options wanted = CAIO_OPTIONS_INIT;
    char why[512];
    int error;
    wanted.backend = options.backend;
    wanted.max_requests = options.depth;
    wanted.flags = CAIO_CTX_SINGLE_THREAD;
    error = caio_ctx_new(&wanted, &ctx);
    if (error == 0)
        return;
    if (caio_backend_probe(options.backend, why, sizeof why) == 0)
        die(error, "no context on backend '%s'", caio_backend_name(options.backend));
    fprintf(stderr, "caio-cp: %s\n", why);
    exit(1);
}

void loop_open(bool ticking)
{
    open_context();
    watch_begin(ctx, ticking ? TICK_MS : 0);
}

bool loop_supports(uint8_t opcode)
{
    return caio_ctx_supports(ctx, opcode) == 1;
}

void send_request(struct request *request, caio_op op, void (*done)(struct request *, int64_t))
{
    request->op = op;
    request->op.user_data = (uint64_t)(uintptr_t)request;
    request->done = done;
    request->retries = 0;
    enqueue(&queued, request);
}

/* walk_limits() leaves enough descriptors, but the C library may open files for a moment, for example when a thread
 * starts. Retries the open a little later. */
static bool postpone(struct request *request, int64_t result)
{
    static bool hopeless;
    bool exhausted = request->op.opcode == CAIO_OP_OPENAT && (result == -EMFILE || result == -ENFILE);
    if (!exhausted || interrupted || hopeless || request->op.flags & CAIO_FLAG_LINK)
        return false;
    hopeless = request->retries++ == MOST_RETRIES;
    if (hopeless)
        return false;
    request->next = postponed;
    postponed = request;
    return true;
}

static void retry_postponed(void)
{
    while (postponed) {
        struct request *request = postponed;
        postponed = request->next;
        enqueue(&queued, request);
    }
}

static bool within_a_second(const struct timespec *since)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec - since->tv_sec + (now.tv_nsec < since->tv_nsec ? -1 : 0) < 1;
}

/* Cancels all operations, queued and in flight. Each request still completes, and its function cleans up. A second signal
 * exits at once, unless it arrives within a second: on a hang-up, the kernel and the shell both send SIGHUP. */
static void interrupt(int signal)
{
    static struct timespec first;
    struct request *waiting, *next;
    if (interrupted) {
        if (within_a_second(&first))
            return;
        remove_temporaries();
        _exit(128 + interrupted);
    }
    interrupted = signal;
    clock_gettime(CLOCK_MONOTONIC, &first);
    retry_postponed();
    waiting = queued.first;
    queued.first = NULL;
    caio_ctx_cancel_all(ctx);
    for (; waiting; waiting = next) {
        next = waiting->next;
        waiting->done(waiting, -ECANCELED);
    }
}

/* The number of operations of the chain that begins at a request. */
static uint32_t chain_length(const struct request *request)
{
    uint32_t length = 1;
    for (; request->op.flags & CAIO_FLAG_LINK; request = request->next)
        length++;
    return length;
}

/* Takes as many operations from the head of the queue as fit. A chain stays whole. */
static uint32_t fill_batch(caio_op *ops)
{
    struct request *request = queued.first;
    uint32_t count = 0;
    while (request) {
        uint32_t length = chain_length(request);
        if (count + length > BATCH || in_flight + count + length > options.depth)
            break;
        for (; length > 0; length--, request = request->next)
            ops[count++] = request->op;
    }
    return count;
}

/* Submits queued operations and delivers completions. Returns false if there were none of either. */
static bool exchange(void)
{
    caio_op ops[BATCH];
    caio_event events[BATCH];
    uint32_t count = fill_batch(ops), polled = 0;
    int accepted;
    accepted = caio_ctx_submit_poll(ctx, ops, count, events, BATCH, &polled);
    if (accepted < 0 && accepted != -EAGAIN)
        die(-accepted, "cannot submit%s", "");
    for (int i = 0; i < accepted; i++, in_flight++)
        dequeue(&queued);
    for (uint32_t i = 0; i < polled; i++) {
        struct request *request = (struct request *)(uintptr_t)events[i].user_data;
        in_flight--;
        if (!postpone(request, events[i].result))
            request->done(request, events[i].result);
    }
    return accepted > 0 || polled > 0;
}

void loop_run(void (*refill)(void))
{
    int timeout_ms;
    for (;;) {
        refill();
        if (!queued.first && !postponed && in_flight == 0)
            return;
        timeout_ms = exchange() ? 0 : postponed ? RETRY_MS : -1;
        if (!watch_wait(timeout_ms, interrupt, progress_draw) && timeout_ms > 0)
            retry_postponed();
    }
}

struct awaited {
    struct request request;
    int64_t result;
};

static void result_arrived(struct request *request, int64_t result)
{
    ((struct awaited *)request)->result = result;
}

static void nothing_more(void)
{
}

int64_t run_request(caio_op op)
{
    struct awaited awaited;
    send_request(&awaited.request, op, result_arrived);
    loop_run(nothing_more);
    return awaited.result;
}

caio_stats loop_close(const char **backend)
{
    caio_stats stats = {.size = sizeof stats};
    caio_ctx_stats(ctx, &stats);
    *backend = caio_backend_name((uint32_t)caio_ctx_backend(ctx));
    caio_ctx_free(ctx);
    return stats;
}
