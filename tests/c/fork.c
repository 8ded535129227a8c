/* fork(2) while a context has operations in flight: the child gets -EOWNERDEAD and can create its own context. The parent is
 * not affected. Argument: backend. Run it in a writable directory. */
#include "check.h"
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <sys/wait.h>

enum { LENGTH = 1 << 16 };

static char data[LENGTH], back[LENGTH];

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void the_parents_context_is_dead(caio_ctx *ctx, int descriptors_without)
{
    caio_stats stats;
    caio_event event;
    caio_op op = make_op(CAIO_OP_NOP, -1);
    uint32_t polled = 9;
    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    EXPECT(caio_ctx_submit(ctx, &op, 1), -EOWNERDEAD);
    EXPECT(caio_ctx_submit_poll(ctx, &op, 1, &event, 1, &polled), -EOWNERDEAD);
    EXPECT(polled, 0);
    EXPECT(caio_ctx_poll(ctx, &event, 1), -EOWNERDEAD);
    EXPECT(caio_ctx_wait(ctx, &event, 1, 1, -1), -EOWNERDEAD);
    EXPECT(caio_ctx_wake(ctx), -EOWNERDEAD);
    EXPECT(caio_ctx_cancel(ctx, 1), -EOWNERDEAD);
    EXPECT(caio_ctx_cancel_fd(ctx, 0), -EOWNERDEAD);
    EXPECT(caio_ctx_cancel_all(ctx), -EOWNERDEAD);
    EXPECT(caio_ctx_eventfd(ctx), -EOWNERDEAD);
    EXPECT(caio_ctx_backend(ctx), -EOWNERDEAD);
    EXPECT(caio_ctx_max_requests(ctx), -EOWNERDEAD);
    EXPECT(caio_ctx_stats(ctx, &stats), -EOWNERDEAD);
    caio_ctx_free(ctx);
    EXPECT(open_descriptors(), descriptors_without);
}

static void a_context_of_its_own(uint32_t backend, int fd)
{
    caio_ctx *ctx = make_ctx(backend, 0);
    EXPECT(run_op(ctx, transfer(CAIO_OP_WRITE, fd, data, 100, LENGTH)), 100);
    EXPECT(run_op(ctx, make_op(CAIO_OP_FDSYNC, fd)), 0);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, fd, back, 100, LENGTH)), 100);
    CHECK(memcmp(data, back, 100) == 0);
    caio_ctx_free(ctx);
}

static void expect_success(pid_t child)
{
    int status;
    CHECK(child > 0);
    EXPECT(waitpid(child, &status, 0), child);
    EXPECT(status, 0);
}

int main(int argc, char **argv)
{
    uint32_t backend = backend_argument(argc, argv);
    char name[] = "fork-XXXXXX", byte = 0;
    int ends[2], file = mkstemp(name), descriptors;
    caio_ctx *ctx;
    caio_op op;
    pid_t child;
    CHECK(file >= 0 && unlink(name) == 0);
    EXPECT(pipe2(ends, O_CLOEXEC), 0);
    memset(data, 'd', sizeof data);
#ifdef __GLIBC__
    /* Otherwise, a thread reads a file to count the processors, and the child inherits its descriptor. */
    mallopt(M_ARENA_MAX, 1);
#endif
    alarm(120); /* ends a deadlock on a lock whose thread the child does not have */
    descriptors = open_descriptors();
    ctx = make_ctx(backend, 0);

    /* In flight while the child runs: a read of a pipe, and operations whose events are not taken. */
    op = transfer(CAIO_OP_READ, ends[0], &byte, 1, CAIO_OFFSET_CURRENT);
    op.user_data = 1;
    EXPECT(caio_ctx_submit(ctx, &op, 1), 1);
    op = transfer(CAIO_OP_WRITE, file, data, LENGTH, 0);
    op.user_data = 2;
    EXPECT(caio_ctx_submit(ctx, &op, 1), 1);

    child = fork();
    if (child == 0) {
        alarm(120);
        the_parents_context_is_dead(ctx, descriptors);
        a_context_of_its_own(backend, file);
        _exit(0);
    }
    expect_success(child);
    child = fork();
    if (child == 0) /* exits without freeing the context */
        exit(0);
    expect_success(child);

    EXPECT(result_of(ctx, 2), LENGTH);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, file, back, LENGTH, 0)), LENGTH);
    CHECK(memcmp(data, back, LENGTH) == 0);
    EXPECT(run_op(ctx, make_op(CAIO_OP_FSYNC, file)), 0);
    CHECK(write(ends[1], "x", 1) == 1);
    EXPECT(result_of(ctx, 1), 1);
    EXPECT(byte, 'x');
    caio_ctx_free(ctx);
    EXPECT(open_descriptors(), descriptors);
    return 0;
}
