#!/bin/bash
# Under user-mode emulation, io_uring_setup and io_setup fail with ENOSYS. AUTO must choose threads and keep its promises. A
# program that a test starts runs outside the emulator, so only `tests/c/mixed.c` covers tests with a process of their own.
. "$(dirname "$0")/lib.sh"
emulator=$(command -v "qemu-$(uname -m)-static" "qemu-$(uname -m)" | head -n 1)
if [ -z "$emulator" ]; then
    echo "skipped: user-mode emulation needs qemu-user-static"
    exit 0
fi
CAIO_EMULATOR=$emulator rust_test torture_kernel emulated:: || exit 1
[ "$TORTURE" = full ] || exit 0

# The emulator has no preadv2(2), so transfers with flags and cached reads inside submit are not available.
cannot=(transfer_flags flags_have_their_effect far_too_long_for_a_stream_with_flags nowait_is_not_retried
    is_not_signalled_for_events_of_submit_poll)
# It answers transfers without iovecs itself, and does not report a bad descriptor.
cannot+=(gives_einval_for_full_without_a_transfer streams_without_blocking devices_and_other_kinds)
echo "under emulation, not tried without preadv2(2) and transfers without iovecs: ${cannot[*]}"
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
