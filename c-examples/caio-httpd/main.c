/* Serves the files below a directory: caio-httpd [-a ADDRESS] [-p PORT] DIRECTORY
 *
 * One thread and one epoll loop, which makes no call that waits for a disk or for a slow client. A request is one chain: open,
 * statx, and a read of the first 64 KiB. The rest of a larger file goes to the socket by CAIO_OP_SENDFILE. At the end it prints
 * the longest time between two calls of epoll_wait(2), and the most that it ran between two. Other programs had the rest. */
#include "httpd.h"
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DESCRIPTORS = 8192, BATCH = 256, FIRST_READ = 64 << 10, IDLE_SECONDS = 30, SWEEP_SECONDS = 5 };
enum { SUBMIT_MOST = 3 * (1 << 20) / FIRST_READ }; /* a submit copies at most 1 MiB of cached data, worker threads the rest */

/* user_data is the number of the socket, times OPERATIONS, plus one of these. */
enum operation { OPEN, STAT, READ, SEND, CLOSE, OPERATIONS };

struct connection {
    int socket, file;      /* the file is -1 if none is open */
    bool in_use, readable; /* readable: recv(2) may have bytes */
    unsigned pending;      /* operations without CLOSE; if 0, the connection waits for its socket */
    int64_t result[CLOSE]; /* of the operations */
    double active;         /* the turn of the loop when the client last did something */
    char *unsent;          /* the rest of the response in memory */
    size_t unsent_length;
    struct part rest;      /* of the file; comes after it */
    size_t received, used; /* bytes in `text`, and those of the current request */
    struct statx attributes;
    struct request request;
    char text[REQUEST_MOST], data[HEAD_MOST + FIRST_READ];
};

static struct connection *connections[DESCRIPTORS]; /* by the number of the socket; kept for the next one with it */
static caio_op queue[DESCRIPTORS * 4];
static uint32_t queued;
static caio_ctx *ctx;
static int root, loop;
static unsigned long long served;
static double turn, longest_turn, longest_run;

static int checked(int result, const char *what)
{
    if (result < 0)
        err(1, "%s", what);
    return result;
}

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static int watch(int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
}

/* Queues an operation until the end of a turn of the loop. */
static void enqueue(struct connection *c, enum operation operation, caio_op op)
{
    op.user_data = (uint64_t)c->socket * OPERATIONS + operation;
    queue[queued++] = op;
    c->pending += operation != CLOSE;
}

/* O_NONBLOCK: a FIFO must not hold the open. */
static void open_file(struct connection *c)
{
    static struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_BENEATH};
    enqueue(c, OPEN, (caio_op){.opcode = CAIO_OP_OPENAT2, .flags = CAIO_FLAG_LINK, .fd = root, .buf2 = &how, .len = sizeof how,
                               .buf = c->request.path + strspn(c->request.path, "/")});
    enqueue(c, STAT, (caio_op){.opcode = CAIO_OP_STATX, .flags = CAIO_FLAG_LINK, .fd = CAIO_FD_OPENED, .buf2 = &c->attributes,
                               .buf = "", .sys_flags = AT_EMPTY_PATH, .mode = STATX_TYPE | STATX_SIZE | STATX_MTIME});
    enqueue(c, READ, (caio_op){.opcode = CAIO_OP_READ, .flags = CAIO_FLAG_FULL, .fd = CAIO_FD_OPENED, .buf = c->data + HEAD_MOST,
                               .len = FIRST_READ});
}

static void hang_up(struct connection *c)
{
    /* With unread bytes, close(2) would reset the connection, and the client might lose the response. */
    shutdown(c->socket, SHUT_WR);
    for (int i = 0; i < 16 && recv(c->socket, c->text, REQUEST_MOST, MSG_DONTWAIT) > 0; i++)
        ;
    close(c->socket);
    c->in_use = false;
}

static void receive(struct connection *c);

/* The response has been sent, or cannot be. */
static void finish(struct connection *c, bool sent)
{
    if (c->file >= 0)
        enqueue(c, CLOSE, (caio_op){.opcode = CAIO_OP_CLOSE, .fd = c->file});
    c->file = -1;
    served++;
    c->received -= c->used;
    memmove(c->text, c->text + c->used, c->received);
    if (sent && c->request.keep_alive)
        receive(c);
    else
        hang_up(c);
}

