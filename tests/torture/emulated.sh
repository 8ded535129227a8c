#!/bin/bash
# Under user-mode emulation, where io_uring_setup and io_setup answer ENOSYS: AUTO ends on threads, and keeps what caio(7)
# promises. Programs that a test starts run outside: what needs a process of its own is tried by `tests/c/mixed.c` alone.
. "$(dirname "$0")/lib.sh"
emulator=$(command -v "qemu-$(uname -m)-static" "qemu-$(uname -m)" | head -n 1)
if [ -z "$emulator" ]; then
    echo "skipped: user-mode emulation needs qemu-user-static"
    exit 0
fi
CAIO_EMULATOR=$emulator rust_test torture_kernel emulated:: || exit 1
[ "$TORTURE" = full ] || exit 0

# What the emulator cannot do. It has no preadv2(2): transfers with flags, and reads at once of what is cached, are not to be had.
cannot=(transfer_flags flags_that_mean_something far_too_long_with_flags nowait_is_the_callers is_not_disturbed_by_submit_poll)
# It answers transfers of no iovecs by itself, so that a bad descriptor goes unnoticed.
cannot+=(refuses_full_without_a_transfer streams_without_blocking devices_and_the_rest)
echo "under emulation, not tried for want of preadv2(2) and of transfers of nothing: ${cannot[*]}"
program=$("$CARGO" test --locked --test conformance --no-run 2>&1 | sed -n 's/.*Executable.*(\(.*\))/\1/p')
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2046 # two words for each
"$emulator" "$program" --test-threads=2 auto:: thread:: $(printf -- '--skip %s ' "${cannot[@]}") >"$log" 2>&1
if passed=$(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$log") && [ -n "$passed" ]; then
    grep -a '^skipped' "$log" | sed 's/^/under emulation: /'
    tried "$passed" "tests of the conformance suite on AUTO and threads, under user-mode emulation"
else
    echo "FAILED  the conformance suite under $emulator"
    tail -n 100 "$log"
    exit 1
fi
