/* Files and paths on Windows. Argument: the flags of the contexts. Run it in an empty, writable directory. */
#include "windows_ops.h"

/* A handle of synchronous use keeps its position, whether or not the file can be opened again. */
static void a_transfer_at_an_offset_leaves_the_position(DWORD share)
{
    HANDLE file = CreateFileA("sync", GENERIC_READ | GENERIC_WRITE, share, NULL, CREATE_ALWAYS, 0, NULL);
    int fd = fd_of(file);
    DWORD done;
    CHECK(file != INVALID_HANDLE_VALUE && WriteFile(file, "0123456789", 10, &done, NULL));
    EXPECT(lseek(fd, 3, SEEK_SET), 3);
    EXPECT(put(fd, "AB", 8), 2);
    expect_text(fd, "01234567AB");
    EXPECT(lseek(fd, 0, SEEK_CUR), 3);
    EXPECT(put(fd, "x", CAIO_OFFSET_CURRENT), 1);
    EXPECT(lseek(fd, 0, SEEK_CUR), 4);
    expect_text(fd, "012x4567AB");
    CHECK(CloseHandle(file));
}

static void the_current_position_advances_also_of_a_handle_of_overlapped_use(void)
{
    int fd = open_new("current");
    caio_op ops[16];
    caio_event events[16];
    struct file_size st;
    char buf[8] = "";
    for (int i = 0; i < 16; i++)
        ops[i] = transfer(CAIO_OP_WRITE, fd, "abcd", 4, CAIO_OFFSET_CURRENT);
    EXPECT(caio_ctx_submit(ctx, ops, 16), 16);
    EXPECT(caio_ctx_wait(ctx, events, 16, 16, 60 * SECOND), 16);
    for (int i = 0; i < 16; i++)
        EXPECT(events[i].result, 4);
    EXPECT(fstat(fd, &st), 0);
    EXPECT(st.st_size, 64);
    EXPECT(lseek(fd, 62, SEEK_SET), 62);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, fd, buf, 8, CAIO_OFFSET_CURRENT)), 2);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, fd, buf, 8, CAIO_OFFSET_CURRENT)), 0);
    EXPECT(close_fd(fd), 0);
}

static void appends_go_to_the_end(void)
{
    int fd = open_new("append");
    caio_op op;
    EXPECT(put(fd, "one", 0), 3);
    op = transfer(CAIO_OP_WRITE, fd, " two", 4, 0);
    op.sys_flags = RWF_APPEND | RWF_DSYNC;
    EXPECT(run_op(ctx, op), 4);
    expect_text(fd, "one two");
    EXPECT(close_fd(fd), 0);
    fd = (int)open_at(AT_FDCWD, "append", O_WRONLY | O_APPEND);
    EXPECT(put(fd, " three", CAIO_OFFSET_CURRENT), 6);
    EXPECT(put(fd, " four", 0), 5);
    EXPECT(close_fd(fd), 0);
    fd = (int)open_at(AT_FDCWD, "append", O_RDONLY);
    expect_text(fd, "one two three four");
    EXPECT(close_fd(fd), 0);
}

static void offsets_over_4_gib_work(void)
{
    const uint64_t beyond = 5ULL << 30;
    int fd = open_new("large");
    char buf[8] = "";
    caio_op truncate = make_op(CAIO_OP_TRUNCATE, fd);
    struct file_size st;
    EXPECT(put(fd, "far", beyond), 3);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, fd, buf, 8, beyond)), 3);
    CHECK(memcmp(buf, "far", 3) == 0);
    EXPECT(fstat(fd, &st), 0);
    EXPECT(st.st_size, beyond + 3);
    truncate.offset = 2;
    EXPECT(run_op(ctx, truncate), 0);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, fd, buf, 8, 0)), 2);
    EXPECT(close_fd(fd), 0);
}

static void vectored_transfers(void)
{
    int fd = open_new("parts");
    char one[3], two[5];
    struct iovec parts[2] = {{one, 3}, {two, 5}};
    memcpy(one, "abc", 3);
    memcpy(two, "defgh", 5);
    EXPECT(run_op(ctx, transfer(CAIO_OP_WRITEV, fd, parts, 2, 1)), 8);
    memset(one, 0, 3);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READV, fd, parts, 2, 2)), 7);
    CHECK(memcmp(one, "bcd", 3) == 0 && memcmp(two, "efgh", 4) == 0);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READV, fd, parts, 1025, 0)), -EINVAL);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READV, fd, (void *)8, 2, 0)), -EFAULT);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READV, fd, parts, 0, 0)), 0);
    EXPECT(close_fd(fd), 0);
}

