#!/bin/bash
# Under user-mode emulation, where io_uring_setup and io_setup answer ENOSYS: AUTO ends on threads, and works.
. "$(dirname "$0")/lib.sh"
[ "$TORTURE" = full ] || exit 0
emulator=$(command -v "qemu-$(uname -m)-static" "qemu-$(uname -m)" | head -n 1)
if [ -z "$emulator" ]; then
    echo "skipped: user-mode emulation needs qemu-user-static"
    exit 0
fi
CAIO_EMULATOR=$emulator rust_test torture_kernel emulated::
