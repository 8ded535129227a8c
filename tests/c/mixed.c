/* Runs every kind of operation, in rounds, on one context. For tests in which system calls fail.
 *
 *   mixed BACKEND FLAGS FOLDER ROUNDS [NUMBER ERRNO [compare]]
 *
 * With NUMBER, a seccomp filter makes that system call fail with ERRNO. Every operation must yield exactly one event: the right
 * result with the right bytes, or a negative errno. Exit codes:
 *
 *   0  prints "rounds N, failed M": M rounds had an error
 *   1  prints which promise was broken
 *   3  caio_ctx_new failed; prints its errno
 *
 * The caller ends a hang; SIGALRM does at the latest. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <caio.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 64, OPS = 17, PATIENCE_S = 600, NO_CONTEXT = 3 };
enum { CACHED, VECTORED, COLD, DIRECT, DIRECT_WRITE, WRITE, CHAIN_WRITE, CHAIN_SYNC, CHAIN_READ, OPEN, STAT, FED, BLOCKED,
       TIMED, NOTHING, SYNC, CLOSE };

static int compares, buffered, direct, cold, fed[2], dry[2];
static unsigned char content[PAGES * PAGE], *memory;
static char path[4096];

/* An injected fault may hit this write instead of the library: repeat it, so that no output is lost. */
static void say(const char *line)
{
    while (write(1, line, strlen(line)) < 0 && errno == EINTR)
        ;
}

static void broken(const char *what, long detail)
{
    char line[128];
    snprintf(line, sizeof line, "broken: %s (%ld)\n", what, detail);
    say(line);
    _exit(1);
}

static int open_file(const char *folder, const char *name, int flags)
{
    int fd, again;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
    if (fd < 0 || write(fd, content, sizeof content) != (ssize_t)sizeof content || fsync(fd) != 0)
        broken("setup", errno);
    again = open(path, O_RDWR | flags);
    close(fd);
    return again < 0 ? open(path, O_RDWR) : again;
}

static void set_up(const char *folder)
{
    static char bytes[4096];
    size_t at;
    for (at = 0; at < sizeof content; at++)
        content[at] = (unsigned char)(at ^ (at >> 8) ^ ((at >> 12) * 7));
    direct = open_file(folder, "direct", O_DIRECT);
    cold = open_file(folder, "cold", 0);
    buffered = open_file(folder, "buffered", 0);
    if (pipe(fed) != 0 || pipe(dry) != 0 || write(fed[1], bytes, sizeof bytes) != (ssize_t)sizeof bytes)
        broken("setup", errno);
    if (posix_memalign((void **)&memory, PAGE, OPS * PAGE) != 0)
        broken("setup", ENOMEM);
}

static void forbid(int number, int error)
{
    struct sock_filter filter[4] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program;
    filter[1].k = (unsigned)number;
    filter[2].k |= (unsigned)error;
    program.len = 4;
    program.filter = filter;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        broken("seccomp", errno);
}

/* Limits the address space to its present size plus MORE_MEMORY bytes. */
static void limit_memory(void)
{
    const char *more = getenv("MORE_MEMORY");
    FILE *file = more == NULL ? NULL : fopen("/proc/self/statm", "r");
    struct rlimit limit;
    unsigned long pages;
    if (more == NULL)
        return;
    if (file == NULL || fscanf(file, "%lu", &pages) != 1)
        broken("statm", errno);
    fclose(file);
    limit.rlim_cur = limit.rlim_max = pages * PAGE + (rlim_t)atol(more);
    if (setrlimit(RLIMIT_AS, &limit) != 0)
        broken("setrlimit", errno);
}

static unsigned char *page(int at)
{
    return memory + (size_t)at * PAGE;
}

static caio_op transfer(int opcode, int fd, int at, unsigned round)
{
    caio_op op;
    memset(&op, 0, sizeof op);
    op.opcode = (uint8_t)opcode;
    op.fd = fd;
    op.buf = page(at);
    op.len = PAGE;
    op.offset = (uint64_t)((round * 5 + (unsigned)at) % PAGES) * PAGE;
    return op;
}

/* Writes the bytes that the file already has, so that the content stays right if some writes fail. */
static caio_op write_back(int fd, int at, unsigned round)
{
    caio_op op = transfer(CAIO_OP_WRITE, fd, at, round);
    memcpy(page(at), content + op.offset, PAGE);
    return op;
}

static caio_op of(int opcode, int fd)
{
    caio_op op;
    memset(&op, 0, sizeof op);
    op.opcode = (uint8_t)opcode;
    op.fd = fd;
    return op;
}

static caio_op byte_read(int fd, int at)
{
    caio_op op = of(CAIO_OP_READ, fd);
    op.buf = page(at);
    op.len = 1;
    op.offset = CAIO_OFFSET_CURRENT;
    return op;
}

