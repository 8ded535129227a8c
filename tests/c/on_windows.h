/* For C tests on Windows: POSIX names for what they use, on handles and sockets. */
#ifndef ON_WINDOWS_H
#define ON_WINDOWS_H

#define WIN32_LEAN_AND_MEAN
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0602
#endif
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <caio.h>

#define iovec caio_iovec
#define statx caio_statx

/* Flags that Windows' C runtime lacks, in the numbers of Linux. */
#define AT_FDCWD (-100)
#define AT_SYMLINK_NOFOLLOW 0x100
#define AT_REMOVEDIR 0x200
#define AT_SYMLINK_FOLLOW 0x400
#define AT_EMPTY_PATH 0x1000
#define RENAME_NOREPLACE 1
#define RWF_DSYNC 2
#define RWF_APPEND 16
#define STATX_BASIC_STATS 0x7ffU
#define STATX_BTIME 0x800U
#define O_CLOEXEC _O_NOINHERIT
#define SEEK_DATA 3
#define SEEK_HOLE 4
#define UTIME_NOW ((1L << 30) - 1)
#define UTIME_OMIT ((1L << 30) - 2)
/* The library's own; see caio-windows(7). */
#define O_DIRECTORY 0x10000000
#define O_NOFOLLOW 0x40000000
#define F_GETFD 1
#define FD_CLOEXEC 1
#ifndef S_ISDIR
#define S_ISDIR(mode) (((mode) & 0170000) == 0040000)
#endif

static inline HANDLE handle_of(int fd)
{
    return (HANDLE)(intptr_t)fd;
}

static inline int fd_of(HANDLE handle)
{
    return (int)(intptr_t)handle;
}

/* fcntl(fd, F_GETFD) */
static inline int fcntl(int fd, int what)
{
    DWORD flags;
    (void)what;
    if (!GetHandleInformation(handle_of(fd), &flags))
        return -1;
    return flags & HANDLE_FLAG_INHERIT ? 0 : FD_CLOEXEC;
}

static inline int64_t seek_handle(int fd, int64_t offset, int whence)
{
    LARGE_INTEGER by, at;
    by.QuadPart = offset;
    return SetFilePointerEx(handle_of(fd), by, &at, (DWORD)whence) ? at.QuadPart : -1;
}
#define lseek seek_handle

struct file_size {
    int64_t st_size;
};

static inline int size_of_handle(int fd, struct file_size *to)
{
    LARGE_INTEGER size;
    if (!GetFileSizeEx(handle_of(fd), &size))
        return -1;
    to->st_size = size.QuadPart;
    return 0;
}
#define stat file_size
#define fstat size_of_handle

/* An anonymous pipe, whose ends are handles of synchronous use. */
static inline int pipe2(int ends[2], int flags)
{
    HANDLE reader, writer;
    (void)flags;
    if (!CreatePipe(&reader, &writer, NULL, 0))
        return -1;
    ends[0] = fd_of(reader);
    ends[1] = fd_of(writer);
    return 0;
}

/* write(2) to a handle, or to a standard descriptor of the C runtime: no handle is that small. */
static inline int write_handle(int fd, const void *buf, DWORD count)
{
    DWORD done;
    if (fd <= 2)
        return write(fd, buf, count);
    return WriteFile(handle_of(fd), buf, count, &done, NULL) ? (int)done : -1;
}
#define write write_handle

#define RTLD_NOW 0
#define RTLD_LOCAL 0
#define RTLD_NOLOAD 4

static inline void *dlopen(const char *path, int flags)
{
    HMODULE module = NULL;
    if (flags & RTLD_NOLOAD)
        return GetModuleHandleExA(0, path, &module) ? (void *)module : NULL;
    return (void *)LoadLibraryA(path);
}

static inline void *dlsym(void *library, const char *name)
{
    FARPROC found = GetProcAddress((HMODULE)library, name);
    void *symbol;
    memcpy(&symbol, &found, sizeof symbol);
    return symbol;
}

static inline int dlclose(void *library)
{
    return FreeLibrary((HMODULE)library) ? 0 : -1;
}

/* mkstemp(3), of a file that is deleted when it is closed */
static inline int temporary_file(const char *name)
{
    const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    return fd_of(CreateFileA(name, GENERIC_READ | GENERIC_WRITE | DELETE, share, NULL, CREATE_ALWAYS, FILE_FLAG_DELETE_ON_CLOSE, NULL));
}
#define mkstemp temporary_file
#define unlink(name) ((void)(name), 0)

static inline void start_sockets(void)
{
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
}

struct pollfd_of_int {
    int fd;
    short events, revents;
};

static inline int poll_sockets(struct pollfd_of_int *ours, unsigned count, int timeout)
{
    WSAPOLLFD theirs[8];
    int ready;
    start_sockets();
    for (unsigned i = 0; i < count; i++) {
        theirs[i].fd = (SOCKET)ours[i].fd;
        theirs[i].events = POLLRDNORM;
        theirs[i].revents = 0;
    }
    ready = WSAPoll(theirs, count, timeout);
    for (unsigned i = 0; i < count; i++)
        ours[i].revents = theirs[i].revents;
    return ready;
}
#define pollfd pollfd_of_int
#define poll poll_sockets

#endif
