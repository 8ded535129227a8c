/* Directories, links, attributes and chains on Windows. Argument: the flags of the contexts. Run it in an empty,
 * writable directory. */
#include "windows_ops.h"
#include <stdbool.h>
#include <time.h>

#define NO_RIGHT_TO_LINK(result) ((result) == -EOPNOTSUPP || (result) == -EPERM)

static int64_t two_paths(uint8_t opcode, int dir, const char *first, const char *second, uint32_t flags)
{
    caio_op op = path_op(opcode, dir, first);
    op.buf2 = (void *)second;
    op.sys_flags = flags;
    return run_op(ctx, op);
}

static int64_t link_at(const char *from, const char *to, uint32_t flags)
{
    return two_paths(CAIO_OP_LINKAT, AT_FDCWD, from, to, flags);
}

static int64_t read_link(const char *path, char *to, uint64_t len)
{
    caio_op op = path_op(CAIO_OP_READLINKAT, AT_FDCWD, path);
    op.buf2 = to;
    op.len = len;
    return run_op(ctx, op);
}

static int64_t mode_op(uint8_t opcode, int dir, const char *path, uint32_t mode, uint32_t flags)
{
    caio_op op = path_op(opcode, dir, path);
    op.mode = mode;
    op.sys_flags = flags;
    return run_op(ctx, op);
}

static int64_t set_times(int dir, const char *path, const struct timespec *times, uint32_t flags)
{
    return two_paths(CAIO_OP_UTIMENSAT, dir, path, (const char *)times, flags);
}

static int64_t seek(int fd, uint64_t offset, uint32_t whence)
{
    caio_op op = make_op(CAIO_OP_SEEK, fd);
    op.offset = offset;
    op.sys_flags = whence;
    return run_op(ctx, op);
}

static void make_file(const char *path, const char *text)
{
    int fd = open_new(path);
    EXPECT(put(fd, text, 0), strlen(text));
    EXPECT(close_fd(fd), 0);
}

static void expect_file(const char *path, const char *text)
{
    int fd = (int)open_at(AT_FDCWD, path, O_RDONLY);
    CHECK(fd > 0);
    expect_text(fd, text);
    EXPECT(close_fd(fd), 0);
}

struct entry {
    uint64_t number;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[1];
};

enum { DIRECTORY = 4, REGULAR = 8, MANY = 500 };

/* Reads a directory with a buffer of this size. Returns the sum of the numbers in the names, and counts folders. */
static int64_t sum_of_entries(int dir, uint64_t size, int *folders)
{
    static char buf[65536];
    int64_t sum = 0, got;
    while ((got = run_op(ctx, transfer(CAIO_OP_GETDENTS, dir, buf, size, 0))) > 0) {
        CHECK((uint64_t)got <= size);
        for (int64_t at = 0; at < got;) {
            const struct entry *entry = (const struct entry *)(buf + at);
            CHECK(entry->size % 8 == 0 && entry->size >= 24 && at + entry->size <= got);
            CHECK(entry->number != 0);
            if (entry->type == DIRECTORY)
                ++*folders;
            else
                EXPECT(entry->type, REGULAR);
            sum += strtol(entry->name, NULL, 10);
            at += entry->size;
        }
    }
    EXPECT(got, 0);
    EXPECT(run_op(ctx, transfer(CAIO_OP_GETDENTS, dir, buf, size, 0)), 0);
    return sum;
}