/* Counts the bytes that were sent, and sends the next part. A slow client makes the operation wait, but no thread. */
static void send_rest(struct connection *c, int64_t sent)
{
    uint64_t timeout = IDLE_SECONDS * 1000000000ULL;
    if (c->unsent_length > 0) {
        c->unsent += sent;
        c->unsent_length -= (size_t)sent;
    } else {
        c->rest.start += sent;
    }
    if (c->unsent_length > 0)
        enqueue(c, SEND, (caio_op){.opcode = CAIO_OP_WRITE, .fd = c->socket, .buf = c->unsent, .len = c->unsent_length,
                                   .offset = CAIO_OFFSET_CURRENT, .timeout_ns = timeout});
    else if (c->rest.start < c->rest.end)
        enqueue(c, SEND, (caio_op){.opcode = CAIO_OP_SENDFILE, .fd = c->file, .len = (uint64_t)(c->rest.end - c->rest.start),
                                   .offset = (uint64_t)c->rest.start, .mode = (uint32_t)c->socket, .timeout_ns = timeout});
    else
        finish(c, true);
}

/* Sends at once what the socket takes. The head goes right before the bytes of the file that are in memory. */
static void respond(struct connection *c, int status)
{
    char head[HEAD_MOST];
    size_t length = write_head(head, &c->request, status, &c->attributes, &c->rest);
    int64_t start = c->rest.start, end = status == 200 && c->result[READ] < c->rest.end ? c->result[READ] : c->rest.end;
    if (start < end)
        c->rest.start = end;
    c->unsent = memcpy(c->data + HEAD_MOST + (start < end ? start : 0) - length, head, length);
    c->unsent_length = length + (size_t)(c->rest.start - start);
    int more = c->rest.start < c->rest.end ? MSG_MORE : 0;
    ssize_t sent = send(c->socket, c->unsent, c->unsent_length, MSG_DONTWAIT | MSG_NOSIGNAL | more);
    send_rest(c, sent > 0 ? sent : 0); /* an operation waits, or meets the error again */
}

/* The open, and what is linked to it, have completed. */
static void opened(struct connection *c)
{
    int64_t *result = c->result, error = result[OPEN] < 0 ? result[OPEN] : result[STAT] < 0 ? result[STAT] : result[READ];
    mode_t kind = result[STAT] < 0 ? 0 : c->attributes.stx_mode & S_IFMT;
    c->file = result[OPEN] < 0 ? -1 : (int)result[OPEN];
    if (kind == S_IFDIR && !c->request.is_directory)
        respond(c, 301);
    else if (kind != 0 && kind != S_IFREG)
        respond(c, 404);
    else
        respond(c, error < 0 ? status_of_error(error) : 200);
}

static void on_event(const caio_event *event)
{
    struct connection *c = connections[event->user_data / OPERATIONS];
    enum operation operation = (enum operation)(event->user_data % OPERATIONS);
    if (operation == CLOSE)
        return;
    c->result[operation] = event->result;
    if (--c->pending > 0)
        return;
    c->active = turn;
    if (operation != SEND)
        opened(c);
    else if (event->result > 0)
        send_rest(c, event->result);
    else
        finish(c, false); /* the client is gone or takes nothing, or the file has become shorter */
}

/* Submits a part of the queue, and handles at most one batch of completions. */
static void run_operations(void)
{
    caio_event events[BATCH];
    uint32_t polled, count = queued < SUBMIT_MOST ? queued : SUBMIT_MOST;
    while (count > 0 && queue[count - 1].flags & CAIO_FLAG_LINK)
        count++;
    int accepted = caio_ctx_submit_poll(ctx, queue, count, events, BATCH, &polled);
    if (accepted < 0 && accepted != -EAGAIN)
        errx(1, "submit: %s", caio_strerror(accepted));
    if (accepted > 0)
        memmove(queue, queue + accepted, (queued -= (uint32_t)accepted) * sizeof *queue);
    for (uint32_t i = 0; i < polled; i++)
        on_event(&events[i]);
}

/* Starts the next request when its head is complete. */
static void receive(struct connection *c)
{
    char *end;
    while ((end = memmem(c->text, c->received, "\r\n\r\n", 4)) == NULL && c->received < REQUEST_MOST) {
        if (!c->readable)
            return;
        ssize_t got = recv(c->socket, c->text + c->received, REQUEST_MOST - c->received, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            hang_up(c);
            return;
        }
        c->readable = got > 0;
        c->received += got > 0 ? (size_t)got : 0;
        c->active = turn;
    }
    c->used = end == NULL ? c->received : (size_t)(end - c->text) + 4;
    int status = end == NULL ? 431 : parse_request(c->text, c->used, &c->request);
    if (status == 0) {
        open_file(c);
    } else {
        c->request.keep_alive = false;
        respond(c, status);
    }
}

