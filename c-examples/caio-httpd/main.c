/* Serves the files below a directory: caio-httpd [-a ADDRESS] [-p PORT] DIRECTORY
 *
 * One thread and one epoll loop. A request is one chain of three operations: open, statx, and a read of the first 64 KiB. The
 * rest of a larger file goes to the socket by CAIO_OP_SENDFILE. The loop itself makes no call that waits for a disk or for a
 * slow client. On SIGINT and SIGTERM it prints the longest time between two calls of epoll_wait(2), and the most that it ran
 * between two: the difference is the time of other programs on its processor. */
#include "httpd.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define SECOND 1000000000ULL

enum { CONNECTIONS = 4096, BATCH = 256, IDLE_SECONDS = 30, SEND_SECONDS = 300 };

/* A submit copies up to 1 MiB of cached data, and leaves the rest to worker threads. */
enum { REQUESTS_AT_ONCE = (1 << 20) / FIRST_READ, OPERATIONS_OF_REQUEST = 3 };

/* The steps of a request, in the low bits of user_data. */
enum step { OPEN, STAT, READ, WRITE, SEND, CLOSE, STEPS };

struct connection {
    int socket, file;
    bool in_use, broken;  /* broken: closes when its operations have completed */
    bool readable, ended; /* the socket may have bytes; the client has sent its last one */
    unsigned in_flight;   /* operations without CLOSE */
    int64_t error, read;  /* of this request */
    time_t active;
    size_t received;      /* bytes in `text` */
    struct request request;
    struct response response;
    struct iovec parts[2];
    struct statx attributes;
    char text[REQUEST_MOST], first[FIRST_READ];
};

static struct connection *connections[CONNECTIONS];
static caio_ctx *ctx;
static caio_op queue[CONNECTIONS * STEPS];
static uint32_t queued;
static int root, loop;
static uint64_t served;
static double longest_stall, longest_run;

static int checked(int result, const char *what)
{
    if (result < 0) {
        fprintf(stderr, "caio-httpd: %s: %s\n", what, strerror(errno));
        exit(1);
    }
    return result;
}

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void keep_longest(double *longest, double time)
{
    if (time > *longest)
        *longest = time;
}

static void receive(uint32_t index);

/* Queues an operation until the end of this turn of the loop. */
static caio_op *enqueue(uint32_t index, enum step step, uint8_t opcode, int fd, uint8_t flags)
{
    caio_op *op = &queue[queued++];
    memset(op, 0, sizeof *op);
    op->user_data = (uint64_t)index * STEPS + step;
    op->opcode = opcode;
    op->flags = flags;
    op->fd = fd;
    connections[index]->in_flight += step != CLOSE;
    return op;
}

static void close_connection(uint32_t index)
{
    struct connection *c = connections[index];
    c->broken = true;
    for (int step = 0; c->in_flight > 0 && step < CLOSE; step++)
        caio_ctx_cancel(ctx, (uint64_t)index * STEPS + (unsigned)step);
    if (c->in_flight > 0)
        return;
    /* With unread bytes, close(2) would reset the connection, and the client might lose the response. */
    shutdown(c->socket, SHUT_WR);
    for (int parts = 0; parts < 16 && recv(c->socket, c->text, REQUEST_MOST, MSG_DONTWAIT) > 0; parts++)
        ;
    close(c->socket);
    c->in_use = false;
}

/* The whole request in one chain. O_NONBLOCK: a FIFO must not hold the open. */
static void open_file(uint32_t index)
{
    struct connection *c = connections[index];
    static struct open_how how; /* read by submit */
    caio_op *op;
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    how.resolve = RESOLVE_BENEATH;
    c->file = -1;
    c->error = c->read = 0;
    c->attributes.stx_mode = 0;
    op = enqueue(index, OPEN, CAIO_OP_OPENAT2, root, CAIO_FLAG_LINK);
    op->buf = c->request.path;
    op->buf2 = &how;
    op->len = sizeof how;
    op = enqueue(index, STAT, CAIO_OP_STATX, CAIO_FD_OPENED, CAIO_FLAG_LINK);
    op->buf = "";
    op->sys_flags = AT_EMPTY_PATH;
    op->mode = STATX_TYPE | STATX_SIZE | STATX_MTIME;
    op->buf2 = &c->attributes;
    op = enqueue(index, READ, CAIO_OP_READ, CAIO_FD_OPENED, CAIO_FLAG_FULL);
    op->buf = c->first;
    op->len = FIRST_READ;
}

