#!/bin/bash
# Faults of the kernel: a system call fails once (strace --inject), accepts a part of the operations, or is forbidden
# (seccomp). Then exhausted resources of a process. Then those of the machine, whose settings this changes for a moment: in
# full unless TORTURE_MACHINE=0, in the short form with TORTURE_MACHINE=1.
. "$(dirname "$0")/lib.sh"
machine=${TORTURE_MACHINE:-$([ "$TORTURE" = full ] && echo 1)}
unset TORTURE_MACHINE
rust_test torture_kernel || exit 1
[ "$machine" = 1 ] && [ "$(id -u)" = 0 ] && [ -w /proc/sys/kernel/io_uring_disabled ] || exit 0

# The tests restore these settings themselves. This covers a test that is killed.
read -r disabled </proc/sys/kernel/io_uring_disabled
read -r requests </proc/sys/fs/aio-max-nr
restore() {
    echo "$disabled" >/proc/sys/kernel/io_uring_disabled
    echo "$requests" >/proc/sys/fs/aio-max-nr
}
trap restore EXIT
trap 'exit 130' INT TERM
TORTURE_MACHINE=1 rust_test torture_kernel machine:: --test-threads=1
