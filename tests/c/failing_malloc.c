/* A library to preload. Allocation number FAIL_MALLOC after the program's mark fails, once. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static long left = -1;

/* The program's mark is a write to descriptor -1. It starts the count. */
ssize_t write(int fd, const void *bytes, size_t size)
{
    const char *number = getenv("FAIL_MALLOC");
    if (fd == -1 && number != NULL)
        __atomic_store_n(&left, atol(number), __ATOMIC_RELAXED);
    return syscall(SYS_write, fd, bytes, size);
}

static int fails(void)
{
    if (__atomic_load_n(&left, __ATOMIC_RELAXED) < 0 || __atomic_sub_fetch(&left, 1, __ATOMIC_RELAXED) != 0)
        return 0;
    __atomic_store_n(&left, -1, __ATOMIC_RELAXED);
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails() ? NULL : __libc_realloc(old, size);
}
