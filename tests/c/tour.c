/* Uses every function and every opcode once. Argument: backend. Run it in a writable directory. It is compiled as C and as C++. */
#include "check.h"

static void about_the_library(uint32_t backend)
{
    char why[256];
    EXPECT(caio_version(), CAIO_VERSION_MAJOR << 16 | CAIO_VERSION_MINOR << 8 | CAIO_VERSION_PATCH);
    CHECK(strlen(caio_strerror(-ENOENT)) > 0 && strcmp(caio_strerror(ENOENT), caio_strerror(-ENOENT)) == 0);
    CHECK(strcmp(caio_backend_name(CAIO_BACKEND_LINUX), "linux") == 0);
    CHECK(caio_backend_name(99) == NULL);
    EXPECT(caio_backend_probe(backend, why, sizeof why), 0);
    CHECK(strlen(why) > 0);
}

static void getters(caio_ctx *ctx, uint32_t backend)
{
    caio_stats stats;
    CHECK(backend == CAIO_BACKEND_AUTO || caio_ctx_backend(ctx) == (int)backend);
    EXPECT(caio_ctx_max_requests(ctx), 512);
    CHECK(fcntl(caio_ctx_eventfd(ctx), F_GETFD) & FD_CLOEXEC);
    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    EXPECT(caio_ctx_stats(ctx, &stats), 0);
    EXPECT(stats.submitted, 0);
}

static void transfers(caio_ctx *ctx, int fd)
{
    static const char text[] = "Hello from async world";
    const uint64_t len = sizeof text;
    char part1[6] = "", part2[64] = "";
    struct iovec both[2];
    EXPECT(run_op(ctx, make_op(CAIO_OP_NOP, -1)), 0);
    EXPECT(run_op(ctx, transfer(CAIO_OP_WRITE, fd, text, len, 0)), len);

    both[0].iov_base = part1;
    both[0].iov_len = sizeof part1;
    both[1].iov_base = part2;
    both[1].iov_len = sizeof part2;
    EXPECT(run_op(ctx, transfer(CAIO_OP_READV, fd, both, 2, 0)), len);
    CHECK(memcmp(part1, "Hello ", 6) == 0 && strcmp(part2, "from async world") == 0);

    both[1].iov_len = 4;
    EXPECT(run_op(ctx, transfer(CAIO_OP_WRITEV, fd, both, 2, 100)), 10);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, fd, part2, 64, 100)), 10);
    CHECK(memcmp(part2, "Hello from", 10) == 0);

    EXPECT(lseek(fd, 6, SEEK_SET), 6);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, fd, part2, 4, CAIO_OFFSET_CURRENT)), 4);
    EXPECT(lseek(fd, 0, SEEK_CUR), 10);
}

static void space_and_sync(caio_ctx *ctx, int fd)
{
    caio_op truncate = make_op(CAIO_OP_TRUNCATE, fd);
    struct stat st;
    EXPECT(run_op(ctx, make_op(CAIO_OP_FSYNC, fd)), 0);
    EXPECT(run_op(ctx, make_op(CAIO_OP_FDSYNC, fd)), 0);
    EXPECT(run_op(ctx, transfer(CAIO_OP_SYNC_RANGE, fd, NULL, 4096, 0)), 0);
    EXPECT(run_op(ctx, transfer(CAIO_OP_ALLOCATE, fd, NULL, 8192, 0)), 0);
    EXPECT(fstat(fd, &st), 0);
    EXPECT(st.st_size, 8192);
    truncate.offset = 5;
    EXPECT(run_op(ctx, truncate), 0);
    EXPECT(fstat(fd, &st), 0);
    EXPECT(st.st_size, 5);
}

static caio_op path_op(uint8_t opcode, const char *path)
{
    caio_op op = make_op(opcode, AT_FDCWD);
    op.buf = (void *)path;
    return op;
}

static int open_file(caio_ctx *ctx, const char *path)
{
    caio_op open = path_op(CAIO_OP_OPENAT, path);
    int64_t fd;
    open.sys_flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
    open.mode = 0600;
    fd = run_op(ctx, open);
    CHECK(fd >= 0);
    return (int)fd;
}

static void paths(caio_ctx *ctx)
{
    struct statx st;
    caio_op statx = path_op(CAIO_OP_STATX, "tour-folder");
    caio_op rename = path_op(CAIO_OP_RENAMEAT, "tour-folder");
    caio_op mkdir = path_op(CAIO_OP_MKDIRAT, "tour-folder");
    caio_op unlink = path_op(CAIO_OP_UNLINKAT, "tour-renamed");
    mkdir.mode = 0700;
    EXPECT(run_op(ctx, mkdir), 0);
    EXPECT(run_op(ctx, mkdir), -EEXIST);
    statx.mode = STATX_BASIC_STATS;
    statx.buf2 = &st;
    EXPECT(run_op(ctx, statx), 0);
    CHECK(S_ISDIR(st.stx_mode));
    rename.buf2 = (void *)"tour-renamed";
    EXPECT(run_op(ctx, rename), 0);
    unlink.sys_flags = AT_REMOVEDIR;
    EXPECT(run_op(ctx, unlink), 0);
    EXPECT(run_op(ctx, statx), -ENOENT);
}