static void directories_have_entries(void)
{
    static char buf[4096], name[300];
    int dir, file, folders;
    EXPECT(make_dir(AT_FDCWD, "many"), 0);
    dir = (int)open_at(AT_FDCWD, "many", O_RDONLY);
    for (int i = 1; i <= MANY; i++) {
        /* Each UTF-16 unit of the longer names takes three bytes. */
        sprintf(name, "%d ", i);
        for (int letters = i % 70; letters > 0; letters--)
            strcat(name, "\xe2\x82\xac");
        EXPECT(close_fd((int)open_at(dir, name, O_RDWR | O_CREAT)), 0);
    }
    EXPECT(make_dir(dir, "folder"), 0);
    EXPECT(close_fd(dir), 0);
    for (uint64_t size = 1024; size <= 65536; size *= 4) {
        folders = 0;
        dir = (int)open_at(AT_FDCWD, "many", O_RDONLY | O_DIRECTORY);
        EXPECT(sum_of_entries(dir, size, &folders), MANY * (MANY + 1) / 2);
        EXPECT(folders, 3); /* with . and .. */
        EXPECT(close_fd(dir), 0);
    }
    dir = (int)open_at(AT_FDCWD, "many", O_RDONLY);
    EXPECT(run_op(ctx, transfer(CAIO_OP_GETDENTS, dir, buf, 64, 0)), -EINVAL);
    EXPECT(run_op(ctx, transfer(CAIO_OP_GETDENTS, dir, (void *)8, 4096, 0)), -EFAULT);
    EXPECT(close_fd(dir), 0);
    file = open_new("no directory");
    EXPECT(run_op(ctx, transfer(CAIO_OP_GETDENTS, file, buf, 4096, 0)), -ENOTDIR);
    EXPECT(close_fd(file), 0);
    EXPECT(run_op(ctx, transfer(CAIO_OP_GETDENTS, 0x7ffffffc, buf, 4096, 0)), -EBADF);
    EXPECT(open_at(AT_FDCWD, "no directory", O_RDONLY | O_DIRECTORY), -ENOTDIR);
    EXPECT(unlink_at(AT_FDCWD, "many", AT_REMOVEDIR), -ENOTEMPTY);
}

static void hard_links_are_one_file(void)
{
    struct statx st;
    int dir, fd;
    caio_op op;
    make_file("first", "linked");
    EXPECT(link_at("first", "second", 0), 0);
    expect_file("second", "linked");
    EXPECT(stat_at(AT_FDCWD, "first", 0, &st), 0);
    EXPECT(st.stx_nlink, 2);
    EXPECT(link_at("first", "second", 0), -EEXIST);
    EXPECT(link_at("none", "third", 0), -ENOENT);
    EXPECT(link_at("first", "none/third", 0), -ENOENT);
    EXPECT(link_at("first", "third", 0x8000), -EINVAL);
    EXPECT(make_dir(AT_FDCWD, "links"), 0);
    EXPECT(link_at("links", "third", 0), -EPERM);
    dir = (int)open_at(AT_FDCWD, "links", O_RDONLY);
    op = path_op(CAIO_OP_LINKAT, AT_FDCWD, "first");
    op.flags = CAIO_FLAG_DIR2;
    op.offset = (uint64_t)(int64_t)dir;
    op.buf2 = (void *)"third";
    EXPECT(run_op(ctx, op), 0);
    expect_file("links/third", "linked");
    fd = (int)open_at(AT_FDCWD, "first", O_RDONLY);
    op = path_op(CAIO_OP_LINKAT, fd, "");
    op.flags = CAIO_FLAG_DIR2;
    op.offset = (uint64_t)(int64_t)dir;
    op.buf2 = (void *)"fourth";
    op.sys_flags = AT_EMPTY_PATH;
    EXPECT(run_op(ctx, op), 0);
    expect_file("links/fourth", "linked");
    EXPECT(close_fd(fd), 0);
    EXPECT(close_fd(dir), 0);
    EXPECT(unlink_at(AT_FDCWD, "first", 0), 0);
    expect_file("second", "linked");
}

