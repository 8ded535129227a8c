/* What the file system of a path supports. Nothing stays behind: a directory gets an unnamed file. */
#include "caio-probe.h"
#include "../file/file.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

enum { BLOCK = 4096 };

static int try_direct(int fd, void *buf, size_t size)
{
    return pread(fd, buf, size, 0) < 0 ? errno : 0;
}

/* O_DIRECT is set after open(2), so that an error does not prevent the other tests. */
static void examine_direct(int fd, char *buf, struct path_facts *facts)
{
    int flags = fcntl(fd, F_GETFL);
    if (fcntl(fd, F_SETFL, flags | O_DIRECT) < 0) {
        facts->direct = errno;
        return;
    }
    bool known = direct_alignment(fd, buf, &facts->memory, &facts->offset);
    facts->direct = known ? try_direct(fd, buf, facts->offset) : EINVAL;
    fcntl(fd, F_SETFL, flags);
}

static void examine_nowait(int fd, bool writable, char *buf, struct path_facts *facts)
{
    struct iovec part = {.iov_base = buf, .iov_len = BLOCK};
    if (preadv2(fd, &part, 1, 0, RWF_NOWAIT) < 0 && errno != EAGAIN)
        facts->nowait_read = errno;
    else
        facts->nowait_read = 0;
    if (!writable)
        return;
    facts->nowait_write = pwritev2(fd, &part, 1, 0, RWF_NOWAIT) < 0 && errno != EAGAIN ? errno : 0;
}

static int open_path(const char *path, bool *writable)
{
    struct stat st;
    *writable = false;
    if (stat(path, &st) < 0)
        return -1;
    if (!S_ISDIR(st.st_mode)) {
        if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) /* opening a FIFO or a device can have effects */
            return open(path, O_RDONLY | O_CLOEXEC);
        errno = EINVAL;
        return -1;
    }
    *writable = true;
    return open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

struct path_facts examine_path(const char *path)
{
    struct path_facts facts = {.type = "unknown", .nowait_read = -1, .nowait_write = -1};
    const char *type;
    bool writable;
    int fd = open_path(path, &writable);
    char *buf = fd < 0 ? NULL : aligned_alloc(DIRECT_LARGEST, DIRECT_LARGEST);
    if (!buf || (writable && pwrite(fd, memset(buf, 1, BLOCK), BLOCK, 0) != BLOCK)) {
        facts.error = errno;
    } else {
        type = file_system_of(fd);
        facts.type = type ? type : "unknown";
        examine_nowait(fd, writable, buf, &facts);
        examine_direct(fd, buf, &facts);
    }
    free(buf);
    if (fd >= 0)
        close(fd);
    return facts;
}
