#!/bin/bash
# The fuzzer on the C calls: 20 minutes, with AddressSanitizer. The short form is the replay of its corpus in cargo test.
#   FUZZ_SECONDS=N   so long      FUZZ_CORPUS=DIR   keeps what is found there
. "$(dirname "$0")/lib.sh"
[ "$TORTURE" = full ] || exit 0
if ! "$CARGO" fuzz --version >/dev/null 2>&1; then
    echo "skipped: fuzzing needs cargo-fuzz (cargo install cargo-fuzz)"
    exit 0
fi
seconds=${FUZZ_SECONDS:-1200}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export CAIO_FUZZ_DIR=$scratch RUSTC_BOOTSTRAP=1 # the sanitizer's flags, with any compiler
found=${FUZZ_CORPUS:-$scratch/found}
mkdir -p "$found"
cd fuzz || exit 1
"$CARGO" fuzz run calls "$found" corpus/calls -- \
    -max_total_time="$seconds" -timeout=120 -max_len=2000 -print_final_stats=1 >"$scratch/log" 2>&1 || {
    grep -vE '^#[0-9]+' "$scratch/log" | tail -60
    exit 1
}
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$scratch/log")
echo "$runs programs in $seconds s, none fails"
tried "$runs" "fuzzed programs of C calls, under AddressSanitizer"