/* Some users may not create symbolic links, and some Wines have none. */
static void symbolic_links_say_what_they_were_told(void)
{
    char buf[64] = "";
    struct statx st;
    int64_t result;
    make_file("meant", "meant");
    EXPECT(read_link("meant", buf, sizeof buf), -EINVAL);
    EXPECT(read_link("none", buf, sizeof buf), -ENOENT);
    EXPECT(read_link("meant", buf, 0), -EINVAL);
    EXPECT(two_paths(CAIO_OP_SYMLINKAT, AT_FDCWD, "", "empty", 0), -ENOENT);
    result = two_paths(CAIO_OP_SYMLINKAT, AT_FDCWD, "./meant", "symbolic", 0);
    if (NO_RIGHT_TO_LINK(result)) {
        EXPECT(stat_at(AT_FDCWD, "symbolic", AT_SYMLINK_NOFOLLOW, &st), -ENOENT);
        puts("not run: symbolic links cannot be created here");
        return;
    }
    EXPECT(result, 0);
    EXPECT(read_link("symbolic", buf, sizeof buf), 7);
    CHECK(strcmp(buf, ".\\meant") == 0);
    EXPECT(read_link("symbolic", buf, 3), 3);
    EXPECT(read_link("symbolic", (char *)8, 3), -EFAULT);
    expect_file("symbolic", "meant");
    EXPECT(stat_at(AT_FDCWD, "symbolic", AT_SYMLINK_NOFOLLOW, &st), 0);
    EXPECT(st.stx_mode & 0170000, 0120000);
    EXPECT(open_at(AT_FDCWD, "symbolic", O_RDONLY | O_NOFOLLOW), -ELOOP);
    EXPECT(two_paths(CAIO_OP_SYMLINKAT, AT_FDCWD, "meant", "symbolic", 0), -EEXIST);
    EXPECT(make_dir(AT_FDCWD, "a folder"), 0);
    EXPECT(two_paths(CAIO_OP_SYMLINKAT, AT_FDCWD, "a folder", "to folder", 0), 0);
    EXPECT(unlink_at(AT_FDCWD, "to folder", AT_REMOVEDIR), -ENOTDIR);
    EXPECT(unlink_at(AT_FDCWD, "to folder", 0), 0);
    EXPECT(unlink_at(AT_FDCWD, "symbolic", 0), 0);
    expect_file("meant", "meant");
}

static void an_open_that_follows_no_link_opens_files(void)
{
    int fd;
    make_file("plain", "text");
    fd = (int)open_at(AT_FDCWD, "plain", O_RDONLY | O_NOFOLLOW);
    expect_text(fd, "text");
    EXPECT(close_fd(fd), 0);
    fd = (int)open_at(AT_FDCWD, "plain", O_RDWR | O_NOFOLLOW | O_TRUNC);
    expect_text(fd, "");
    EXPECT(close_fd(fd), 0);
    EXPECT(open_at(AT_FDCWD, "plain", O_RDWR | O_NOFOLLOW | O_CREAT | O_EXCL), -EEXIST);
    EXPECT(unlink_at(AT_FDCWD, "plain", 0), 0);
}

