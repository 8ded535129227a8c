/* Stops threads before system calls, with seccomp_unotify(2). */
#ifndef HELD_H
#define HELD_H

#include "check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define HELD_SKIPPED "skipped: holding a thread at a system call needs a kernel with SECCOMP_USER_NOTIF_FLAG_CONTINUE (5.5)\n"

/* Installs the filter for the calling thread and the threads that it starts. They stop before the calls that the filter selects,
 * until the owner of the returned listener lets them go on. Returns a negative number if the kernel refuses. */
static inline int hold_here(struct sock_filter *filter, size_t length)
{
    struct sock_fprog program = {(unsigned short)length, filter};

    EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

/* Waits for the listener that another thread stores at `place`, which is -1 before. */
static inline int listener_of(const int *place)
{
    while (__atomic_load_n(place, __ATOMIC_ACQUIRE) == -1)
        sched_yield();
    return *place;
}

/* Gets the next system call of a stopped thread. Returns 0 when all these threads have exited. */
static inline int next_call(int listener, struct seccomp_notif *call)
{
    struct pollfd waits = {.fd = listener, .events = POLLIN};

    for (;;) {
        memset(call, 0, sizeof *call);
        CHECK(poll(&waits, 1, -1) == 1);
        if (!(waits.revents & POLLIN))
            return 0;
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, call) == 0)
            return 1;
        CHECK(errno == EINTR || errno == ENOENT); /* ENOENT: the thread has exited */
    }
}

/* Lets the thread make its system call. */
static inline void let_go(int listener, const struct seccomp_notif *call)
{
    struct seccomp_notif_resp go = {.id = call->id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

    CHECK(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &go) == 0 || errno == ENOENT);
}

#endif
