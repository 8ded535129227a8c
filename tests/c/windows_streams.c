/* Pipes and sockets on Windows, and what an event loop waits for. Argument: the flags of the contexts. */
#include "windows_pairs.h"

enum { MANY = 100 };

static uint32_t flags;

static caio_op current(uint8_t opcode, int fd, const void *buf, uint64_t len)
{
    return transfer(opcode, fd, buf, len, CAIO_OFFSET_CURRENT);
}

static void submit(caio_ctx *ctx, caio_op op, uint64_t user_data)
{
    op.user_data = user_data;
    EXPECT(caio_ctx_submit(ctx, &op, 1), 1);
}

static void close_both(caio_ctx *ctx, const int ends[2])
{
    EXPECT(run_op(ctx, make_op(CAIO_OP_CLOSE, ends[0])), 0);
    EXPECT(run_op(ctx, make_op(CAIO_OP_CLOSE, ends[1])), 0);
}

static void a_read_waits_for_data_and_can_be_stopped(void (*make)(int *))
{
    caio_ctx *ctx = make_ctx(CAIO_BACKEND_THREAD, flags);
    char buf[16] = "";
    struct iovec parts[2] = {{buf, 3}, {buf + 3, 13}};
    caio_event event;
    int ends[2];
    caio_op op;
    make(ends);

    submit(ctx, current(CAIO_OP_READ, ends[0], buf, 16), 1);
    EXPECT(caio_ctx_wait(ctx, &event, 1, 1, SECOND / 50), 0);
    EXPECT(run_op(ctx, make_op(CAIO_OP_NOP, -1)), 0);
    op = current(CAIO_OP_WRITE, ends[1], "hello", 5);
    submit(ctx, op, 2);
    for (int seen = 0; seen != 3;) {
        EXPECT(caio_ctx_wait(ctx, &event, 1, 1, 60 * SECOND), 1);
        EXPECT(event.result, 5);
        seen |= (int)event.user_data;
    }
    CHECK(memcmp(buf, "hello", 5) == 0);

    /* What is cancelled takes nothing. */
    submit(ctx, current(CAIO_OP_READ, ends[0], buf, 16), 3);
    EXPECT(caio_ctx_wait(ctx, &event, 1, 1, SECOND / 50), 0);
    EXPECT(caio_ctx_cancel(ctx, 3), 1);
    EXPECT(result_of(ctx, 3), -ECANCELED);
    op = current(CAIO_OP_READ, ends[0], buf, 16);
    op.timeout_ns = SECOND / 50;
    EXPECT(run_op(ctx, op), -ETIMEDOUT);
    EXPECT(run_op(ctx, current(CAIO_OP_WRITE, ends[1], "kept", 4)), 4);
    EXPECT(run_op(ctx, current(CAIO_OP_READV, ends[0], parts, 2)), 4);
    CHECK(memcmp(buf, "kept", 4) == 0);

    /* FULL keeps what it has moved when it is stopped. */
    op = current(CAIO_OP_READ, ends[0], buf, 16);
    op.flags = CAIO_FLAG_FULL;
    submit(ctx, op, 4);
    EXPECT(run_op(ctx, make_op(CAIO_OP_NOP, -1)), 0);
    EXPECT(run_op(ctx, current(CAIO_OP_WRITE, ends[1], "12345", 5)), 5);
    EXPECT(caio_ctx_wait(ctx, &event, 1, 1, SECOND / 20), 0);
    EXPECT(caio_ctx_cancel_fd(ctx, ends[0]), 1);
    EXPECT(result_of(ctx, 4), 5);
    submit(ctx, op, 5);
    EXPECT(run_op(ctx, current(CAIO_OP_WRITE, ends[1], "12345678", 8)), 8);
    submit(ctx, current(CAIO_OP_WRITE, ends[1], "abcdefgh", 8), 6);
    for (int left = 2; left > 0; left--) {
        EXPECT(caio_ctx_wait(ctx, &event, 1, 1, 60 * SECOND), 1);
        EXPECT(event.result, event.user_data == 5 ? 16 : 8);
    }
    CHECK(memcmp(buf, "12345678abcdefgh", 16) == 0);

    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, ends[0], buf, 1, 0)), -ESPIPE);
    EXPECT(run_op(ctx, current(CAIO_OP_READ, ends[0], buf, 0)), 0);
    EXPECT(run_op(ctx, make_op(CAIO_OP_TRUNCATE, ends[0])), -EINVAL);
    close_both(ctx, ends);
    caio_ctx_free(ctx);
}