static void make_round(caio_op *ops, struct iovec *parts, struct statx *stat, unsigned round)
{
    int at;
    memset(memory, 0, OPS * PAGE);
    ops[CACHED] = transfer(CAIO_OP_READ, buffered, CACHED, round);
    ops[VECTORED] = transfer(CAIO_OP_READV, buffered, VECTORED, round);
    parts[0].iov_base = page(VECTORED);
    parts[0].iov_len = 1000;
    parts[1].iov_base = page(VECTORED) + 1000;
    parts[1].iov_len = PAGE - 1000;
    ops[VECTORED].buf = parts;
    ops[VECTORED].len = 2;
    ops[COLD] = transfer(CAIO_OP_READ, cold, COLD, round);
    ops[COLD].flags = CAIO_FLAG_FULL;
    ops[DIRECT] = transfer(CAIO_OP_READ, direct, DIRECT, round);
    ops[DIRECT_WRITE] = write_back(direct, DIRECT_WRITE, round);
    ops[WRITE] = write_back(buffered, WRITE, round);
    ops[CHAIN_WRITE] = write_back(buffered, CHAIN_WRITE, round);
    ops[CHAIN_SYNC] = of(CAIO_OP_FDSYNC, buffered);
    ops[CHAIN_READ] = transfer(CAIO_OP_READ, buffered, CHAIN_READ, round);
    ops[CHAIN_WRITE].flags = ops[CHAIN_SYNC].flags = CAIO_FLAG_LINK;
    ops[OPEN] = of(CAIO_OP_OPENAT, AT_FDCWD);
    ops[OPEN].buf = path;
    ops[OPEN].sys_flags = O_RDONLY | O_CLOEXEC;
    ops[STAT] = of(CAIO_OP_STATX, AT_FDCWD);
    ops[STAT].buf = path;
    ops[STAT].mode = STATX_SIZE;
    ops[STAT].buf2 = stat;
    ops[FED] = byte_read(fed[0], FED);
    ops[BLOCKED] = byte_read(dry[0], BLOCKED);
    ops[TIMED] = byte_read(dry[0], TIMED);
    ops[TIMED].timeout_ns = 200000;
    ops[NOTHING] = of(CAIO_OP_NOP, -1);
    ops[SYNC] = of(CAIO_OP_FSYNC, cold);
    for (at = 0; at < CLOSE; at++)
        ops[at].user_data = (uint64_t)at;
}

/* 1 if a plain call that does the operation succeeds, whatever else the filter forbids. */
static int plain_call_succeeds(const caio_op *op)
{
    long low = (long)op->offset, high = sizeof(long) == 8 ? 0 : (long)(op->offset >> 32);
    int reads = op->opcode == CAIO_OP_READ || op->opcode == CAIO_OP_READV;
    int vectored = op->opcode == CAIO_OP_READV, current = op->offset == CAIO_OFFSET_CURRENT;
    struct iovec part, *parts = vectored ? op->buf : &part;
    unsigned long count = vectored ? (unsigned long)op->len : 1;
    struct statx stat;
    struct { uint64_t flags, mode, resolve; } how = {op->sys_flags, 0, 0};
    long fd;
    part.iov_base = op->buf;
    part.iov_len = (size_t)op->len;
    switch (op->opcode) {
    case CAIO_OP_NOP:
        return 1;
    case CAIO_OP_READ:
    case CAIO_OP_WRITE:
    case CAIO_OP_READV:
        if (!vectored && current && syscall(reads ? SYS_read : SYS_write, op->fd, op->buf, op->len) > 0)
            return 1;
        if (!vectored && !current && (reads ? pread(op->fd, op->buf, (size_t)op->len, low)
                                            : pwrite(op->fd, op->buf, (size_t)op->len, low)) > 0)
            return 1;
        if (current ? syscall(reads ? SYS_readv : SYS_writev, op->fd, parts, count) > 0
                    : syscall(reads ? SYS_preadv : SYS_pwritev, op->fd, parts, count, low, high) > 0)
            return 1;
        return syscall(reads ? SYS_preadv2 : SYS_pwritev2, op->fd, parts, count, low, high, 0) > 0;
    case CAIO_OP_FSYNC:
        return fsync(op->fd) == 0;
    case CAIO_OP_FDSYNC:
        return fdatasync(op->fd) == 0 || fsync(op->fd) == 0;
    case CAIO_OP_OPENAT:
        fd = syscall(SYS_openat, op->fd, op->buf, op->sys_flags, 0);
        if (fd < 0)
            fd = syscall(437 /* openat2 */, op->fd, op->buf, &how, sizeof how);
        if (fd < 0)
            fd = open(op->buf, (int)op->sys_flags);
        if (fd >= 0)
            close((int)fd);
        return fd >= 0;
    case CAIO_OP_STATX:
        return syscall(SYS_statx, op->fd, op->buf, op->sys_flags, op->mode, &stat) == 0;
    case CAIO_OP_CLOSE:
        return close(op->fd) == 0 || syscall(436 /* close_range */, op->fd, op->fd, 0) == 0;
    default:
        return 0;
    }
}