static void errors_are_those_of_posix(void)
{
    int fd = open_new("errors"), only_reads, dir;
    char byte;
    caio_op op = transfer(CAIO_OP_READ, fd, &byte, 1, 0);
    EXPECT(put(fd, "x", 0), 1);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, fd, (void *)8, 1, 0)), -EFAULT);
    EXPECT(run_op(ctx, transfer(CAIO_OP_WRITE, fd, (void *)8, 1, 0)), -EFAULT);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, fd, &byte, 1, 1ULL << 63)), -EINVAL);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, -1, &byte, 1, 0)), -EBADF);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, 0x7ffffffc, &byte, 1, CAIO_OFFSET_CURRENT)), -EBADF);
    EXPECT(run_op(ctx, make_op(CAIO_OP_FSYNC, 0x7ffffffc)), -EBADF);
    EXPECT(close_fd(0x7ffffffc), -EBADF);
    op.sys_flags = 0x40000000;
    EXPECT(run_op(ctx, op), -EOPNOTSUPP);
    EXPECT(open_at(AT_FDCWD, "errors", O_RDWR | O_CREAT | O_EXCL), -EEXIST);
    EXPECT(open_at(AT_FDCWD, "none", O_RDONLY), -ENOENT);
    EXPECT(open_at(AT_FDCWD, "none/none", O_RDWR | O_CREAT), -ENOENT);
    EXPECT(open_at(AT_FDCWD, "", O_RDONLY), -ENOENT);
    EXPECT(open_at(AT_FDCWD, "\xff", O_RDONLY), -EILSEQ);
    EXPECT(open_at(AT_FDCWD, NULL, O_RDONLY), -EFAULT);
    EXPECT(open_at(AT_FDCWD, (const char *)8, O_RDONLY), -EFAULT);
    only_reads = (int)open_at(AT_FDCWD, "errors", O_RDONLY);
    EXPECT(put(only_reads, "x", 0), -EBADF);
    op = make_op(CAIO_OP_TRUNCATE, only_reads);
    EXPECT(run_op(ctx, op), -EINVAL);
    EXPECT(run_op(ctx, make_op(CAIO_OP_FSYNC, only_reads)), 0);
    EXPECT(close_fd(only_reads), 0);
    EXPECT(close_fd(fd), 0);
    EXPECT(close_fd(fd), -EBADF);
    EXPECT(make_dir(AT_FDCWD, "folder"), 0);
    EXPECT(make_dir(AT_FDCWD, "folder"), -EEXIST);
    EXPECT(open_at(AT_FDCWD, "folder", O_WRONLY), -EISDIR);
    dir = (int)open_at(AT_FDCWD, "folder", O_RDONLY);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, dir, &byte, 1, 0)), -EISDIR);
    EXPECT(run_op(ctx, make_op(CAIO_OP_FSYNC, dir)), 0);
    EXPECT(close_fd(dir), 0);
    EXPECT(unlink_at(AT_FDCWD, "folder", 0), -EISDIR);
    EXPECT(unlink_at(AT_FDCWD, "errors", AT_REMOVEDIR), -ENOTDIR);
    EXPECT(unlink_at(AT_FDCWD, "errors", 0x4000), -EINVAL);
    EXPECT(unlink_at(AT_FDCWD, "folder", AT_REMOVEDIR), 0);
    EXPECT(unlink_at(AT_FDCWD, "folder", AT_REMOVEDIR), -ENOENT);
}

static void an_open_file_can_be_renamed_and_deleted(void)
{
    int fd = open_new("moving"), other;
    EXPECT(put(fd, "text", 0), 4);
    EXPECT(rename_at(AT_FDCWD, "moving", "moved", 0), 0);
    expect_text(fd, "text");
    other = open_new("in the way");
    EXPECT(close_fd(other), 0);
    EXPECT(rename_at(AT_FDCWD, "moved", "in the way", RENAME_NOREPLACE), -EEXIST);
    EXPECT(rename_at(AT_FDCWD, "moved", "in the way", 0), 0);
    EXPECT(rename_at(AT_FDCWD, "moved", "gone", 0), -ENOENT);
    EXPECT(rename_at(AT_FDCWD, "in the way", "x", 2), -EINVAL);
    EXPECT(unlink_at(AT_FDCWD, "in the way", 0), 0);
    expect_text(fd, "text");
    EXPECT(close_fd(fd), 0);
    EXPECT(open_at(AT_FDCWD, "in the way", O_RDONLY), -ENOENT);
}

