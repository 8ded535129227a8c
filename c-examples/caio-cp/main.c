/* Options and arguments. */
#include "caio-cp.h"
#include <getopt.h>
#include <search.h>

struct options options = {.depth = 256};

enum { MOST_DEPTH = 1024 };

static const char usage_text[] =
    "Usage: caio-cp [OPTION]... SOURCE... DESTINATION\n"
    "Copies files and directory trees through one event loop.\n\n"
    "  -a, --archive          keep owners, hard links, extended attributes, devices and sockets too\n"
    "  -r, -R, --recursive    ignored: directories are always copied with everything in them\n"
    "  -b, --backend=BACKEND  uring, linux, thread, or auto (the default)\n"
    "  -j, --depth=DEPTH      operations in flight at most, 1 to 1024 (default 256)\n"
    "      --fsync            sync each file before it takes its final name\n"
    "      --direct           bypass the page cache (O_DIRECT) where the file system supports it\n"
    "  -q, --quiet            no progress bar and no summary\n"
    "      --help, --version\n\n"
    "Keeps modes, access control lists and times. Copies symbolic links as links, and sparse files as sparse files.\n"
    "Writes a file under a temporary name and renames it when it is complete.\n";

static void refuse_usage(const char *what, const char *argument)
{
    fprintf(stderr, "caio-cp: %s%s%s%s\nTry 'caio-cp --help' for more information.\n", what, argument ? " '" : "",
            argument ? argument : "", argument ? "'" : "");
    exit(1);
}

/* Exits after printing to standard output. */
static void exit_after_output(void)
{
    finish_output();
    exit(failed ? 1 : 0);
}

static void print_version(void)
{
    uint32_t v = caio_version();
    printf("caio-cp %d.%d.%d (libcaio %u.%u.%u)\n", CAIO_VERSION_MAJOR, CAIO_VERSION_MINOR, CAIO_VERSION_PATCH, v >> 16,
           v >> 8 & 0xff, v & 0xff);
    exit_after_output();
}

static uint32_t backend_named(const char *name)
{
    for (uint32_t backend = CAIO_BACKEND_AUTO; caio_backend_name(backend); backend++)
        if (strcmp(caio_backend_name(backend), name) == 0)
            return backend;
    refuse_usage("unknown backend", name);
    return 0;
}

static uint32_t depth_of(const char *text)
{
    char *end;
    unsigned long depth = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || depth < 1 || depth > MOST_DEPTH)
        refuse_usage("the depth is a number from 1 to 1024, not", text);
    return (uint32_t)depth;
}

static void read_options(int argc, char **argv)
{
    enum { HELP = 256, VERSION, FSYNC, DIRECT };
    static const struct option names[] = {{"help", no_argument, NULL, HELP},
                                          {"version", no_argument, NULL, VERSION},
                                          {"fsync", no_argument, NULL, FSYNC},
                                          {"direct", no_argument, NULL, DIRECT},
                                          {"archive", no_argument, NULL, 'a'},
                                          {"recursive", no_argument, NULL, 'r'},
                                          {"backend", required_argument, NULL, 'b'},
                                          {"depth", required_argument, NULL, 'j'},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {NULL, 0, NULL, 0}};
    for (;;) {
        switch (getopt_long(argc, argv, "ab:j:qrR", names, NULL)) {
        case -1:
            return;
        case HELP:
            fputs(usage_text, stdout);
            exit_after_output();
            break;
        case VERSION:
            print_version();
            break;
        case FSYNC:
            options.fsync = true;
            break;
        case DIRECT:
            options.direct = true;
            break;
        case 'a':
            options.archive = true;
            break;
        case 'r':
        case 'R':
            break;
        case 'b':
            options.backend = backend_named(optarg);
            break;
        case 'j':
            options.depth = depth_of(optarg);
            break;
        case 'q':
            options.quiet = true;
            break;
        default: /* getopt_long has printed the reason */
            fputs("Try 'caio-cp --help' for more information.\n", stderr);
            exit(1);
        }
    }
}

static int64_t ask(caio_op op)
{
    int64_t result = run_request(op);
    if (interrupted) {
        fputs("caio-cp: interrupted\n", stderr);
        exit(128 + interrupted);
    }
    return result;
}