static void renames_replace_what_posix_lets_them(void)
{
    int dir, fd;
    int64_t result;
    caio_op op;
    make_file("file", "file");
    make_file("other", "other");
    EXPECT(make_dir(AT_FDCWD, "full"), 0);
    make_file("full/file", "inside");
    EXPECT(make_dir(AT_FDCWD, "empty"), 0);
    EXPECT(make_dir(AT_FDCWD, "folder"), 0);
    EXPECT(rename_at(AT_FDCWD, "file", "full", 0), -EISDIR);
    EXPECT(rename_at(AT_FDCWD, "folder", "file", 0), -ENOTDIR);
    EXPECT(rename_at(AT_FDCWD, "folder", "full", 0), -ENOTEMPTY);
    EXPECT(rename_at(AT_FDCWD, "folder", "empty", RENAME_NOREPLACE), -EEXIST);
    EXPECT(rename_at(AT_FDCWD, "full", "empty", 0), 0);
    expect_file("empty/file", "inside");
    EXPECT(rename_at(AT_FDCWD, "empty", "empty", 0), 0);
    EXPECT(rename_at(AT_FDCWD, "file", "none/file", 0), -ENOENT);
    EXPECT(make_dir(AT_FDCWD, "folder/inside"), 0);
    EXPECT(rename_at(AT_FDCWD, "folder", "folder/inside", 0), -EINVAL);
    CHECK(rename_at(AT_FDCWD, "folder", "folder/inside/new", 0) < 0);
    EXPECT(rename_at(AT_FDCWD, "folder/inside", "folder", 0), -ENOTEMPTY);
    EXPECT(unlink_at(AT_FDCWD, "folder/inside", AT_REMOVEDIR), 0);
    EXPECT(rename_at(AT_FDCWD, "file", "file", 0), 0);
    expect_file("file", "file");
    /* Into another directory, over a file that another handle has open. Not every file system can do that. */
    dir = (int)open_at(AT_FDCWD, "empty", O_RDONLY);
    op = path_op(CAIO_OP_RENAMEAT, AT_FDCWD, "other");
    op.flags = CAIO_FLAG_DIR2;
    op.offset = (uint64_t)(int64_t)dir;
    op.buf2 = (void *)"file";
    fd = (int)open_at(dir, "file", O_RDONLY);
    result = run_op(ctx, op);
    CHECK(result == 0 || result == -EPERM);
    expect_text(fd, "inside");
    EXPECT(close_fd(fd), 0);
    if (result < 0)
        EXPECT(run_op(ctx, op), 0);
    expect_file("empty/file", "other");
    EXPECT(close_fd(dir), 0);
    EXPECT(unlink_at(AT_FDCWD, "empty/file", 0), 0);
    EXPECT(unlink_at(AT_FDCWD, "empty", AT_REMOVEDIR), 0);
    EXPECT(unlink_at(AT_FDCWD, "file", 0), 0);
}

