/* exit(3) while a context has operations in flight. Arguments: backend, how to end ("main", "exit", "thread").
 * The process ends at once, with its own exit code, after its handlers have run. */
#include "check.h"
#include <pthread.h>

enum { EXIT_CODE = 3, WRITES = 16, LENGTH = 1 << 16 };

static char buffers[WRITES][LENGTH];
static char byte;
static int ends[2];

static void say_goodbye(void)
{
    CHECK(write(1, "bye\n", 4) == 4);
}

static void put_work_in_flight(caio_ctx *ctx)
{
    char name[] = "exit-live-XXXXXX";
    int fd = mkstemp(name);
    caio_op op;
    CHECK(fd >= 0 && unlink(name) == 0);
    EXPECT(pipe2(ends, O_CLOEXEC), 0);
    op = transfer(CAIO_OP_READ, ends[0], &byte, 1, CAIO_OFFSET_CURRENT);
    EXPECT(caio_ctx_submit(ctx, &op, 1), 1);
    for (int i = 0; i < WRITES; i++) {
        op = transfer(CAIO_OP_WRITE, fd, buffers[i], LENGTH, (uint64_t)i * LENGTH);
        EXPECT(caio_ctx_submit(ctx, &op, 1), 1);
        op = make_op(CAIO_OP_FSYNC, fd);
        EXPECT(caio_ctx_submit(ctx, &op, 1), 1);
    }
}

static void *wait_for_ever(void *ctx)
{
    caio_event events[4 * WRITES];
    while (caio_ctx_wait((caio_ctx *)ctx, events, 4 * WRITES, 4 * WRITES, -1) >= 0)
        ;
    return NULL;
}

static void *exit_here(void *unused)
{
    (void)unused;
    exit(EXIT_CODE);
}

int main(int argc, char **argv)
{
    const char *how = argc > 2 ? argv[2] : "main";
    pthread_t waiter, leaver;
    caio_ctx *ctx = make_ctx(backend_argument(argc, argv), CAIO_CTX_NO_INLINE);
    CHECK(atexit(say_goodbye) == 0);
    put_work_in_flight(ctx);
    EXPECT(pthread_create(&waiter, NULL, wait_for_ever, ctx), 0);
    if (strcmp(how, "exit") == 0)
        exit(EXIT_CODE);
    if (strcmp(how, "thread") == 0) {
        EXPECT(pthread_create(&leaver, NULL, exit_here, NULL), 0);
        pthread_join(leaver, NULL);
    }
    return EXIT_CODE;
}