/* The sockets stay blocking: the library then waits for them, and the loop uses MSG_DONTWAIT. */
static void accept_all(int listener)
{
    int socket;
    while ((socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        if (socket < DESCRIPTORS && connections[socket] == NULL)
            connections[socket] = calloc(1, sizeof **connections);
        if (socket >= DESCRIPTORS || connections[socket] == NULL || watch(socket, EPOLLIN | EPOLLET) < 0) {
            close(socket);
            continue;
        }
        struct connection *c = connections[socket];
        c->in_use = true;
        c->readable = false;
        c->socket = socket;
        c->file = -1;
        c->received = 0;
        c->active = turn;
    }
}

static void close_idle(void)
{
    for (int i = 0; i < DESCRIPTORS; i++) {
        struct connection *c = connections[i];
        if (c != NULL && c->in_use && c->pending == 0 && turn - c->active > IDLE_SECONDS)
            hang_up(c);
    }
}

static int listen_on(const char *address, uint16_t port)
{
    int on = 1, listener = checked(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t length = sizeof name;
    if (inet_pton(AF_INET, address, &name.sin_addr) != 1)
        errx(2, "%s is not an IPv4 address", address);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* the sockets of accept4(2) inherit it */
    checked(bind(listener, (struct sockaddr *)&name, sizeof name), "bind");
    checked(listen(listener, 1024), "listen");
    checked(getsockname(listener, (struct sockaddr *)&name, &length), "getsockname");
    printf("listening on http://%s:%u/\n", address, ntohs(name.sin_port));
    fflush(stdout);
    return listener;
}

/* One turn of the loop. False after a signal. */
static bool run_turn(int listener, int signals)
{
    static double swept;
    struct epoll_event ready[BATCH];
    int count = epoll_wait(loop, ready, BATCH, queued > 0 ? 0 : SWEEP_SECONDS * 1000);
    double ran = now(CLOCK_THREAD_CPUTIME_ID);
    turn = now(CLOCK_MONOTONIC);
    for (int i = 0; i < count; i++) {
        int fd = ready[i].data.fd;
        struct connection *c = fd < DESCRIPTORS ? connections[fd] : NULL;
        if (fd == signals)
            return false;
        if (fd == listener)
            accept_all(listener);
        if (c != NULL && c->in_use) {
            c->readable = true;
            if (c->pending == 0)
                receive(c);
        }
    }
    run_operations();
    if (turn - swept >= SWEEP_SECONDS) {
        swept = turn;
        close_idle();
        accept_all(listener); /* edge-triggered: after a failure for want of descriptors, there is no other report */
    }
    longest_turn = larger(longest_turn, now(CLOCK_MONOTONIC) - turn);
    longest_run = larger(longest_run, now(CLOCK_THREAD_CPUTIME_ID) - ran);
    return true;
}

int main(int argc, char **argv)
{
    const char *address = "127.0.0.1", *backend = getenv("CAIO_IMPL");
    int option, port = 8080;
    while ((option = getopt(argc, argv, "a:p:")) != -1) {
        if (option == 'a')
            address = optarg;
        else
            port = option == 'p' ? atoi(optarg) : -1;
    }
    if (optind != argc - 1 || port < 0 || port > 65535)
        errx(2, "usage: caio-httpd [-a ADDRESS] [-p PORT] DIRECTORY");
    root = checked(open(argv[optind], O_PATH | O_DIRECTORY | O_CLOEXEC), argv[optind]);
    loop = checked(epoll_create1(EPOLL_CLOEXEC), "epoll");

    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);

    caio_options options = {.size = sizeof options, .max_requests = DESCRIPTORS * 4};
    int error = caio_ctx_new(&options, &ctx);
    if (error < 0)
        errx(1, "context: %s", caio_strerror(error));
    int signals = checked(signalfd(-1, &stop, SFD_CLOEXEC), "signalfd"), listener = listen_on(address, (uint16_t)port);
    checked(watch(caio_ctx_eventfd(ctx), EPOLLIN), "epoll");
    checked(watch(signals, EPOLLIN), "epoll");
    checked(watch(listener, EPOLLIN | EPOLLET), "epoll");
    while (run_turn(listener, signals))
        ;
    caio_ctx_free(ctx);
    printf("%llu requests; the loop was busy for at most %.2f ms at a time (%.2f ms of processor time), %s\n", served,
           longest_turn * 1e3, longest_run * 1e3, backend == NULL ? "auto" : backend);
    return 0;
}
