/* Runs a program in which io_submit and io_uring_enter accept only a part of what they are given, as kernels may do:
 * short_submit FILE PROGRAM ARGUMENT... A filter stops each such call for this tracer, which halves its count. FILE gets
 * the number of calls that it changed. x86-64 only. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static void stop_at(unsigned first, unsigned second)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, first, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, second, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("seccomp");
        _exit(126);
    }
}

static unsigned shortened;

/* The count is the second argument of both calls. */
static void shorten(pid_t thread)
{
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, thread, NULL, &registers) != 0)
        return;
    unsigned long count = (unsigned)registers.rsi;
    if (count < 2)
        return;
    registers.rsi = count / 2 + (count & 1);
    if (ptrace(PTRACE_SETREGS, thread, NULL, &registers) == 0)
        shortened++;
}

static int ended(const char *file, int code)
{
    FILE *count = fopen(file, "w");
    if (count == NULL || fprintf(count, "%u\n", shortened) < 0 || fclose(count) != 0) {
        perror(file);
        return 1;
    }
    return code;
}

/* Lets a stopped thread go on, with the signal that it stopped for, if that is the program's own. */
static void go_on(pid_t thread, int status)
{
    int event = status >> 16, signal = WSTOPSIG(status);
    if (event == PTRACE_EVENT_SECCOMP)
        shorten(thread);
    /* A new thread begins with a SIGSTOP. */
    if (event != 0 || signal == SIGSTOP || signal == SIGTRAP)
        signal = 0;
    ptrace(PTRACE_CONT, thread, NULL, (void *)(long)signal);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    pid_t program = fork();
    if (program < 0) {
        perror("fork");
        return 1;
    }
    if (program == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        stop_at(SYS_io_submit, SYS_io_uring_enter);
        execvp(argv[2], argv + 2);
        perror(argv[2]);
        _exit(127);
    }
    int status;
    if (waitpid(program, &status, 0) != program || !WIFSTOPPED(status)) {
        fprintf(stderr, "the program cannot be traced\n");
        return 1;
    }
    long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SETOPTIONS, program, NULL, (void *)options) != 0) {
        perror("ptrace");
        return 1;
    }
    ptrace(PTRACE_CONT, program, NULL, NULL);
    for (;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0 && errno != EINTR)
            return 1;
        if (thread > 0 && WIFSTOPPED(status))
            go_on(thread, status);
        else if (thread == program && WIFEXITED(status))
            return ended(argv[1], WEXITSTATUS(status));
        else if (thread == program && WIFSIGNALED(status))
            return ended(argv[1], 128 + WTERMSIG(status));
    }
}
