#!/bin/bash
# The Rust API under Miri, with a simulated core: no operation's memory is freed, moved or accessed before its event. With both
# models of aliasing. Only in full, as it builds the standard library.
. "$(dirname "$0")/lib.sh"
[ "$TORTURE" = full ] || exit 0
if ! "$CARGO" +nightly miri --version >/dev/null 2>&1; then
    echo "skipped: Miri needs rustup component add --toolchain nightly miri rust-src; make check-sanitizers runs these tests on the real core"
    exit 0
fi
out=$PWD/target/miri
mkdir -p "$out"

# run FLAGS ARGUMENTS...: runs the tests that the arguments select.
run() {
    MIRIFLAGS="-Zmiri-disable-isolation $1" CARGO_TARGET_DIR=$out "$CARGO" +nightly miri test --locked --lib "${@:2}" >"$out/log" 2>&1 || {
        grep -aE -A40 '^test .*FAILED|^error' "$out/log" | head -200
        exit 1
    }
    awk '/^test result:/ { passed += $4 } END { print passed }' "$out/log"
}

tests=0
for model in "" -Zmiri-tree-borrows; do
    for seed in 1 2; do
        passed=$(run "$model -Zmiri-seed=$seed" api:: -- --skip forgotten) || { echo "$passed"; exit 1; }
        forgotten=$(run "$model -Zmiri-seed=$seed -Zmiri-ignore-leaks" forgotten) || { echo "$forgotten"; exit 1; }
        tests=$((tests + passed + forgotten))
    done
done
echo "$tests tests pass"
tried "$tests" "tests under Miri"