static void the_end_of_a_stream(void (*make)(int *), int error)
{
    caio_ctx *ctx = make_ctx(CAIO_BACKEND_THREAD, flags);
    char byte;
    int ends[2];
    int64_t result = 0;
    make(ends);
    EXPECT(run_op(ctx, current(CAIO_OP_WRITE, ends[1], "x", 1)), 1);
    EXPECT(run_op(ctx, make_op(CAIO_OP_CLOSE, ends[1])), 0);
    EXPECT(run_op(ctx, current(CAIO_OP_READ, ends[0], &byte, 1)), 1);
    EXPECT(run_op(ctx, current(CAIO_OP_READ, ends[0], &byte, 1)), 0);
    EXPECT(run_op(ctx, make_op(CAIO_OP_CLOSE, ends[0])), 0);
    make(ends);
    EXPECT(run_op(ctx, make_op(CAIO_OP_CLOSE, ends[0])), 0);
    for (int i = 0; i < 100 && result >= 0; i++)
        result = run_op(ctx, current(CAIO_OP_WRITE, ends[1], "x", 1));
    CHECK(result == -EPIPE || result == error);
    EXPECT(run_op(ctx, make_op(CAIO_OP_CLOSE, ends[1])), 0);
    caio_ctx_free(ctx);
}

static void datagrams_keep_their_bounds(void)
{
    caio_ctx *ctx = make_ctx(CAIO_BACKEND_THREAD, flags);
    char buf[8];
    int ends[2];
    sockets(ends, SOCK_DGRAM);
    EXPECT(run_op(ctx, current(CAIO_OP_WRITE, ends[1], "abc", 3)), 3);
    EXPECT(run_op(ctx, current(CAIO_OP_WRITE, ends[1], "", 0)), 0);
    EXPECT(run_op(ctx, current(CAIO_OP_WRITE, ends[1], "too long", 8)), 8);
    EXPECT(run_op(ctx, current(CAIO_OP_READ, ends[0], buf, 8)), 3);
    EXPECT(run_op(ctx, current(CAIO_OP_READ, ends[0], buf, 8)), 0);
    EXPECT(run_op(ctx, current(CAIO_OP_READ, ends[0], buf, 4)), 4);
    close_both(ctx, ends);
    caio_ctx_free(ctx);
}

static void messages_of_a_pipe_keep_their_bounds(void)
{
    caio_ctx *ctx = make_ctx(CAIO_BACKEND_THREAD, flags);
    char buf[8];
    int ends[2];
    duplex_pipe(ends, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE);
    EXPECT(run_op(ctx, current(CAIO_OP_WRITE, ends[1], "abc", 3)), 3);
    EXPECT(run_op(ctx, current(CAIO_OP_WRITE, ends[1], "too long", 8)), 8);
    EXPECT(run_op(ctx, current(CAIO_OP_READ, ends[0], buf, 8)), 3);
    EXPECT(run_op(ctx, current(CAIO_OP_READ, ends[0], buf, 4)), 4);
    EXPECT(run_op(ctx, current(CAIO_OP_READ, ends[0], buf, 8)), 4); /* the rest of the message */
    close_both(ctx, ends);
    caio_ctx_free(ctx);
}

static void a_pipe_can_be_read_while_it_is_written(void)
{
    caio_ctx *ctx = make_ctx(CAIO_BACKEND_THREAD, flags);
    static char big[1 << 20], back[1 << 20];
    caio_event event;
    caio_op op;
    int ends[2];
    byte_pipe(ends);
    memset(big, 'b', sizeof big);
    submit(ctx, current(CAIO_OP_READ, ends[1], back, 1), 1);
    op = current(CAIO_OP_WRITE, ends[1], big, sizeof big);
    op.flags = CAIO_FLAG_FULL;
    submit(ctx, op, 2);
    op = current(CAIO_OP_READ, ends[0], back, sizeof back);
    op.flags = CAIO_FLAG_FULL;
    submit(ctx, op, 3);
    for (int left = 2; left > 0; left--) {
        EXPECT(caio_ctx_wait(ctx, &event, 1, 1, 60 * SECOND), 1);
        CHECK(event.user_data != 1);
        EXPECT(event.result, sizeof big);
    }
    CHECK(memcmp(big, back, sizeof big) == 0);
    EXPECT(caio_ctx_cancel(ctx, 1), 1);
    EXPECT(result_of(ctx, 1), -ECANCELED);
    close_both(ctx, ends);
    caio_ctx_free(ctx);
}

