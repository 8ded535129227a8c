/* fork(2) before each system call that the library makes on its first use. A seccomp filter stops the calling thread, and the
 * threads that it starts, before each call. A child of the process then creates its own context.
 * Argument: backend. Run it in a writable directory. */
#include "held.h"
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { LENGTH = 4096 };

static uint32_t backend;
static int file, held = -1, over;
static char data[LENGTH];

static void use_the_library(void)
{
    char back[LENGTH], byte, why[300];
    int ends[2];
    caio_ctx *ctx;
    caio_op op;

    CHECK(strlen(caio_strerror(EIO)) > 0);
    EXPECT(caio_backend_probe(backend, why, sizeof why), 0);
    ctx = make_ctx(backend, 0);
    EXPECT(pipe2(ends, O_CLOEXEC), 0);
    EXPECT(run_op(ctx, transfer(CAIO_OP_WRITE, file, data, LENGTH, 0)), LENGTH);
    EXPECT(run_op(ctx, make_op(CAIO_OP_FDSYNC, file)), 0);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, file, back, LENGTH, 0)), LENGTH);
    CHECK(memcmp(data, back, LENGTH) == 0);
    op = transfer(CAIO_OP_READ, ends[0], &byte, 1, CAIO_OFFSET_CURRENT);
    op.timeout_ns = 1000;
    EXPECT(run_op(ctx, op), -ETIMEDOUT);
    caio_ctx_free(ctx);
    close(ends[0]);
    close(ends[1]);
}

/* Stops the calling thread before each system call, except those that malloc(3) makes while it holds a lock that fork needs. */
static int hold_everywhere(void)
{
    const uint32_t left_alone[] = {SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_brk, SYS_exit, SYS_rt_sigreturn};
    enum { COUNT = sizeof left_alone / sizeof *left_alone };
    struct sock_filter filter[2 * COUNT + 6];
    size_t length = 0;

#define ADD(...) filter[length++] = (struct sock_filter)__VA_ARGS__
    ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    for (int i = 0; i < COUNT; i++) {
        ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, left_alone[i], 0, 1));
        ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3));
    ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])));
    ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_DONTNEED, 0, 1));
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
    return hold_here(filter, length);
}

static void *user(void *unused)
{
    int listener = hold_everywhere();

    __atomic_store_n(&held, listener < 0 ? -2 : listener, __ATOMIC_RELEASE);
    if (listener >= 0)
        use_the_library();
    __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
    return unused;
}

static void a_child_can(int call)
{
    int status;
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        close(held);
        alarm(60); /* ends a deadlock on a lock whose thread the child does not have */
        use_the_library();
        _exit(0);
    }
    EXPECT(waitpid(child, &status, 0), child);
    if (status != 0)
        fprintf(stderr, "forked before system call %d: the child ends with status %d\n", call, status);
    EXPECT(status, 0);
}

int main(int argc, char **argv)
{
    char name[] = "fork-anywhere-XXXXXX";
    struct seccomp_notif call;
    pthread_t thread;
    int calls = 0;

    backend = backend_argument(argc, argv);
    file = mkstemp(name);
    CHECK(file >= 0 && unlink(name) == 0);
    memset(data, 'd', sizeof data);
    EXPECT(pthread_create(&thread, NULL, user, NULL), 0);
    if (listener_of(&held) < 0) {
        printf(HELD_SKIPPED);
        return 0;
    }
    while (next_call(held, &call)) {
        if (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
            a_child_can(call.data.nr);
            calls++;
        }
        let_go(held, &call);
    }
    EXPECT(pthread_join(thread, NULL), 0);
    printf("%d children\n", calls);
    CHECK(calls > 20);
    return 0;
}
