/* fork(3) between a system call of the library that opens a descriptor and its next step. A tracer holds the thread at the end
 * of the call while the program forks: the child must not keep the descriptor.
 * Argument: backend. Run it in a writable directory. */
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

/* What the program and its tracer share. */
static struct shared {
    _Atomic bool held;
    _Atomic int64_t forks_at;
} *shared;

/* How long the thread is held after fork(3) began; the library waits for ten times as long. */
static const int64_t HELD_FOR = 10000000;

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static void pause_for(int64_t nanoseconds)
{
    struct timespec time = {0, nanoseconds};
    nanosleep(&time, NULL);
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* What each case submits. */
static caio_op read_pipe(void)
{
    static char byte;
    int ends[2];
    EXPECT(pipe2(ends, O_CLOEXEC), 0);
    return transfer(CAIO_OP_READ, ends[0], &byte, 1, CAIO_OFFSET_CURRENT);
}

static caio_op read_terminal(void)
{
    static char byte;
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), terminal;
    CHECK(fd >= 0 && unlockpt(fd) == 0);
    terminal = open(ptsname(fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
    /* The ring makes the call once the terminal is ready. */
    CHECK(terminal >= 0 && write(terminal, "x", 1) == 1);
    return transfer(CAIO_OP_READ, fd, &byte, 1, CAIO_OFFSET_CURRENT);
}

static caio_op open_at(int dir, const char *path)
{
    caio_op op = make_op(CAIO_OP_OPENAT, dir);
    op.buf = (void *)path;
    op.sys_flags = O_RDONLY | O_CLOEXEC;
    return op;
}

static caio_op open_file(void)
{
    return open_at(AT_FDCWD, "file");
}

static caio_op open_fifo(void)
{
    int dir = open(".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    CHECK(dir >= 0);
    return open_at(dir, "fifo");
}

static caio_op nop(void)
{
    return make_op(CAIO_OP_NOP, -1);
}

static const struct window {
    const char *name;
    caio_op (*op)(void);
    long call;
    uint32_t flags;
} WINDOWS[] = {
    {"the poller's readiness", read_pipe, SYS_epoll_create1, 0},
    {"the poller's timer", read_pipe, SYS_timerfd_create, 0},
    {"the poller's wake-up", read_pipe, SYS_eventfd2, 0},
    {"the poller's ring", read_terminal, SYS_io_uring_setup, 0},
    {"a waiter's readiness", nop, SYS_epoll_create1, 0},
    {"an opened file", open_file, SYS_openat, CAIO_CTX_NO_INLINE},
    {"a file that submit opens", open_file, SYS_openat2, 0},
    {"a directory whose FIFO is opened", open_fifo, SYS_openat, 0},
};

struct user {
    caio_ctx *ctx;
    caio_op op;
};

/* The thread that uses the context. The other one forks. */
static void *use(void *argument)
{
    struct user *user = argument;
    caio_event events[2];
    EXPECT(caio_ctx_submit(user->ctx, &user->op, 1), 1);
    caio_ctx_wait(user->ctx, events, 2, 2, -1);
    return NULL;
}

/* Exits with 0 if the child keeps no descriptor. */
static void program(const struct window *window, uint32_t backend)
{
    pthread_t thread;
    struct user user = {NULL, window->op()};
    int before = open_descriptors(), status;
    user.ctx = make_ctx(backend, window->flags);
    EXPECT(pthread_create(&thread, NULL, use, &user), 0);
    for (int64_t since = now(); !shared->held; pause_for(100000))
        CHECK(now() - since < 30 * SECOND);
    shared->forks_at = now();
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        caio_ctx_free(user.ctx);
        EXPECT(open_descriptors(), before);
        _exit(0);
    }
    EXPECT(waitpid(child, &status, 0), child);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
}

/* Did a thread stop at the end of the call, with a new descriptor? */
static bool has_opened(pid_t thread, const struct window *window, bool *entered)
{
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, (void *)sizeof info, &info) <= 0)
        return false;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
        *entered = (long)info.entry.nr == window->call;
    return info.op == PTRACE_SYSCALL_INFO_EXIT && *entered && info.exit.rval >= 0;
}

enum { FAILED = 1, PASSED, TOO_LATE, NOT_CALLED };

/* Traces all threads of the program but its first. */
static int trace(pid_t main_thread, const struct window *window)
{
    enum { MANY = 1 << 22 };
    static bool entered[MANY]; /* by thread */
    bool in_time = false;
    for (int status;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        CHECK(thread > 0);
        if (thread == main_thread && !WIFSTOPPED(status)) {
            if (!shared->held)
                return NOT_CALLED;
            return !in_time ? TOO_LATE : WIFEXITED(status) && WEXITSTATUS(status) == 0 ? PASSED : FAILED;
        }
        if (!WIFSTOPPED(status))
            continue;
        if (thread != main_thread && !shared->held && has_opened(thread, window, &entered[thread % MANY])) {
            shared->held = true;
            while (shared->forks_at == 0)
                pause_for(100000);
            pause_for(HELD_FOR);
            in_time = now() - shared->forks_at < 5 * HELD_FOR;
        }
        bool all_calls = thread != main_thread && !shared->held;
        ptrace(all_calls ? PTRACE_SYSCALL : PTRACE_CONT, thread, NULL, NULL);
    }
}

static int try(const struct window *window, uint32_t backend)
{
    memset(shared, 0, sizeof *shared);
    pid_t traced = fork();
    CHECK(traced >= 0);
    if (traced == 0) {
        alarm(60);
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        program(window, backend);
    }
    int status;
    EXPECT(waitpid(traced, &status, 0), traced);
    CHECK(WIFSTOPPED(status));
    EXPECT(ptrace(PTRACE_SETOPTIONS, traced, NULL, (void *)(long)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)), 0);
    ptrace(PTRACE_CONT, traced, NULL, NULL);
    return trace(traced, window);
}

int main(int argc, char **argv)
{
    uint32_t backend = backend_argument(argc, argv);
    int file = open("file", O_CREAT | O_RDWR | O_CLOEXEC, 0600), failed = 0;
    CHECK(file >= 0 && close(file) == 0);
    CHECK(mkfifo("fifo", 0600) == 0 || errno == EEXIST);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    for (const struct window *window = WINDOWS; window < WINDOWS + sizeof WINDOWS / sizeof *WINDOWS; window++) {
        if (window->call == SYS_io_uring_setup && caio_backend_probe(CAIO_BACKEND_URING, NULL, 0) != 0)
            continue;
        int result = TOO_LATE;
        for (int tries = 0; result == TOO_LATE && tries < 20; tries++)
            result = try(window, backend);
        if (result != PASSED) {
            const char *said = result == FAILED ? "the child keeps a descriptor" : result == NOT_CALLED ? "no such call" : "too late";
            fprintf(stderr, "%s: %s\n", window->name, said);
            failed = 1;
        }
    }
    return failed;
}