/* A stream that nothing reads is soon full. */
static void a_write_that_waits_is_stopped(void (*make)(int *))
{
    static char big[8 << 20];
    caio_ctx *ctx = make_ctx(CAIO_BACKEND_THREAD, flags);
    caio_op op;
    caio_event event;
    int ends[2];
    int64_t result;
    make(ends);
    op = current(CAIO_OP_WRITE, ends[1], big, sizeof big);
    submit(ctx, op, 1);
    EXPECT(caio_ctx_wait(ctx, &event, 1, 1, SECOND / 20), 0);
    EXPECT(caio_ctx_cancel(ctx, 1), 1);
    result = result_of(ctx, 1);
    CHECK(result == -ECANCELED || (result > 0 && result < (int64_t)sizeof big));
    op.timeout_ns = SECOND / 20;
    op.flags = CAIO_FLAG_FULL;
    result = run_op(ctx, op);
    CHECK(result == -ETIMEDOUT || (result > 0 && result < (int64_t)sizeof big));
    close_both(ctx, ends);
    caio_ctx_free(ctx);
}

static void blocked_reads_hold_nothing_up(void)
{
    caio_ctx *ctx = make_ctx(CAIO_BACKEND_THREAD, flags);
    static char bytes[MANY];
    static int ends[MANY][2];
    caio_op open = make_op(CAIO_OP_OPENAT, AT_FDCWD);
    for (int i = 0; i < MANY; i++) {
        i % 2 ? byte_pipe(ends[i]) : anonymous_pipe(ends[i]);
        submit(ctx, current(CAIO_OP_READ, ends[i][0], bytes + i, 1), (uint64_t)i);
    }
    open.buf = (void *)"beside";
    open.sys_flags = O_RDWR | O_CREAT;
    open.mode = 0600;
    EXPECT(run_op(ctx, make_op(CAIO_OP_CLOSE, (int)run_op(ctx, open))), 0);
    submit(ctx, current(CAIO_OP_WRITE, ends[7][1], "x", 1), MANY);
    for (uint64_t seen = 0; seen != 7 + MANY;) { /* in either order */
        caio_event event;
        EXPECT(caio_ctx_wait(ctx, &event, 1, 1, 60 * SECOND), 1);
        EXPECT(event.result, 1);
        seen += event.user_data;
    }
    caio_ctx_free(ctx); /* stops the others */
    for (int i = 0; i < MANY; i++) {
        EXPECT(bytes[i], i == 7 ? 'x' : 0);
        CHECK(CloseHandle(handle_of(ends[i][0])) && CloseHandle(handle_of(ends[i][1])));
    }
}

static int readable(int fd, int patience_ms)
{
    struct pollfd_of_int ready = {fd, 0, 0};
    return poll_sockets(&ready, 1, patience_ms);
}

static void loops_see_a_completion_until_it_is_taken(void)
{
    caio_ctx *ctx = make_ctx(CAIO_BACKEND_THREAD, flags | CAIO_CTX_NO_INLINE);
    caio_event events[2];
    void *handle;
    int fd = caio_ctx_eventfd(ctx);
    CHECK(fd > 0);
    EXPECT(caio_ctx_eventfd(ctx), fd);
    EXPECT(caio_ctx_event_handle(ctx, &handle), 0);
    EXPECT(caio_ctx_event_handle(ctx, NULL), -EINVAL);
    for (int round = 0; round < 100; round++) {
        EXPECT(readable(fd, 0), 0);
        EXPECT(WaitForSingleObject(handle, 0), WAIT_TIMEOUT);
        submit(ctx, make_op(CAIO_OP_NOP, -1), 1);
        submit(ctx, make_op(CAIO_OP_NOP, -1), 2);
        EXPECT(WaitForSingleObject(handle, 60000), WAIT_OBJECT_0);
        EXPECT(readable(fd, 60000), 1);
        while (caio_ctx_poll(ctx, events, 1) == 0)
            ;
        EXPECT(WaitForSingleObject(handle, 60000), WAIT_OBJECT_0);
        EXPECT(readable(fd, 60000), 1);
        EXPECT(caio_ctx_wait(ctx, events, 1, 2, 60 * SECOND), 1);
    }
    EXPECT(readable(fd, 0), 0);
    EXPECT(WaitForSingleObject(handle, 0), WAIT_TIMEOUT);
    caio_ctx_free(ctx);
}