/* Returns 0 or a negative errno. */
static int look_at(int folder, const char *path, int flags, struct statx *st)
{
    caio_op op = path_op(CAIO_OP_STATX, folder, path);
    op.sys_flags = (uint32_t)flags;
    op.mode = STATX_BASIC_STATS;
    op.buf2 = st;
    return (int)ask(op);
}

/* Returns a descriptor or a negative errno. */
static int open_at(int folder, const char *path, int flags)
{
    return (int)ask(open_op(folder, path, flags, 0));
}

/* The destination of the copies: a folder, and for a single source a name in it. */
struct destination {
    const char *path; /* NULL for the current folder */
    int fd;
    char *name; /* NULL: the name of each source */
    bool slash; /* it ended with a slash, and does not exist */
};

static bool strip_slashes(char *path)
{
    size_t length = strlen(path), whole = length;
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
    return length < whole;
}

static char *last_part(char *path)
{
    char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void open_destination(struct destination *to, const char *path)
{
    to->path = path;
    to->fd = open_at(AT_FDCWD, path ? path : ".", O_RDONLY | O_DIRECTORY);
    if (to->fd == -EACCES) /* it may be writable without being readable */
        to->fd = open_at(AT_FDCWD, path ? path : ".", O_PATH | O_DIRECTORY);
    if (to->fd < 0)
        die(-to->fd, "cannot access '%s'", path ? path : ".");
}

/* As in cp, a link is followed: its target is replaced. */
static char *followed(char *path)
{
    struct statx st;
    char *real;
    int fd;
    if (look_at(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &st) < 0 || !S_ISLNK(st.stx_mode))
        return path;
    fd = open_at(AT_FDCWD, path, O_PATH);
    if (fd < 0)
        die(0, "not writing through dangling symlink '%s'", path);
    real = path_of_open(fd);
    close_folder_now(fd);
    return real;
}

/* Splits "folder/name". */
static void place_in_folder(struct destination *to, char *path)
{
    to->name = last_part(path);
    if (to->name == path)
        open_destination(to, NULL);
    else if (to->name == path + 1)
        open_destination(to, "/");
    else {
        to->name[-1] = '\0';
        open_destination(to, path);
    }
}

static void find_destination(struct destination *to, char *path, int sources)
{
    struct statx st;
    bool slash = strip_slashes(path);
    int error = -look_at(AT_FDCWD, path, 0, &st);
    bool exists = error == 0;
    if (exists && S_ISDIR(st.stx_mode)) {
        open_destination(to, path);
        return;
    }
    if (sources > 1)
        die(exists ? ENOTDIR : error, "target '%s'", path);
    if (exists && !S_ISREG(st.stx_mode))
        die(0, "cannot overwrite special file '%s'", path);
    if (exists && slash)
        die(ENOTDIR, "cannot access '%s'", path);
    to->slash = slash;
    place_in_folder(to, followed(path));
}

static bool same_file(const struct statx *a, const struct statx *b)
{
    return a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor && a->stx_ino == b->stx_ino;
}

/* Is the folder the source, or inside it? */
static bool lies_in(int folder, const struct statx *source)
{
    struct statx here, above;
    int fd = open_at(folder, ".", O_PATH), up;
    bool found = false, at_root = fd < 0 || look_at(fd, "", AT_EMPTY_PATH, &here) < 0;
    while (!at_root && !(found = same_file(&here, source))) {
        up = open_at(fd, "..", O_PATH);
        close_folder_now(fd);
        fd = up;
        at_root = fd < 0 || look_at(fd, "", AT_EMPTY_PATH, &above) < 0 || same_file(&above, &here);
        here = above;
    }
    if (fd >= 0)
        close_folder_now(fd);
    return found;
}

static void refuse(const char *format, const char *first, const char *second)
{
    char *text;
    if (asprintf(&text, format, first, second) < 0)
        text = NULL;
    complain(0, "%s", checked_alloc(text));
    free(text);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Prints a message and returns false if the source cannot be copied there. */
static bool acceptable(const struct argument *argument, const struct destination *to)
{
    static void *taken; /* names that are already taken in the destination */
    struct statx from, there;
    const char *source = argument->name[SOURCE], *name = argument->name[TARGET];
    char *target = path_of(&(struct folder){.name = {NULL, (char *)to->path}}, name, TARGET);
    bool good = false, to_itself = strcmp(name, ".") == 0;
    int error = -look_at(AT_FDCWD, source, argument->follow ? 0 : AT_SYMLINK_NOFOLLOW, &from);
    if (error != 0)
        complain(error, "cannot stat '%s'", source);
    else if (argument->follow && !S_ISDIR(from.stx_mode))
        complain(ENOTDIR, "cannot stat '%s'", source);
    else if (look_at(to->fd, name, 0, &there) == 0 && same_file(&from, &there))
        refuse("'%s' and '%s' are the same file", source, target);
    else if (S_ISDIR(from.stx_mode) && lies_in(to->fd, &from))
        refuse("cannot copy a directory, '%s', into itself, '%s'", source, target);
    else if (to->slash && !S_ISDIR(from.stx_mode))
        complain(ENOTDIR, "cannot create regular file '%s/'", target);
    else if (!to_itself && *(char **)checked_alloc(tsearch(name, &taken, by_name)) != name)
        refuse("will not overwrite just-created '%s' with '%s'", target, source);
    else
        good = true;
    free(target);
    return good;
}

static struct argument make_argument(char *source, const struct destination *to)
{
    struct argument argument = {.follow = strip_slashes(source)};
    const char *name = last_part(source);
    if (strcmp(name, "..") == 0 || *name == '\0')
        name = ".";
    argument.name[SOURCE] = source;
    argument.name[TARGET] = to->name ? to->name : (char *)name;
    return argument;
}

static size_t find_arguments(struct argument *arguments, char **sources, int count, const struct destination *to)
{
    size_t found = 0;
    for (int i = 0; i < count; i++) {
        if (sources[i][0] == '\0') {
            complain(ENOENT, "cannot stat '%s'", "");
            continue;
        }
        arguments[found] = make_argument(sources[i], to);
        found += acceptable(&arguments[found], to);
    }
    return found;
}

static void destination_synced(struct request *request, int64_t result)
{
    (void)request;
    if (result < 0 && result != -EBADF) /* EBADF: the descriptor is O_PATH */
        complain((int)-result, "error syncing '%s'", "the destination directory");
}

static void nothing_more(void)
{
}

static void walk(const struct argument *arguments, size_t count, const struct destination *to)
{
    walk_begin(arguments, count, to->path, to->fd);
    loop_run(walk_on);
}

static int copy_all(const struct argument *arguments, size_t count, const struct destination *to)
{
    static struct request sync;
    const char *backend;
    caio_stats stats;
    walk_limits(free_descriptors());
    atexit(remove_temporaries);
    data_open();
    progress_begin();
    if (progress_wanted()) {
        counting = true;
        walk(arguments, count, to);
        counting = false;
        progress_begin();
        progress_draw();
    }
    walk(arguments, count, to);
    if (options.fsync && !interrupted) {
        send_request(&sync, fd_op(CAIO_OP_FSYNC, to->fd), destination_synced);
        loop_run(nothing_more);
    }
    progress_clear();
    stats = loop_close(&backend);
    data_close();
    small_close();
    if (interrupted) {
        fputs("caio-cp: interrupted\n", stderr);
        return 128 + interrupted;
    }
    if (!options.quiet)
        print_summary(&stats, backend);
    return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    static struct destination to;
    struct argument *arguments;
    int sources, status;
    size_t count;
    port_begin(&argc, &argv);
    read_options(argc, argv);
    sources = argc - optind - 1;
    if (sources < 0)
        refuse_usage("missing file operand", NULL);
    if (sources == 0)
        refuse_usage("missing destination file operand after", argv[optind]);
    loop_open(progress_wanted());
    find_destination(&to, argv[argc - 1], sources);
    arguments = checked_alloc(calloc((size_t)sources, sizeof *arguments));
    count = find_arguments(arguments, argv + optind, sources, &to);
    status = count > 0 ? copy_all(arguments, count, &to) : 1;
    free(arguments);
    return status;
}
