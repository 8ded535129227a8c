#!/bin/bash
# Fuzzes the C calls for 20 minutes, with AddressSanitizer. Instead of a short form, cargo test replays the corpus.
#   FUZZ_SECONDS=N   the time in seconds      FUZZ_CORPUS=DIR   keeps the inputs that the fuzzer finds
# To add these inputs to the corpus, minimized, run the program that `cargo fuzz build` makes, with absolute paths:
# `calls -merge=1 -use_counters=0 NEW DIR fuzz/corpus/calls`. (With the counters it reads only a part of its control file.)
. "$(dirname "$0")/lib.sh"
[ "$TORTURE" = full ] || exit 0
if ! "$CARGO" fuzz --version >/dev/null 2>&1; then
    echo "skipped: fuzzing needs cargo-fuzz (cargo install cargo-fuzz)"
    exit 0
fi
seconds=${FUZZ_SECONDS:-1200}
scratch=$(mktemp -d)
trap 'kill "$fuzzer" 2>/dev/null; rm -rf "$scratch"' EXIT
fuzzer=
export CAIO_FUZZ_DIR=$scratch RUSTC_BOOTSTRAP=1 # a stable compiler accepts the sanitizer's flags
mkdir -p "${FUZZ_CORPUS:-$scratch/found}" fuzz/artifacts/calls
found=$(realpath "${FUZZ_CORPUS:-$scratch/found}")
host=$(rustc -vV | sed -n 's/^host: //p')
cd fuzz || exit 1
"$CARGO" fuzz build calls >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }

# Counts seconds of sleep, because a clock also runs while the machine is suspended. Each program detects its own hangs. All
# paths are absolute, because the programs change the working directory. The time is fixed, so the priority is low.
nice -n 19 "${CARGO_TARGET_DIR:-target}/$host/release/calls" "$found" "$PWD/corpus/calls" -artifact_prefix="$PWD/artifacts/calls/" \
    -timeout=7200 -report_slow_units=7200 -max_len=2000 -len_control=0 -print_final_stats=1 >"$scratch/log" 2>&1 &
fuzzer=$!
for ((left = seconds; left > 0; left--)); do
    sleep 1
    kill -0 "$fuzzer" 2>/dev/null || break
done
kill -USR1 "$fuzzer" 2>/dev/null # libFuzzer then exits with status 0
if ! wait "$fuzzer" || [ "$left" != 0 ]; then
    grep -avE '^#[0-9]+' "$scratch/log" | tail -60
    exit 1
fi
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$scratch/log")
echo "$runs programs in $seconds s, none fails; $(grep -a '^#' "$scratch/log" | tail -n 1)"
tried "$runs" "fuzzed programs of C calls, under AddressSanitizer"
