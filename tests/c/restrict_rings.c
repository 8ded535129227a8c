/* Preloaded: new rings refuse the opcodes of RESTRICT_OPCODES ("22,23") with EACCES, as a filter of Linux 7.0 does. With
 * RESTRICT_DISABLED, only rings that the program itself creates with IORING_SETUP_R_DISABLED. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef long (*system_call)(long number, ...);

static system_call real;

static int is_refused(int opcode)
{
    const char *at = getenv("RESTRICT_OPCODES");
    char *end;
    for (; at != NULL && *at != '\0'; at = *end == ',' ? end + 1 : end)
        if (strtol(at, &end, 10) == opcode)
            return 1;
    return 0;
}

/* Allows all register calls and opcodes that the library may use, except those to be refused. */
static long restrict_ring(long ring)
{
    static const unsigned char registers[] = {
        IORING_REGISTER_EVENTFD, IORING_REGISTER_EVENTFD_ASYNC, IORING_UNREGISTER_EVENTFD, IORING_REGISTER_PROBE,
        IORING_REGISTER_ENABLE_RINGS, 19 /* IORING_REGISTER_IOWQ_MAX_WORKERS */};
    struct io_uring_restriction allowed[64];
    unsigned count = 0, at;
    memset(allowed, 0, sizeof allowed);
    for (at = 0; at < sizeof registers; at++) {
        allowed[count].opcode = IORING_RESTRICTION_REGISTER_OP;
        allowed[count++].register_op = registers[at];
    }
    for (at = 0; at <= IORING_OP_STATX + 10; at++) {
        if (is_refused((int)at))
            continue;
        allowed[count].opcode = IORING_RESTRICTION_SQE_OP;
        allowed[count++].sqe_op = (unsigned char)at;
    }
    return real(SYS_io_uring_register, ring, (long)IORING_REGISTER_RESTRICTIONS, (long)allowed, (long)count);
}

static long set_up(long entries, struct io_uring_params *params)
{
    int disabled = (params->flags & IORING_SETUP_R_DISABLED) != 0;
    long ring;
    if (getenv("RESTRICT_OPCODES") == NULL || (getenv("RESTRICT_DISABLED") != NULL && !disabled))
        return real(SYS_io_uring_setup, entries, (long)params);
    params->flags |= IORING_SETUP_R_DISABLED;
    ring = real(SYS_io_uring_setup, entries, (long)params);
    if (ring < 0)
        return ring;
    if (restrict_ring(ring) < 0
        || (!disabled && real(SYS_io_uring_register, ring, (long)IORING_REGISTER_ENABLE_RINGS, 0L, 0L) < 0)) {
        close((int)ring);
        errno = EUCLEAN; /* an errno that no test expects */
        return -1;
    }
    return ring;
}

long syscall(long number, ...)
{
    long a[6];
    va_list arguments;
    int i;
    if (real == NULL) {
        void *found = dlsym(RTLD_NEXT, "syscall");
        memcpy(&real, &found, sizeof real);
    }
    va_start(arguments, number);
    for (i = 0; i < 6; i++)
        a[i] = va_arg(arguments, long);
    va_end(arguments);
    if (number == SYS_io_uring_setup)
        return set_up(a[0], (struct io_uring_params *)a[1]);
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
