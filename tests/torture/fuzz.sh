#!/bin/bash
# The fuzzer on the C calls: 20 minutes, with AddressSanitizer. The short form is the replay of its corpus in cargo test.
#   FUZZ_SECONDS=N   so long      FUZZ_CORPUS=DIR   keeps what is found there
# What was found becomes part of the corpus, minimized, by the program that `cargo fuzz build` makes, with absolute paths:
# `calls -merge=1 -use_counters=0 NEW DIR fuzz/corpus/calls`. (With the counters it reads only a part of its own notes.)
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
export CAIO_FUZZ_DIR=$scratch RUSTC_BOOTSTRAP=1 # the sanitizer's flags, with any compiler
mkdir -p "${FUZZ_CORPUS:-$scratch/found}" fuzz/artifacts/calls
found=$(realpath "${FUZZ_CORPUS:-$scratch/found}")
host=$(rustc -vV | sed -n 's/^host: //p')
cd fuzz || exit 1
"$CARGO" fuzz build calls >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }

# Seconds are counted, and a program that hangs is found by itself: a clock goes on while all of this is stopped. The programs
# change the working directory. It runs so long in any case, so others go first.
nice -n 19 "${CARGO_TARGET_DIR:-target}/$host/release/calls" "$found" "$PWD/corpus/calls" -artifact_prefix="$PWD/artifacts/calls/" \
    -timeout=7200 -report_slow_units=7200 -max_len=2000 -len_control=0 -print_final_stats=1 >"$scratch/log" 2>&1 &
fuzzer=$!
for ((left = seconds; left > 0; left--)); do
    sleep 1
    kill -0 "$fuzzer" 2>/dev/null || break
done
kill -USR1 "$fuzzer" 2>/dev/null # it ends well
if ! wait "$fuzzer" || [ "$left" != 0 ]; then
    grep -avE '^#[0-9]+' "$scratch/log" | tail -60
    exit 1
fi
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$scratch/log")
echo "$runs programs in $seconds s, none fails; $(grep -a '^#' "$scratch/log" | tail -n 1)"
tried "$runs" "fuzzed programs of C calls, under AddressSanitizer"