static void read_only_files_are_deleted_too(void)
{
    caio_op op = path_op(CAIO_OP_OPENAT, AT_FDCWD, "locked");
    struct statx st;
    op.sys_flags = O_RDWR | O_CREAT;
    op.mode = 0400;
    EXPECT(close_fd((int)run_op(ctx, op)), 0);
    EXPECT(stat_at(AT_FDCWD, "locked", 0, &st), 0);
    EXPECT(st.stx_mode & 0222, 0);
    EXPECT(unlink_at(AT_FDCWD, "locked", 0), 0);
}

static void paths_are_relative_to_a_directory(void)
{
    int dir, inner, fd;
    char absolute[MAX_PATH + 16], *end;
    struct statx st;
    EXPECT(make_dir(AT_FDCWD, "base"), 0);
    dir = (int)open_at(AT_FDCWD, "base", O_RDONLY);
    EXPECT(make_dir(dir, "./inner//"), 0);
    inner = (int)open_at(dir, "inner", O_RDONLY);
    CHECK(inner > 0);
    fd = (int)open_at(inner, "file", O_RDWR | O_CREAT);
    EXPECT(put(fd, "inside", 0), 6);
    EXPECT(stat_at(dir, "inner/file", 0, &st), 0);
    EXPECT(st.stx_size, 6);
    EXPECT(stat_at(inner, "../inner/./file", 0, &st), 0);
    EXPECT(stat_at(inner, ".", 0, &st), 0);
    CHECK(S_ISDIR(st.stx_mode));
    EXPECT(rename_at(inner, "file", "renamed", 0), 0);
    EXPECT(stat_at(AT_FDCWD, "base/inner/renamed", 0, &st), 0);
    EXPECT(unlink_at(dir, "inner", AT_REMOVEDIR), -ENOTEMPTY);
    GetFullPathNameA("base", MAX_PATH, absolute, &end);
    EXPECT(stat_at(inner, absolute, 0, &st), 0);
    EXPECT(stat_at(fd, "x", 0, &st), -ENOTDIR);
    EXPECT(stat_at(0x7ffffffc, "x", 0, &st), -EBADF);
    EXPECT(unlink_at(inner, "renamed", 0), 0);
    EXPECT(close_fd(fd), 0);
    EXPECT(close_fd(inner), 0);
    EXPECT(unlink_at(dir, "inner", AT_REMOVEDIR), 0);
    EXPECT(close_fd(dir), 0);
    EXPECT(unlink_at(AT_FDCWD, "base", AT_REMOVEDIR), 0);
}

static void names_are_utf8_and_paths_have_any_length(void)
{
    static const char name[] = "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80"; /* u umlaut, euro sign, an emoji */
    static char path[4096], part[101];
    int fd = open_new(name);
    WIN32_FILE_ATTRIBUTE_DATA found;
    CHECK(GetFileAttributesExW(L"\x00fc\x20ac\xd83d\xde00", GetFileExInfoStandard, &found));
    EXPECT(close_fd(fd), 0);
    EXPECT(unlink_at(AT_FDCWD, name, 0), 0);
    memset(part, 'd', 100);
    for (int depth = 0; depth < 5; depth++) {
        strcat(strcat(path, depth > 0 ? "/" : ""), part);
        EXPECT(make_dir(AT_FDCWD, path), 0);
    }
    CHECK(strlen(path) > 500);
    strcat(path, "/file");
    fd = open_new(path);
    EXPECT(put(fd, "deep", 0), 4);
    EXPECT(close_fd(fd), 0);
    EXPECT(unlink_at(AT_FDCWD, path, 0), 0);
    for (int depth = 0; depth < 5; depth++) {
        *strrchr(path, depth > 0 ? '/' : '/') = 0;
        EXPECT(unlink_at(AT_FDCWD, path, AT_REMOVEDIR), 0);
    }
}