/* POSIX shares every file. A program that does not share its own keeps it. */
static void files_that_others_share_are_free(void)
{
    const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    HANDLE file;
    int fd, second;
    make_file("shared", "text");
    fd = (int)open_at(AT_FDCWD, "shared", O_RDWR);
    second = (int)open_at(AT_FDCWD, "shared", O_WRONLY);
    CHECK(fd > 0 && second > 0);
    EXPECT(close_fd(second), 0);
    file = CreateFileA("shared", GENERIC_READ, share, NULL, OPEN_EXISTING, 0, NULL);
    CHECK(file != INVALID_HANDLE_VALUE);
    EXPECT(rename_at(AT_FDCWD, "shared", "renamed", 0), 0);
    EXPECT(unlink_at(AT_FDCWD, "renamed", 0), 0);
    expect_text(fd, "text");
    EXPECT(close_fd(fd), 0);
    CHECK(CloseHandle(file));
    EXPECT(open_at(AT_FDCWD, "renamed", O_RDONLY), -ENOENT);

    file = CreateFileA("kept", GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
    EXPECT(open_at(AT_FDCWD, "kept", O_RDONLY), -EBUSY);
    EXPECT(unlink_at(AT_FDCWD, "kept", 0), -EBUSY);
    EXPECT(rename_at(AT_FDCWD, "kept", "lost", 0), -EBUSY);
    EXPECT(mode_op(CAIO_OP_FACCESSAT, AT_FDCWD, "kept", 4, 0), 0);
    CHECK(CloseHandle(file));
    EXPECT(unlink_at(AT_FDCWD, "kept", 0), 0);
}

static uint32_t permissions_of(const char *path)
{
    struct statx st;
    EXPECT(stat_at(AT_FDCWD, path, 0, &st), 0);
    return st.stx_mode & 0777;
}

static void the_mode_is_the_read_only_attribute(void)
{
    int fd;
    make_file("mode", "x");
    EXPECT(mode_op(CAIO_OP_FCHMODAT, AT_FDCWD, "mode", 0400, 0), 0);
    EXPECT(permissions_of("mode"), 0444);
    fd = (int)open_at(AT_FDCWD, "mode", O_RDWR);
    CHECK(fd == -EPERM || close_fd(fd) == 0); /* Wine opens it for root on Unix */
    EXPECT(mode_op(CAIO_OP_FACCESSAT, AT_FDCWD, "mode", 2, 0), -EACCES);
    EXPECT(mode_op(CAIO_OP_FACCESSAT, AT_FDCWD, "mode", 4, 0), 0);
    /* Through a descriptor that may only read. */
    fd = (int)open_at(AT_FDCWD, "mode", O_RDONLY);
    EXPECT(mode_op(CAIO_OP_FCHMODAT, fd, "", 0644, AT_EMPTY_PATH), 0);
    EXPECT(permissions_of("mode"), 0666);
    EXPECT(mode_op(CAIO_OP_FACCESSAT, fd, "", 2, AT_EMPTY_PATH), 0);
    EXPECT(close_fd(fd), 0);
    EXPECT(mode_op(CAIO_OP_FACCESSAT, AT_FDCWD, "mode", 0, 0), 0);
    EXPECT(mode_op(CAIO_OP_FACCESSAT, AT_FDCWD, "none", 0, 0), -ENOENT);
    EXPECT(mode_op(CAIO_OP_FACCESSAT, AT_FDCWD, "mode", 8, 0), -EINVAL);
    EXPECT(mode_op(CAIO_OP_FCHMODAT, AT_FDCWD, "none", 0600, 0), -ENOENT);
    EXPECT(mode_op(CAIO_OP_FCHMODAT, AT_FDCWD, "mode", 0600, 0x8000), -EINVAL);
    EXPECT(make_dir(AT_FDCWD, "mode of folder"), 0);
    EXPECT(mode_op(CAIO_OP_FCHMODAT, AT_FDCWD, "mode of folder", 0500, 0), 0);
    make_file("mode of folder/file", "still writable");
}

static void times_are_kept_to_100_nanoseconds(void)
{
    /* In the future: after a query, Linux below Wine moves an old time of access on. */
    const int64_t future = (int64_t)time(NULL) + 10000;
    struct timespec times[2] = {{future, 123456789}, {-1, 999999900}};
    struct statx st;
    int fd;
    make_file("times", "x");
    EXPECT(set_times(AT_FDCWD, "times", times, 0), 0);
    EXPECT(stat_at(AT_FDCWD, "times", 0, &st), 0);
    EXPECT(st.stx_atime.tv_sec, future);
    EXPECT(st.stx_atime.tv_nsec, 123456700);
    EXPECT(st.stx_mtime.tv_sec, -1);
    EXPECT(st.stx_mtime.tv_nsec, 999999900);
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_nsec = UTIME_NOW;
    fd = (int)open_at(AT_FDCWD, "times", O_RDONLY);
    EXPECT(set_times(fd, "", times, AT_EMPTY_PATH), 0);
    EXPECT(stat_at(fd, "", AT_EMPTY_PATH, &st), 0);
    EXPECT(st.stx_atime.tv_nsec, 123456700);
    CHECK(st.stx_mtime.tv_sec > 1700000000);
    times[0].tv_nsec = times[1].tv_nsec = 0;
    times[0].tv_sec = times[1].tv_sec = 5;
    EXPECT(set_times(AT_FDCWD, ".", times, 0), 0);
    EXPECT(set_times(fd, "", NULL, AT_EMPTY_PATH), 0);
    EXPECT(stat_at(fd, "", AT_EMPTY_PATH, &st), 0);
    CHECK(st.stx_atime.tv_sec > 1700000000);
    EXPECT(close_fd(fd), 0);
    times[0].tv_nsec = 1000000000;
    EXPECT(set_times(AT_FDCWD, "times", times, 0), -EINVAL);
    times[0].tv_nsec = 0;
    times[0].tv_sec = INT64_MIN;
    EXPECT(set_times(AT_FDCWD, "times", times, 0), -EINVAL);
    EXPECT(set_times(AT_FDCWD, "none", NULL, 0), -ENOENT);
    EXPECT(set_times(AT_FDCWD, "times", (struct timespec *)8, 0), -EFAULT);
}

static void seeks_move_the_position(void)
{
    int fd = open_new("seek"), ends[2];
    char byte = 0;
    EXPECT(put(fd, "0123456789", 0), 10);
    EXPECT(seek(fd, 4, SEEK_SET), 4);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, fd, &byte, 1, CAIO_OFFSET_CURRENT)), 1);
    EXPECT(byte, '4');
    EXPECT(seek(fd, 2, SEEK_CUR), 7);
    EXPECT(seek(fd, (uint64_t)-1, SEEK_END), 9);
    EXPECT(seek(fd, (uint64_t)-11, SEEK_END), -EINVAL);
    EXPECT(seek(fd, 0, SEEK_CUR), 9);
    EXPECT(seek(fd, 3, SEEK_DATA), 3);
    EXPECT(seek(fd, 3, SEEK_HOLE), 10);
    EXPECT(seek(fd, 10, SEEK_DATA), -ENXIO);
    EXPECT(seek(fd, 0, 9), -EINVAL);
    EXPECT(close_fd(fd), 0);
    EXPECT(seek(0x7ffffffc, 0, SEEK_SET), -EBADF);
    EXPECT(pipe2(ends, 0), 0);
    EXPECT(seek(ends[0], 0, SEEK_CUR), -ESPIPE);
    EXPECT(close_fd(ends[0]), 0);
    EXPECT(close_fd(ends[1]), 0);
}