/* Returns 1 if the operation failed with a negative errno. */
static int judge(const caio_op *op, int64_t result)
{
    int at = (int)op->user_data;
    int reads = op->opcode == CAIO_OP_READ || op->opcode == CAIO_OP_READV;
    if (at == BLOCKED || at == TIMED) {
        if (result >= 0)
            broken("bytes from an empty pipe", result);
        return result != (at == BLOCKED ? -ECANCELED : -ETIMEDOUT);
    }
    if (result < 0 && result != -ECANCELED && compares && plain_call_succeeds(op))
        broken("a plain call does it", (long)(at * 1000 - result));
    if (result < 0)
        return 1;
    if (at == FED ? result != 1 : at <= WRITE || at == CHAIN_WRITE || at == CHAIN_READ ? result != PAGE : 0)
        broken("a result", result);
    if (reads && at != FED && memcmp(page(at), content + op->offset, PAGE) != 0)
        broken("wrong bytes", at);
    return 0;
}

/* Runs one batch to its end. Returns 1 if something failed with a negative errno. */
static int run(caio_ctx *ctx, caio_op *ops, int count, int64_t *results)
{
    caio_event events[OPS];
    int seen[OPS] = {0}, left = count, failed = 0, got, at;
    /* The denied system call may be the one that waits: then poll instead. */
    int submitted = caio_ctx_submit(ctx, ops, (uint32_t)count);
    if (submitted < 0)
        return 1;
    if (submitted != count)
        broken("submit accepted", submitted);
    if (count > BLOCKED && caio_ctx_cancel(ctx, BLOCKED) != 1)
        failed = 1; /* it failed at once */
    while (left > 0) {
        got = caio_ctx_wait(ctx, events, 1, OPS, -1);
        if (got < 0 && got != -EINTR) {
            failed = 1;
            got = caio_ctx_poll(ctx, events, OPS);
            if (got < 0)
                broken("poll", got);
        }
        for (at = 0; at < got; at++) {
            int which = (int)events[at].user_data;
            if (which < 0 || which >= OPS || seen[which]++ > 0)
                broken("an event too many", which);
            results[which] = events[at].result;
            failed |= judge(&ops[count == 1 ? 0 : which], events[at].result);
            left--;
        }
    }
    if (caio_ctx_poll(ctx, events, OPS) > 0)
        broken("an event too many", (long)events[0].user_data);
    return failed;
}

static int run_round(caio_ctx *ctx, unsigned round)
{
    caio_op ops[OPS];
    struct iovec parts[2];
    struct statx stat;
    int64_t results[OPS];
    int failed;
    results[OPEN] = -1;
    posix_fadvise(cold, 0, 0, POSIX_FADV_DONTNEED);
    make_round(ops, parts, &stat, round);
    failed = run(ctx, ops, CLOSE, results);
    if (results[OPEN] >= 0) {
        ops[0] = of(CAIO_OP_CLOSE, (int)results[OPEN]);
        ops[0].user_data = CLOSE;
        failed |= run(ctx, ops, 1, results);
    }
    return failed;
}

static int make_context(caio_ctx **ctx, uint32_t backend, uint32_t flags)
{
    caio_options options = CAIO_OPTIONS_INIT;
    options.backend = backend;
    options.flags = flags;
    options.threads = 3;
    return caio_ctx_new(&options, ctx);
}

int main(int argc, char **argv)
{
    caio_ctx *ctx, *second;
    caio_stats stats;
    unsigned round, rounds, failed = 0;
    char line[128];
    int error;
    if (argc < 5)
        return 2;
    rounds = (unsigned)atoi(argv[4]);
    set_up(argv[3]);
    alarm(PATIENCE_S);
    if (argc > 6)
        forbid(atoi(argv[5]), atoi(argv[6]));
    compares = argc > 7;
    limit_memory();
    if (write(-1, "begin", 5) == 5)
        broken("begin", 0);
    error = make_context(&ctx, (uint32_t)atoi(argv[1]), (uint32_t)atoi(argv[2]));
    if (error < 0) {
        snprintf(line, sizeof line, "no context: %d\n", error);
        say(line);
        return NO_CONTEXT;
    }
    for (round = 0; round < rounds; round++)
        failed += (unsigned)run_round(ctx, round);
    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    if (caio_ctx_stats(ctx, &stats) != 0 || stats.inflight != 0 || stats.submitted != stats.completed)
        broken("stats", (long)stats.inflight);
    error = make_context(&second, (uint32_t)atoi(argv[1]), (uint32_t)atoi(argv[2]));
    if (error == 0)
        caio_ctx_free(second);
    caio_ctx_free(ctx);
    snprintf(line, sizeof line, "rounds %u, failed %u, again %d\n", rounds, failed, error);
    say(line);
    return 0;
}