static void statx_tells_what_the_system_knows(void)
{
    int fd = open_new("stat");
    struct statx st;
    FILETIME now;
    int64_t seconds;
    EXPECT(put(fd, "12345", 0), 5);
    memset(&st, 0xff, sizeof st);
    EXPECT(stat_at(fd, "", AT_EMPTY_PATH, &st), 0);
    EXPECT(st.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
    EXPECT(st.stx_size, 5);
    EXPECT(st.stx_mode, 0100666);
    EXPECT(st.stx_nlink, 1);
    CHECK(st.stx_ino != 0);
    GetSystemTimeAsFileTime(&now);
    seconds = (int64_t)(((uint64_t)now.dwHighDateTime << 32 | now.dwLowDateTime) / 10000000) - 11644473600;
    CHECK(seconds - st.stx_mtime.tv_sec < 600 && st.stx_mtime.tv_sec - seconds < 600);
    CHECK(seconds - st.stx_btime.tv_sec < 600 && st.stx_mtime.tv_nsec < 1000000000);
    EXPECT(stat_at(fd, "", AT_EMPTY_PATH, (struct statx *)8), -EFAULT);
    EXPECT(stat_at(fd, "", 0, &st), -ENOENT);
    EXPECT(close_fd(fd), 0);
}

static void a_chain_replaces_a_file(void)
{
    static const char text[] = "new";
    int fd = open_new("temporary");
    caio_op ops[4];
    caio_event events[4];
    ops[0] = transfer(CAIO_OP_WRITE, fd, text, 3, 0);
    ops[1] = make_op(CAIO_OP_FSYNC, fd);
    ops[2] = make_op(CAIO_OP_CLOSE, fd);
    ops[3] = path_op(CAIO_OP_RENAMEAT, AT_FDCWD, "temporary");
    ops[3].buf2 = (void *)"replaced";
    ops[0].flags = CAIO_FLAG_LINK | CAIO_FLAG_FULL;
    ops[1].flags = ops[2].flags = CAIO_FLAG_LINK;
    EXPECT(caio_ctx_submit(ctx, ops, 4), 4);
    EXPECT(caio_ctx_wait(ctx, events, 4, 4, 60 * SECOND), 4);
    for (int i = 0; i < 4; i++)
        CHECK(events[i].result >= 0);
    fd = (int)open_at(AT_FDCWD, "replaced", O_RDONLY);
    expect_text(fd, "new");
    /* A failure breaks the chain. */
    ops[0] = transfer(CAIO_OP_WRITE, fd, text, 3, 0);
    ops[0].flags = CAIO_FLAG_LINK;
    ops[1] = make_op(CAIO_OP_CLOSE, fd);
    ops[1].user_data = 1;
    EXPECT(caio_ctx_submit(ctx, ops, 2), 2);
    EXPECT(caio_ctx_wait(ctx, events, 2, 2, 60 * SECOND), 2);
    EXPECT(events[events[1].user_data == 1 ? 1 : 0].result, -ECANCELED);
    EXPECT(close_fd(fd), 0);
}

static void the_null_device_takes_and_has_nothing(void)
{
    int fd = (int)open_at(AT_FDCWD, "NUL", O_RDWR);
    char byte;
    CHECK(fd > 0);
    EXPECT(put(fd, "text", 0), 4);
    EXPECT(put(fd, "text", CAIO_OFFSET_CURRENT), 4);
    EXPECT(run_op(ctx, transfer(CAIO_OP_READ, fd, &byte, 1, CAIO_OFFSET_CURRENT)), 0);
    EXPECT(close_fd(fd), 0);
}

int main(int argc, char **argv)
{
    ctx = make_ctx(CAIO_BACKEND_THREAD, argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0);
    a_transfer_at_an_offset_leaves_the_position(FILE_SHARE_READ | FILE_SHARE_WRITE);
    a_transfer_at_an_offset_leaves_the_position(0);
    the_current_position_advances_also_of_a_handle_of_overlapped_use();
    appends_go_to_the_end();
    offsets_over_4_gib_work();
    vectored_transfers();
    errors_are_those_of_posix();
    an_open_file_can_be_renamed_and_deleted();
    read_only_files_are_deleted_too();
    paths_are_relative_to_a_directory();
    names_are_utf8_and_paths_have_any_length();
    statx_tells_what_the_system_knows();
    a_chain_replaces_a_file();
    the_null_device_takes_and_has_nothing();
    caio_ctx_free(ctx);
    puts("14 passed");
    return 0;
}
