/* What the kernel supports. Each feature is tried; version numbers only explain a failure. */
#include "caio-probe.h"
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/utsname.h>

/* Newer than some headers. */
enum { SINGLE_ISSUER = 1 << 12, DEFER_TASKRUN = 1 << 13 };

static int error_of(long result)
{
    return result < 0 ? errno : 0;
}

/* The call must fail with `expected`, which shows that the kernel knows it. */
static int known(long result, int expected)
{
    int error = error_of(result);
    return error == expected ? 0 : error;
}

static int closed(long fd)
{
    int error = error_of(fd);
    if (fd >= 0)
        close((int)fd);
    return error;
}

static int test_eventfd(void)
{
    return closed(eventfd(0, EFD_CLOEXEC));
}

static int test_epoll(void)
{
    return closed(epoll_create1(EPOLL_CLOEXEC));
}

static int test_timerfd(void)
{
    return closed(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
}

static int test_aio(void)
{
    aio_context_t context = 0;
    int error = error_of(syscall(SYS_io_setup, 1, &context));
    if (error == 0)
        syscall(SYS_io_destroy, context);
    return error;
}

static long ring(unsigned flags, struct io_uring_params *params)
{
    memset(params, 0, sizeof *params);
    params->flags = flags;
    return syscall(SYS_io_uring_setup, 4, params);
}

static int test_uring(void)
{
    struct io_uring_params params;
    return closed(ring(0, &params));
}

static int test_uring_flags(unsigned flags)
{
    struct io_uring_params params;
    return closed(ring(flags, &params));
}

static int test_defer_taskrun(void)
{
    return test_uring_flags(SINGLE_ISSUER | DEFER_TASKRUN);
}

static int test_sqpoll(void)
{
    return test_uring_flags(IORING_SETUP_SQPOLL);
}

/* A non-vectored read arrived with Linux 5.6, as did the list of operations. */
static int test_uring_read(void)
{
    enum { OPCODES = 64 };
    struct io_uring_params params;
    struct io_uring_probe *list = calloc(1, sizeof *list + OPCODES * sizeof list->ops[0]);
    long fd = ring(0, &params);
    int error = list ? error_of(fd) : ENOMEM;
    if (error == 0)
        error = error_of(syscall(SYS_io_uring_register, (int)fd, IORING_REGISTER_PROBE, list, OPCODES));
    if (error == 0 && !(list->ops[IORING_OP_READ].flags & IO_URING_OP_SUPPORTED))
        error = EOPNOTSUPP;
    if (fd >= 0)
        close((int)fd);
    free(list);
    return error;
}

/* Runs preadv2(2) on a file that every process can read. */
static int read_self(int flags)
{
    char byte;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), error;
    if (fd < 0)
        return errno;
    error = error_of(preadv2(fd, &part, 1, 0, flags));
    close(fd);
    return error == EAGAIN ? 0 : error;
}

static int test_preadv2(void)
{
    return read_self(0);
}

static int test_nowait(void)
{
    return read_self(RWF_NOWAIT);
}

static int test_statx(void)
{
    return known(syscall(SYS_statx, -1, "x", 0, 0, NULL), EBADF);
}

static int test_renameat2(void)
{
    return known(syscall(SYS_renameat2, -1, "x", -1, "y", 0), EBADF);
}

static int test_copy_range(void)
{
    return known(syscall(SYS_copy_file_range, -1, NULL, -1, NULL, (size_t)1, 0), EBADF);
}

#ifdef SYS_openat2
static int test_openat2(void)
{
    uint64_t how[3] = {0};
    return known(syscall(SYS_openat2, -1, "x", how, sizeof how), EBADF);
}
#endif

#define URING_CALLS "io_uring_setup, io_uring_enter and io_uring_register"

const struct feature features[] = {
    {"eventfd", "the descriptor of each context", 206, "eventfd2", test_eventfd, "no context can be created"},
    {"epoll", "pipes, sockets and terminals", 206, "epoll_create1, epoll_ctl and epoll_wait", test_epoll,
     "operations that wait for pipes, sockets or terminals fail with EAGAIN"},
    {"timerfd", "timeouts", 206, "timerfd_create and timerfd_settime", test_timerfd, "operations with a timeout fail with EAGAIN"},
    {"io_setup", "the backend linux (kernel AIO)", 206, "io_setup, io_submit, io_getevents and io_destroy", test_aio,
     "another backend is used"},
    {"io_uring", "the backend uring", 501, URING_CALLS, test_uring, "another backend is used"},
    {"IORING_OP_READ", "the backend uring", 506, URING_CALLS, test_uring_read, "another backend is used"},
    {"IORING_SETUP_DEFER_TASKRUN", "fewer interrupts with CAIO_CTX_SINGLE_THREAD", 601, URING_CALLS, test_defer_taskrun,
     "a plain ring is used"},
    {"IORING_SETUP_SQPOLL", "CAIO_CTX_SQPOLL", 501, URING_CALLS, test_sqpoll, "the hint is ignored"},
    {"preadv2", "flags of single reads and writes", 406, "preadv2 and pwritev2", test_preadv2, "pread is used"},
    {"RWF_NOWAIT", "cached reads inside submit", 414, "preadv2", test_nowait, "worker threads make cached reads"},
    {"statx", "CAIO_OP_STATX", 411, "statx", test_statx, "CAIO_OP_STATX fails"},
    {"renameat2", "flags of CAIO_OP_RENAMEAT", 315, "renameat2", test_renameat2, "RENAMEAT with flags fails"},
    {"copy_file_range", "copies inside the kernel", 405, "copy_file_range", test_copy_range, "reads and writes are used"},
#ifdef SYS_openat2
    {"openat2", "opening a cached path without blocking", 506, "openat2", test_openat2, "worker threads open files"},
#endif
};
const size_t feature_count = sizeof features / sizeof *features;

static int running_version(void)
{
    struct utsname name;
    int major = 0, minor = 0;
    if (uname(&name) == 0 && sscanf(name.release, "%d.%d", &major, &minor) == 2)
        return major * 100 + (minor < 99 ? minor : 99);
    return 0;
}

void explain_missing(const struct feature *feature, int error, char *text, size_t size)
{
    bool old = running_version() < feature->since;
    const char *reason = caio_strerror(error);
    switch (error) {
    case ENOSYS:
    case EINVAL:
    case EOPNOTSUPP:
        if (old) {
            snprintf(text, size, "%s: needs Linux %d.%d or later", reason, feature->since / 100, feature->since % 100);
            return;
        } /* fall through */
    case EPERM:
    case EACCES:
        snprintf(text, size, "%s: a seccomp filter or a setting forbids it; allow %s", reason, feature->calls);
        return;
    case EMFILE:
    case ENFILE:
        snprintf(text, size, "%s: raise RLIMIT_NOFILE (ulimit -n)", reason);
        return;
    case ENOMEM:
        snprintf(text, size, "%s: raise RLIMIT_MEMLOCK (ulimit -l)", reason);
        return;
    case EAGAIN:
        snprintf(text, size, "%s: raise fs.aio-max-nr (sysctl -w fs.aio-max-nr=1048576)", reason);
        return;
    default:
        snprintf(text, size, "%s", reason);
    }
}