/* The response is sent. Goes on with the next request. */
static void finish(uint32_t index)
{
    struct connection *c = connections[index];
    if (c->file >= 0)
        enqueue(index, CLOSE, CAIO_OP_CLOSE, c->file, 0);
    c->file = -1;
    served++;
    if (c->broken || c->error < 0 || !c->request.keep_alive)
        close_connection(index);
    else
        receive(index);
}

/* Sends what the socket takes at once, and queues the rest. */
static void send_response(uint32_t index)
{
    struct connection *c = connections[index];
    struct response *response = &c->response;
    int64_t in_memory = c->read < response->end ? c->read : response->end;
    bool more = in_memory < response->end;
    c->parts[0] = (struct iovec){response->head, response->head_length};
    c->parts[1] = (struct iovec){c->first + response->start, response->start < in_memory ? (size_t)(in_memory - response->start) : 0};
    int64_t next = response->start < in_memory ? in_memory : response->start;
    struct msghdr message = {.msg_iov = c->parts, .msg_iovlen = 2};
    ssize_t sent = sendmsg(c->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    if (sent < 0 && errno != EAGAIN) {
        c->error = -errno;
        finish(index);
        return;
    }
    for (int i = 0; i < 2 && sent > 0; i++) {
        size_t part = (size_t)sent < c->parts[i].iov_len ? (size_t)sent : c->parts[i].iov_len;
        c->parts[i].iov_base = (char *)c->parts[i].iov_base + part;
        c->parts[i].iov_len -= part;
        sent -= (ssize_t)part;
    }
    if (c->parts[0].iov_len + c->parts[1].iov_len > 0) {
        caio_op *op = enqueue(index, WRITE, CAIO_OP_WRITEV, c->socket, CAIO_FLAG_FULL | (more ? CAIO_FLAG_LINK : 0));
        op->buf = c->parts;
        op->len = 2;
        op->offset = CAIO_OFFSET_CURRENT;
        op->timeout_ns = SEND_SECONDS * SECOND;
    }
    if (more) {
        caio_op *op = enqueue(index, SEND, CAIO_OP_SENDFILE, c->file, CAIO_FLAG_FULL);
        op->mode = (uint32_t)c->socket;
        op->offset = (uint64_t)next;
        op->len = (uint64_t)(response->end - next);
        op->timeout_ns = SEND_SECONDS * SECOND;
    }
    if (c->in_flight == 0)
        finish(index);
}

static void respond(uint32_t index)
{
    struct connection *c = connections[index];
    mode_t kind = c->attributes.stx_mode & S_IFMT; /* 0 if the file could not be opened */
    if (kind == S_IFREG && c->error == 0)
        respond_with_file(&c->response, &c->request, &c->attributes);
    else if (kind == S_IFDIR && !c->request.is_directory)
        respond_with_status(&c->response, &c->request, 301);
    else
        respond_with_status(&c->response, &c->request, kind == 0 || kind == S_IFREG ? status_of_error(c->error) : 404);
    c->error = 0;
    send_response(index);
}

static void on_event(const caio_event *event)
{
    uint32_t index = (uint32_t)(event->user_data / STEPS);
    enum step step = (enum step)(event->user_data % STEPS);
    struct connection *c = connections[index];
    if (step == CLOSE)
        return;
    c->in_flight--;
    c->active = time(NULL);
    if (step == OPEN && event->result >= 0)
        c->file = (int)event->result;
    else if (event->result < 0 && c->error == 0 && event->result != -ECANCELED)
        c->error = event->result;
    else if (step == READ)
        c->read = event->result > 0 ? event->result : 0;
    /* A file that became shorter: the promised length cannot be kept. */
    else if (step == SEND && event->result < c->response.end - c->response.start - c->read && event->result >= 0)
        c->broken = true;
    if (c->in_flight > 0)
        return;
    if (c->broken || step >= WRITE)
        finish(index);
    else
        respond(index);
}

/* Takes bytes from the socket, and starts the request when its head is complete. */
static void receive(uint32_t index)
{
    struct connection *c = connections[index];
    for (;;) {
        char *end = memmem(c->text, c->received, "\r\n\r\n", 4);
        int status = end == NULL && c->received == REQUEST_MOST ? 431 : 0;
        if (end != NULL || status != 0) {
            size_t length = status != 0 ? c->received : (size_t)(end - c->text) + 4;
            if (status == 0)
                status = parse_request(c->text, length, &c->request);
            c->received -= length;
            memmove(c->text, c->text + length, c->received);
            if (status == 0) {
                open_file(index);
                return;
            }
            c->request.keep_alive = false;
            c->read = 0;
            respond_with_status(&c->response, &c->request, status);
            send_response(index);
            return;
        }
        if (!c->readable)
            return;
        size_t room = REQUEST_MOST - c->received;
        ssize_t got = recv(c->socket, c->text + c->received, room, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) {
            c->readable = false;
            return;
        }
        if (got <= 0) {
            close_connection(index);
            return;
        }
        c->readable = c->ended || (size_t)got == room; /* else epoll_wait(2) reports the next bytes */
        c->received += (size_t)got;
        c->active = time(NULL);
    }
}

static void watch(int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = events;
    event.data.u64 = data;
    checked(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event), "epoll");
}