/* A name below a directory's handle is taken as it is. Else it is what Win32 makes of it. */
static void names_below_a_handle_mean_themselves(void)
{
    static const char *const names[] = {"NUL", "con", "trailing dot.", "trailing space ", "x."};
    struct statx st;
    int dir, fd;
    EXPECT(make_dir(AT_FDCWD, "names"), 0);
    dir = (int)open_at(AT_FDCWD, "names", O_RDONLY);
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        fd = (int)open_at(dir, names[i], O_RDWR | O_CREAT | O_EXCL);
        CHECK(fd > 0);
        EXPECT(put(fd, "x", 0), 1);
        EXPECT(close_fd(fd), 0);
        EXPECT(stat_at(dir, names[i], 0, &st), 0);
        EXPECT(st.stx_size, 1);
        EXPECT(unlink_at(dir, names[i], 0), 0);
    }
    EXPECT(close_fd((int)open_at(dir, "dot", O_RDWR | O_CREAT)), 0);
    EXPECT(stat_at(AT_FDCWD, "names/dot.", 0, &st), 0);
    EXPECT(stat_at(dir, "dot.", 0, &st), -ENOENT);
    EXPECT(stat_at(AT_FDCWD, "names/\xc0\x80x", 0, &st), -EILSEQ);
    EXPECT(stat_at(dir, "\xed\xa0", 0, &st), -EILSEQ);
    EXPECT(close_fd(dir), 0);
}

static void a_chain_opens_reads_and_closes_a_file(void)
{
    caio_op ops[4];
    caio_event events[4];
    struct statx st;
    char buf[16] = "";
    int64_t results[4];
    make_file("chained", "content");
    ops[0] = path_op(CAIO_OP_OPENAT, AT_FDCWD, "chained");
    ops[1] = path_op(CAIO_OP_STATX, CAIO_FD_OPENED, "");
    ops[1].sys_flags = AT_EMPTY_PATH;
    ops[1].mode = STATX_BASIC_STATS;
    ops[1].buf2 = &st;
    ops[2] = transfer(CAIO_OP_READ, CAIO_FD_OPENED, buf, 7, 0);
    ops[3] = make_op(CAIO_OP_CLOSE, CAIO_FD_OPENED);
    for (int i = 0; i < 4; i++) {
        ops[i].user_data = (uint64_t)i;
        ops[i].flags = i < 3 ? CAIO_FLAG_LINK : 0;
    }
    for (int round = 0; round < 2; round++) {
        EXPECT(caio_ctx_submit(ctx, ops, 4), 4);
        EXPECT(caio_ctx_wait(ctx, events, 4, 4, 60 * SECOND), 4);
        for (int i = 0; i < 4; i++)
            results[events[i].user_data] = events[i].result;
        EXPECT(results[0], 0);
        EXPECT(results[1], 0);
        /* In the second round, a short read breaks the chain, but not the CLOSE. */
        EXPECT(results[2], 7);
        EXPECT(results[3], 0);
        EXPECT(st.stx_size, 7);
        CHECK(memcmp(buf, "content", 7) == 0);
        ops[2].len = 16;
    }
    /* Nothing has it open. */
    CHECK(DeleteFileA("chained"));
    CHECK(GetFileAttributesA("chained") == INVALID_FILE_ATTRIBUTES);
}

