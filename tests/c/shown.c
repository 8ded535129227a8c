/* The descriptor is readable once caio_ctx_stats has reported a completion, even if the worker thread is stopped before it
 * signals the eventfd. Argument: backend. Run it in a writable directory. */
#include "held.h"
#include <pthread.h>

static uint32_t backend;
static int file, held = -1;
static caio_ctx *ctx;

/* The worker thread inherits the filter, which stops it before it writes to the eventfd. */
static void *submitter(void *unused)
{
    struct sock_filter writes[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    caio_op sync = make_op(CAIO_OP_FSYNC, file);
    int listener = hold_here(writes, sizeof writes / sizeof *writes);

    ctx = make_ctx(backend, 0);
    __atomic_store_n(&held, listener < 0 ? -2 : listener, __ATOMIC_RELEASE);
    if (listener >= 0)
        EXPECT(caio_ctx_submit(ctx, &sync, 1), 1);
    return unused;
}

static int readable(void)
{
    struct pollfd descriptor = {.fd = caio_ctx_eventfd(ctx), .events = POLLIN};

    return poll(&descriptor, 1, 0);
}

int main(int argc, char **argv)
{
    char name[] = "shown-XXXXXX";
    caio_stats stats = {.size = sizeof stats};
    struct seccomp_notif call;
    caio_event event;
    pthread_t thread;

    backend = backend_argument(argc, argv);
    file = mkstemp(name);
    CHECK(file >= 0 && unlink(name) == 0);
    alarm(120);
    EXPECT(pthread_create(&thread, NULL, submitter, NULL), 0);
    if (listener_of(&held) < 0) {
        printf(HELD_SKIPPED);
        return 0;
    }
    CHECK(next_call(held, &call));
    EXPECT(call.data.nr, SYS_write);
    EXPECT(readable(), 0);
    EXPECT(caio_ctx_stats(ctx, &stats), 0);
    EXPECT(stats.completed, 1);
    EXPECT(readable(), 1);

    let_go(held, &call);
    EXPECT(caio_ctx_wait(ctx, &event, 1, 1, -1), 1);
    EXPECT(event.result, 0);
    EXPECT(caio_ctx_poll(ctx, &event, 1), 0);
    EXPECT(readable(), 0);
    EXPECT(pthread_join(thread, NULL), 0);
    caio_ctx_free(ctx);
    return 0;
}