/* The socket stays blocking: the library then waits for it, and the loop uses MSG_DONTWAIT. */
static void accept_all(int listener)
{
    int socket, on = 1;
    uint32_t index = 0;
    while ((socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        while (index < CONNECTIONS && connections[index] != NULL && connections[index]->in_use)
            index++;
        if (index < CONNECTIONS && connections[index] == NULL)
            connections[index] = calloc(1, sizeof **connections);
        if (index == CONNECTIONS || connections[index] == NULL) {
            close(socket);
            continue;
        }
        struct connection *c = connections[index];
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        c->socket = socket;
        c->file = -1;
        c->in_use = true;
        c->broken = c->ended = false;
        c->readable = true;
        c->received = 0;
        c->active = time(NULL);
        watch(socket, EPOLLIN | EPOLLRDHUP | EPOLLET, index);
        receive(index);
    }
}

static void close_idle(void)
{
    time_t oldest = time(NULL) - IDLE_SECONDS;
    for (uint32_t index = 0; index < CONNECTIONS && connections[index] != NULL; index++)
        if (connections[index]->in_use && connections[index]->in_flight == 0 && connections[index]->active < oldest)
            close_connection(index);
}

/* Submits what this turn has queued, and handles at most one batch of completions. */
static void run_operations(void)
{
    caio_event events[BATCH];
    uint32_t polled, taken = queued;
    int accepted = caio_ctx_submit_poll(ctx, queue, queued, events, BATCH, &polled);
    if (accepted < 0 && accepted != -EAGAIN) {
        fprintf(stderr, "caio-httpd: submit: %s\n", caio_strerror(accepted));
        exit(1);
    }
    queued = taken - (uint32_t)(accepted > 0 ? accepted : 0);
    memmove(queue, queue + taken - queued, queued * sizeof *queue);
    for (uint32_t i = 0; i < polled; i++)
        on_event(&events[i]);
}

static int listen_on(const char *address, uint16_t port)
{
    struct sockaddr_in name;
    int on = 1, listener = checked(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    socklen_t length = sizeof name;
    memset(&name, 0, sizeof name);
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    if (inet_pton(AF_INET, address, &name.sin_addr) != 1) {
        fprintf(stderr, "caio-httpd: %s is not an IPv4 address\n", address);
        exit(2);
    }
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    checked(bind(listener, (struct sockaddr *)&name, sizeof name), "bind");
    checked(listen(listener, 1024), "listen");
    checked(getsockname(listener, (struct sockaddr *)&name, &length), "getsockname");
    printf("listening on http://%s:%u/\n", address, ntohs(name.sin_port));
    fflush(stdout);
    return listener;
}

static int stop_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return checked(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd");
}

static int every_five_seconds(void)
{
    struct itimerspec every = {{5, 0}, {5, 0}};
    int timer = checked(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "timerfd");
    checked(timerfd_settime(timer, 0, &every, NULL), "timerfd");
    return timer;
}

/* Until a signal. */
static void serve(int listener, int timer)
{
    enum { LISTENER = CONNECTIONS, EVENTS, TIMER, SIGNALS };
    struct epoll_event ready[BATCH];
    uint64_t expirations;
    watch(listener, EPOLLIN, LISTENER);
    watch(caio_ctx_eventfd(ctx), EPOLLIN, EVENTS);
    watch(timer, EPOLLIN, TIMER);
    watch(stop_signals(), EPOLLIN, SIGNALS);
    for (;;) {
        int count = epoll_wait(loop, ready, BATCH, queued > 0 ? 0 : -1);
        double begun = now(CLOCK_MONOTONIC), ran = now(CLOCK_THREAD_CPUTIME_ID);
        bool operations = queued > 0;
        for (int i = 0; i < count; i++) {
            uint64_t who = ready[i].data.u64;
            if (who == SIGNALS)
                return;
            if (who == LISTENER)
                accept_all(listener);
            else if (who == TIMER && read(timer, &expirations, sizeof expirations) > 0)
                close_idle();
            else if (who == EVENTS)
                operations = true;
            else if (who < CONNECTIONS && connections[who]->in_use) {
                connections[who]->readable = true;
                connections[who]->ended |= (ready[i].events & ~(uint32_t)EPOLLIN) != 0;
                if (connections[who]->in_flight == 0)
                    receive((uint32_t)who);
            }
            if (queued >= REQUESTS_AT_ONCE * OPERATIONS_OF_REQUEST)
                run_operations();
        }
        if (operations || queued > 0)
            run_operations();
        keep_longest(&longest_stall, now(CLOCK_MONOTONIC) - begun);
        keep_longest(&longest_run, now(CLOCK_THREAD_CPUTIME_ID) - ran);
    }
}

int main(int argc, char **argv)
{
    const char *address = "127.0.0.1";
    int option, port = 8080;
    while ((option = getopt(argc, argv, "a:p:")) != -1) {
        if (option == 'a')
            address = optarg;
        else if (option == 'p')
            port = atoi(optarg);
        else
            return 2;
    }
    if (optind != argc - 1 || port < 0 || port > 65535) {
        fprintf(stderr, "usage: caio-httpd [-a ADDRESS] [-p PORT] DIRECTORY\n");
        return 2;
    }
    root = checked(open(argv[optind], O_PATH | O_DIRECTORY | O_CLOEXEC), argv[optind]);
    loop = checked(epoll_create1(EPOLL_CLOEXEC), "epoll");
    caio_options options = CAIO_OPTIONS_INIT;
    options.max_requests = 32768;
    int error = caio_ctx_new(&options, &ctx);
    if (error < 0) {
        fprintf(stderr, "caio-httpd: context: %s\n", caio_strerror(error));
        return 1;
    }
    serve(listen_on(address, (uint16_t)port), every_five_seconds());
    caio_ctx_free(ctx);
    printf("%llu requests; the loop was busy for at most %.2f ms at a time (%.2f ms of processor time), %s\n", (unsigned long long)served,
           longest_stall * 1e3, longest_run * 1e3, getenv("CAIO_IMPL") == NULL ? "auto" : getenv("CAIO_IMPL"));
    return 0;
}