static void a_file_system_tells_its_size(void)
{
    struct caio_statfs st;
    caio_op op = make_op(CAIO_OP_FSTATFS, open_new("statfs"));
    int ends[2];
    ULARGE_INTEGER available, total;
    memset(&st, 0xff, sizeof st);
    op.buf2 = &st;
    EXPECT(sizeof st, 120);
    EXPECT(run_op(ctx, op), 0);
    CHECK(GetDiskFreeSpaceExA(".", &available, &total, NULL));
    EXPECT((uint64_t)st.f_bsize * st.f_blocks, total.QuadPart);
    CHECK(st.f_bavail <= st.f_bfree && st.f_bfree <= st.f_blocks && st.f_bavail > 0);
    CHECK(st.f_namelen >= 255 && st.f_type != 0);
    EXPECT(st.f_files, 0);
    EXPECT(st.reserved[3], 0);
    op.buf2 = (void *)8;
    EXPECT(run_op(ctx, op), -EFAULT);
    EXPECT(close_fd(op.fd), 0);
    EXPECT(run_op(ctx, op), -EBADF);
    EXPECT(pipe2(ends, 0), 0);
    op.fd = ends[0];
    EXPECT(run_op(ctx, op), -EINVAL);
    EXPECT(close_fd(ends[0]), 0);
    EXPECT(close_fd(ends[1]), 0);
}

/* What the system has no call for says so, before and after. */
static void missing_operations_say_so(void)
{
    int fd = open_new("missing");
    for (uint32_t opcode = 0; opcode <= CAIO_OP_FSTATFS; opcode++) {
        bool missing = opcode == CAIO_OP_SPLICE || opcode == CAIO_OP_FADVISE || opcode == CAIO_OP_FCHOWNAT ||
                       (opcode >= CAIO_OP_FGETXATTR && opcode <= CAIO_OP_MKNODAT);
        EXPECT(caio_ctx_supports(ctx, opcode), !missing);
        if (missing) {
            caio_op op = path_op((uint8_t)opcode, fd, "missing");
            if (opcode == CAIO_OP_SPLICE || opcode == CAIO_OP_FADVISE || opcode == CAIO_OP_FLISTXATTR ||
                opcode >= CAIO_OP_SYNCFS)
                op.buf = opcode == CAIO_OP_MKNODAT ? (void *)"node" : NULL;
            EXPECT(run_op(ctx, op), -EOPNOTSUPP);
        }
    }
    EXPECT(close_fd(fd), 0);
}

int main(int argc, char **argv)
{
    ctx = make_ctx(CAIO_BACKEND_THREAD, argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0);
    directories_have_entries();
    hard_links_are_one_file();
    symbolic_links_say_what_they_were_told();
    an_open_that_follows_no_link_opens_files();
    renames_replace_what_posix_lets_them();
    files_that_others_share_are_free();
    the_mode_is_the_read_only_attribute();
    times_are_kept_to_100_nanoseconds();
    seeks_move_the_position();
    names_below_a_handle_mean_themselves();
    a_chain_opens_reads_and_closes_a_file();
    a_file_system_tells_its_size();
    missing_operations_say_so();
    caio_ctx_free(ctx);
    puts("13 passed");
    return 0;
}
