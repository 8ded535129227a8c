/* Linux: epoll, signals, and what the library has no operation for. */
#include "caio-cp.h"
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/xattr.h>

static int epoll_fd, signal_fd, timer_fd = -1;

/* If a standard descriptor is closed, open(2) would reuse its number, and our messages would go into that file. */
static void occupy_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            open("/", O_PATH); /* reading and writing it fails */
}

void port_begin(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    occupy_standard_descriptors();
    signal(SIGXFSZ, SIG_IGN); /* write(2) then fails with EFBIG */
}

static int checked(int result, const char *what)
{
    if (result < 0)
        die(errno, "%s", what);
    return result;
}

static void watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    checked(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event), "epoll");
}

/* Blocks the signals that would end the program and leave temporary files. A signal that is ignored, as under nohup,
 * stays ignored. */
static int open_signals(void)
{
    static const int fatal[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE, SIGALRM,   SIGTERM,
                                SIGUSR1, SIGUSR2, SIGXCPU, SIGPROF, SIGVTALRM, SIGIO};
    struct sigaction now;
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        if (sigaction(fatal[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            sigaddset(&set, fatal[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return checked(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd");
}

static int open_timer(int tick_ms)
{
    struct itimerspec every = {.it_value.tv_nsec = tick_ms * 1000000L, .it_interval.tv_nsec = tick_ms * 1000000L};
    int fd = checked(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd");
    checked(timerfd_settime(fd, 0, &every, NULL), "timerfd");
    return fd;
}

void watch_begin(const caio_ctx *ctx, int tick_ms)
{
    epoll_fd = checked(epoll_create1(EPOLL_CLOEXEC), "epoll");
    signal_fd = open_signals();
    watch(caio_ctx_eventfd(ctx));
    watch(signal_fd);
    if (tick_ms > 0) {
        timer_fd = open_timer(tick_ms);
        watch(timer_fd);
    }
}

bool watch_wait(int timeout_ms, void (*on_signal)(int), void (*on_tick)(void))
{
    struct epoll_event ready[3];
    struct signalfd_siginfo info;
    uint64_t expirations;
    int count = epoll_wait(epoll_fd, ready, 3, timeout_ms);
    if (count < 0 && errno != EINTR)
        die(errno, "%s", "epoll");
    for (int i = 0; i < count; i++) {
        if (ready[i].data.fd == signal_fd)
            while (read(signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
                on_signal((int)info.ssi_signo);
        else if (ready[i].data.fd == timer_fd && read(timer_fd, &expirations, sizeof expirations) > 0)
            on_tick();
    }
    return count != 0;
}

unsigned free_descriptors(void)
{
    enum { MANY = 4096 };
    struct rlimit limit;
    unsigned count = 0;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return MANY;
    for (int fd = 0; fd < MANY && (rlim_t)fd < limit.rlim_cur; fd++)
        count += fcntl(fd, F_GETFD) < 0;
    return count;
}

void close_folder_now(int fd)
{
    close(fd);
}

void remove_now(int folder, const char *name)
{
    unlinkat(folder, name, 0);
}

/* The kernel has it in memory. */
char *path_of_open(int fd)
{
    char link[32], *path = checked_alloc(malloc(PATH_MAX));
    ssize_t length;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, PATH_MAX - 1);
    if (length < 0)
        die(errno, "cannot read '%s'", link);
    path[length] = '\0';
    return path;
}

/* Not at open(2): a file system without O_DIRECT fails there, but has already created the file. */
bool set_direct(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

uint64_t random_seed(void)
{
    uint64_t seed;
    return getrandom(&seed, sizeof seed, 0) == sizeof seed ? seed : (uint64_t)getpid();
}

int terminal_width(void)
{
    struct winsize window;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) < 0 || window.ws_col == 0)
        return 80;
    return window.ws_col;
}

/* The xattr system calls have no directory descriptor, so a name in an open folder needs a path through /proc. */
enum { PATH_SIZE = NAME_MAX + 32 };

static const char *path_to(const struct place *place, char *path, size_t size)
{
    if (place->fd == AT_FDCWD)
        return place->name;
    snprintf(path, size, "/proc/self/fd/%d/%s", place->fd, place->name);
    return path;
}

/* Opening a FIFO or a device has effects, and no operation of libcaio reads an attribute without opening the file. These
 * two functions are the only system calls of the loop that may wait for a disk. */
static const char access_acl[] = "system.posix_acl_access";

int64_t read_special_acl(const struct place *place, void *value, size_t size)
{
    char path[PATH_SIZE];
    ssize_t length = lgetxattr(path_to(place, path, sizeof path), access_acl, value, size);
    return length < 0 ? -errno : length;
}

int set_special_acl(const struct place *place, const void *value, size_t size)
{
    char path[PATH_SIZE];
    int result = 0;
    path_to(place, path, sizeof path);
    if (value)
        result = lsetxattr(path, access_acl, value, size, 0);
    else if (lgetxattr(path, access_acl, NULL, 0) >= 0)
        result = lremovexattr(path, access_acl);
    return result < 0 ? -errno : 0;
}
