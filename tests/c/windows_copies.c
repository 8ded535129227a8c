/* Copies between files, and from files to pipes and sockets, on Windows. Argument: the flags of the contexts. */
#include "windows_ops.h"
#include "windows_pairs.h"

enum { BIG = 3 << 20 };

static char big[BIG], back[BIG];

static caio_op copy_op(uint8_t opcode, int from, uint64_t offset, int to, uint64_t len)
{
    caio_op op = make_op(opcode, from);
    op.offset = offset;
    op.mode = (uint32_t)to;
    op.len = len;
    return op;
}

static int file_with(const char *path, const char *text)
{
    int fd = open_new(path);
    EXPECT(put(fd, text, 0), strlen(text));
    return fd;
}

static void submit(caio_op op, uint64_t user_data)
{
    op.user_data = user_data;
    EXPECT(caio_ctx_submit(ctx, &op, 1), 1);
}

static void ranges_are_copied_between_files(void)
{
    int from = file_with("from", "0123456789"), to = file_with("to", "abcdefghij");
    uint64_t offset = 2;
    caio_op op = copy_op(CAIO_OP_COPY_RANGE, from, 3, to, 4);
    op.buf2 = &offset;
    EXPECT(run_op(ctx, op), 4);
    expect_text(to, "ab3456ghij");
    EXPECT(offset, 2);
    /* Without offsets, both positions move. */
    EXPECT(run_op(ctx, copy_op(CAIO_OP_COPY_RANGE, from, CAIO_OFFSET_CURRENT, to, 3)), 3);
    expect_text(to, "012456ghij");
    EXPECT(close_fd(from), 0);
    EXPECT(close_fd(to), 0);
}

static void a_copy_ends_at_the_end_of_the_file(void)
{
    int from = file_with("short", "0123456789"), to = open_new("copy");
    uint64_t offset = 0;
    caio_op op = copy_op(CAIO_OP_COPY_RANGE, from, 7, to, 100);
    op.buf2 = &offset;
    op.flags = CAIO_FLAG_FULL;
    EXPECT(run_op(ctx, op), 3);
    op.offset = 10;
    EXPECT(run_op(ctx, op), 0);
    EXPECT(run_op(ctx, copy_op(CAIO_OP_SENDFILE, from, 0, to, 5)), 5);
    EXPECT(run_op(ctx, copy_op(CAIO_OP_SENDFILE, from, 5, to, 100)), 5);
    expect_text(to, "0123456789");
    EXPECT(run_op(ctx, copy_op(CAIO_OP_COPY_RANGE, 0x7ffffffc, 0, to, 5)), -EBADF);
    EXPECT(run_op(ctx, copy_op(CAIO_OP_COPY_RANGE, from, 0, 0x7ffffffc, 5)), -EBADF);
    op = copy_op(CAIO_OP_COPY_RANGE, from, 0, from, 5);
    op.buf2 = &offset;
    EXPECT(run_op(ctx, op), -EINVAL); /* the ranges overlap */
    EXPECT(close_fd(from), 0);
    EXPECT(close_fd(to), 0);
}

static void a_file_is_sent_to_a_stream(void (*make)(int *))
{
    int from = open_new("big"), ends[2];
    caio_op read, send;
    caio_event event;
    make(ends);
    for (int i = 0; i < BIG; i++)
        big[i] = (char)(i * 31 >> 4);
    memset(back, 0, sizeof back);
    EXPECT(run_op(ctx, transfer(CAIO_OP_WRITE, from, big, BIG, 0)), BIG);
    EXPECT(lseek(from, 1000, SEEK_SET), 1000);
    send = copy_op(CAIO_OP_SENDFILE, from, CAIO_OFFSET_CURRENT, ends[1], BIG);
    send.flags = CAIO_FLAG_FULL;
    read = transfer(CAIO_OP_READ, ends[0], back, BIG - 1000, CAIO_OFFSET_CURRENT);
    read.flags = CAIO_FLAG_FULL;
    submit(send, 1);
    EXPECT(run_op(ctx, make_op(CAIO_OP_NOP, -1)), 0); /* it holds nothing up */
    submit(read, 2);
    for (int left = 2; left > 0; left--) {
        EXPECT(caio_ctx_wait(ctx, &event, 1, 1, 60 * SECOND), 1);
        EXPECT(event.result, BIG - 1000);
    }
    CHECK(memcmp(big + 1000, back, BIG - 1000) == 0);
    EXPECT(lseek(from, 0, SEEK_CUR), BIG);
    EXPECT(run_op(ctx, copy_op(CAIO_OP_COPY_RANGE, from, 7, ends[1], 9)), 9);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, ends[0], back, 9, CAIO_OFFSET_CURRENT)), 9);
    CHECK(memcmp(big + 7, back, 9) == 0);
    EXPECT(run_op(ctx, copy_op(CAIO_OP_SENDFILE, ends[0], 0, ends[1], 9)), -ESPIPE);
    EXPECT(run_op(ctx, copy_op(CAIO_OP_SENDFILE, from, BIG, ends[1], 9)), 0);
    EXPECT(run_op(ctx, copy_op(CAIO_OP_SENDFILE, from, 0, ends[1], 0)), 0);
    EXPECT(close_fd(ends[0]), 0);
    EXPECT(close_fd(ends[1]), 0);
    EXPECT(close_fd(from), 0);
}

