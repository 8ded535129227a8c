/* Threads that are held before system calls, by seccomp's user notification (seccomp_unotify(2)). */
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

/* The calling thread, and those that it starts, wait at the calls that the filter says for who has the descriptor that this
 * returns; a negative number if the kernel refuses. */
static inline int hold_here(struct sock_filter *filter, size_t length)
{
    struct sock_fprog program = {(unsigned short)length, filter};

    EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

/* A listener that another thread makes and puts there; -1 before that. */
static inline int listener_of(const int *place)
{
    while (__atomic_load_n(place, __ATOMIC_ACQUIRE) == -1)
        sched_yield();
    return *place;
}

/* One system call of a thread that is held; 0 if all of them are gone. */
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
        CHECK(errno == EINTR || errno == ENOENT); /* ENOENT: it is gone */
    }
}

/* It goes on. */
static inline void let_go(int listener, const struct seccomp_notif *call)
{
    struct seccomp_notif_resp go = {.id = call->id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

    CHECK(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &go) == 0 || errno == ENOENT);
}

#endif