static void a_chain(caio_ctx *ctx, int fd)
{
    static const char text[] = "linked";
    char back[16] = "";
    uint64_t seen = 0;
    caio_event events[3];
    caio_op ops[3];
    ops[0] = transfer(CAIO_OP_WRITE, fd, text, sizeof text, 0);
    ops[1] = make_op(CAIO_OP_FDSYNC, fd);
    ops[2] = transfer(CAIO_OP_READ, fd, back, sizeof text, 0);
    ops[0].flags = ops[1].flags = CAIO_FLAG_LINK;
    ops[2].flags = CAIO_FLAG_FULL;
    for (int i = 0; i < 3; i++)
        ops[i].user_data = (uint64_t)1 << i;
    EXPECT(caio_ctx_submit(ctx, ops, 3), 3);
    for (int left = 3; left > 0;) {
        int got = caio_ctx_wait(ctx, events, 1, 3, 60 * SECOND);
        CHECK(got > 0);
        for (int i = 0; i < got; i++) {
            CHECK(events[i].result >= 0);
            seen |= events[i].user_data;
        }
        left -= got;
    }
    EXPECT(seen, 7);
    CHECK(strcmp(back, text) == 0);
}

static void an_event_loop(caio_ctx *ctx, int fd)
{
    char buf[8] = "";
    caio_event event;
    uint32_t polled = 99;
    caio_op op = transfer(CAIO_OP_READ, fd, buf, 6, 0);
    struct pollfd ready;
    op.user_data = 5;
    EXPECT(caio_ctx_submit_poll(ctx, &op, 1, &event, 1, &polled), 1);
    if (polled == 0) {
        ready.fd = caio_ctx_eventfd(ctx);
        ready.events = POLLIN;
        do {
            EXPECT(poll(&ready, 1, 60000), 1);
            polled = (uint32_t)caio_ctx_poll(ctx, &event, 1);
        } while (polled == 0); /* a spurious wake-up is harmless */
    }
    EXPECT(polled, 1);
    EXPECT(event.user_data, 5);
    EXPECT(event.result, 6);
    EXPECT(caio_ctx_wake(ctx), 0);
    EXPECT(caio_ctx_wait(ctx, &event, 1, 1, -1), 0);
}

static void cancelling(caio_ctx *ctx)
{
    char byte = 0;
    int ends[2];
    caio_op op;
    EXPECT(pipe2(ends, O_CLOEXEC), 0);
    op = transfer(CAIO_OP_READ, ends[0], &byte, 1, CAIO_OFFSET_CURRENT);
    op.user_data = 21;
    EXPECT(caio_ctx_cancel(ctx, 21), -ENOENT);
    EXPECT(caio_ctx_submit(ctx, &op, 1), 1);
    EXPECT(caio_ctx_cancel(ctx, 21), 1);
    EXPECT(result_of(ctx, 21), -ECANCELED);
    EXPECT(caio_ctx_submit(ctx, &op, 1), 1);
    EXPECT(caio_ctx_cancel_fd(ctx, ends[0]), 1);
    EXPECT(result_of(ctx, 21), -ECANCELED);
    EXPECT(caio_ctx_submit(ctx, &op, 1), 1);
    EXPECT(caio_ctx_cancel_all(ctx), 1);
    EXPECT(result_of(ctx, 21), -ECANCELED);
    op.timeout_ns = 1000000;
    EXPECT(run_op(ctx, op), -ETIMEDOUT);
    EXPECT(caio_ctx_cancel_all(ctx), 0);
    op.timeout_ns = 0;
    EXPECT(caio_ctx_submit(ctx, &op, 1), 1); /* caio_ctx_free cancels it */
}

int main(int argc, char **argv)
{
    uint32_t backend = backend_argument(argc, argv);
    caio_ctx *ctx;
    caio_op unlink = path_op(CAIO_OP_UNLINKAT, "tour-file");
    int fd;
    about_the_library(backend);
    ctx = make_ctx(backend, argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0);
    getters(ctx, backend);
    fd = open_file(ctx, "tour-file");
    transfers(ctx, fd);
    space_and_sync(ctx, fd);
    a_chain(ctx, fd);
    an_event_loop(ctx, fd);
    paths(ctx);
    EXPECT(run_op(ctx, unlink), 0);
    EXPECT(run_op(ctx, make_op(CAIO_OP_CLOSE, fd)), 0);
    EXPECT(fcntl(fd, F_GETFD), -1);
    cancelling(ctx);
    caio_ctx_free(ctx);
    caio_ctx_free(NULL);
    return 0;
}