/* A pipe that nothing reads is soon full. */
static void a_copy_that_waits_is_stopped(void (*make)(int *))
{
    int from = open_new("stopped"), ends[2];
    caio_op send;
    int64_t result;
    make(ends);
    EXPECT(run_op(ctx, transfer(CAIO_OP_WRITE, from, big, BIG, 0)), BIG);
    send = copy_op(CAIO_OP_SENDFILE, from, 0, ends[1], BIG);
    submit(send, 1);
    Sleep(100);
    EXPECT(run_op(ctx, make_op(CAIO_OP_NOP, -1)), 0);
    EXPECT(caio_ctx_cancel(ctx, 1), 1);
    result = result_of(ctx, 1);
    CHECK(result == -ECANCELED || (result > 0 && result < BIG));
    send.timeout_ns = SECOND / 20;
    result = run_op(ctx, send);
    CHECK(result == -ETIMEDOUT || (result > 0 && result < BIG));
    /* The context is freed while one waits. */
    send.timeout_ns = 0;
    submit(send, 2);
    Sleep(50);
    caio_ctx_free(ctx);
    CHECK(CloseHandle(handle_of(from)));
    if (make == tcp) {
        CHECK(closesocket((SOCKET)ends[0]) == 0 && closesocket((SOCKET)ends[1]) == 0);
    } else {
        CHECK(CloseHandle(handle_of(ends[0])) && CloseHandle(handle_of(ends[1])));
    }
}

static void a_chain_opens_what_it_sends(int ends[2])
{
    caio_op ops[3];
    caio_event events[3];
    char buf[8] = "";
    EXPECT(close_fd(file_with("sent", "content")), 0);
    ops[0] = path_op(CAIO_OP_OPENAT, AT_FDCWD, "sent");
    ops[1] = copy_op(CAIO_OP_SENDFILE, CAIO_FD_OPENED, 0, ends[1], 7);
    ops[2] = make_op(CAIO_OP_CLOSE, CAIO_FD_OPENED);
    ops[0].flags = ops[1].flags = CAIO_FLAG_LINK;
    EXPECT(caio_ctx_submit(ctx, ops, 3), 3);
    EXPECT(caio_ctx_wait(ctx, events, 3, 3, 60 * SECOND), 3);
    EXPECT(events[0].result + events[1].result + events[2].result, 7);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, ends[0], buf, 7, CAIO_OFFSET_CURRENT)), 7);
    CHECK(strcmp(buf, "content") == 0);
    EXPECT(close_fd(ends[0]), 0);
    EXPECT(close_fd(ends[1]), 0);
}

int main(int argc, char **argv)
{
    static void (*const streams[])(int *) = {byte_pipe, anonymous_pipe, tcp};
    uint32_t flags = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    int ends[2];
    start_sockets();
    for (int i = 0; i < 3; i++) {
        ctx = make_ctx(CAIO_BACKEND_THREAD, flags);
        ranges_are_copied_between_files();
        a_copy_ends_at_the_end_of_the_file();
        a_file_is_sent_to_a_stream(streams[i]);
        streams[i](ends);
        a_chain_opens_what_it_sends(ends);
        a_copy_that_waits_is_stopped(streams[i]); /* frees the context */
        printf("ok: %d\n", i);
    }
    puts("5 passed");
    return 0;
}