static void a_socket_that_is_asked_for_late_shows_what_is_pending(void)
{
    caio_ctx *ctx = make_ctx(CAIO_BACKEND_THREAD, flags | CAIO_CTX_NO_INLINE);
    caio_event event;
    caio_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    submit(ctx, make_op(CAIO_OP_NOP, -1), 1);
    do
        EXPECT(caio_ctx_stats(ctx, &stats), 0);
    while (stats.completed == 0);
    EXPECT(readable(caio_ctx_eventfd(ctx), 60000), 1);
    EXPECT(caio_ctx_poll(ctx, &event, 1), 1);
    EXPECT(readable(caio_ctx_eventfd(ctx), 0), 0);
    caio_ctx_free(ctx);
}

static DWORD WINAPI wake_soon(void *ctx)
{
    Sleep(20);
    EXPECT(caio_ctx_wake((caio_ctx *)ctx), 0);
    return 0;
}

static void a_wait_ends_with_a_wake_or_its_time(void)
{
    caio_ctx *ctx = make_ctx(CAIO_BACKEND_THREAD, flags);
    caio_event events[2];
    HANDLE thread;
    EXPECT(caio_ctx_wait(ctx, events, 1, 1, SECOND / 50), 0);
    EXPECT(caio_ctx_wake(ctx), 0);
    EXPECT(caio_ctx_wait(ctx, events, 1, 1, -1), 0);
    submit(ctx, make_op(CAIO_OP_NOP, -1), 1);
    thread = CreateThread(NULL, 0, wake_soon, ctx, 0, NULL);
    EXPECT(caio_ctx_wait(ctx, events, 2, 2, -1), 1);
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
    caio_ctx_free(ctx);
}

enum { THREADS = 4, EACH = 500 };

static DWORD WINAPI submit_many(void *ctx)
{
    for (int i = 0; i < EACH; i++)
        submit((caio_ctx *)ctx, make_op(CAIO_OP_NOP, -1), 1);
    return 0;
}

static void every_operation_of_every_thread_has_one_event(void)
{
    caio_options options = CAIO_OPTIONS_INIT;
    caio_ctx *ctx;
    caio_event events[64];
    HANDLE threads[THREADS];
    int seen = 0;
    options.max_requests = THREADS * EACH;
    options.flags = flags;
    EXPECT(caio_ctx_new(&options, &ctx), 0);
    for (int i = 0; i < THREADS; i++)
        threads[i] = CreateThread(NULL, 0, submit_many, ctx, 0, NULL);
    while (seen < THREADS * EACH) {
        int got = caio_ctx_wait(ctx, events, 1 + seen % 2, 64, 60 * SECOND);
        CHECK(got > 0 || seen == THREADS * EACH);
        seen += got;
        if (seen == THREADS * EACH - 1)
            seen += caio_ctx_wait(ctx, events, 1, 64, 60 * SECOND);
    }
    EXPECT(caio_ctx_wait(ctx, events, 1, 1, SECOND / 50), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(WaitForSingleObject(threads[i], INFINITE) == 0 && CloseHandle(threads[i]));
    caio_ctx_free(ctx);
}

int main(int argc, char **argv)
{
    flags = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    start_sockets();
    a_read_waits_for_data_and_can_be_stopped(byte_pipe);
    puts("ok: overlapped pipes");
    a_read_waits_for_data_and_can_be_stopped(tcp);
    puts("ok: sockets");
    a_read_waits_for_data_and_can_be_stopped(anonymous_pipe);
    puts("ok: pipes of synchronous use");
    the_end_of_a_stream(byte_pipe, -EPIPE);
    the_end_of_a_stream(anonymous_pipe, -EPIPE);
    the_end_of_a_stream(tcp, -ECONNRESET);
    datagrams_keep_their_bounds();
    messages_of_a_pipe_keep_their_bounds();
    a_pipe_can_be_read_while_it_is_written();
    a_write_that_waits_is_stopped(byte_pipe);
    a_write_that_waits_is_stopped(anonymous_pipe);
    a_write_that_waits_is_stopped(tcp);
    puts("ok: streams");
    blocked_reads_hold_nothing_up();
    loops_see_a_completion_until_it_is_taken();
    a_socket_that_is_asked_for_late_shows_what_is_pending();
    a_wait_ends_with_a_wake_or_its_time();
    every_operation_of_every_thread_has_one_event();
    puts("15 passed");
    return 0;
}
