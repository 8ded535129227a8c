#!/bin/bash
# `make check`: runs every test, then prints one summary. It continues after a failure. A test without a program that it needs
# prints "skipped: ... needs PACKAGE".
set -u
cd "$(dirname "$0")/../.." || exit 1
log=$(mktemp)
TALLY=$(mktemp)
export TALLY
trap 'rm -f "$log" "$TALLY"' EXIT
trap 'exit 130' INT TERM
cargo=${CARGO:-cargo} make=${MAKE:-make}
summary=() status=0

# step NAME COMMAND...: runs one step, and copies its output to the log.
step() {
    local name=$1 from outcome=ok start=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    from=$(($(wc -l <"$log") + 1))
    "$@" 2>&1 | tee -a "$log"
    [ "${PIPESTATUS[0]}" = 0 ] || { outcome=FAILED status=1; }
    summary+=("$(printf '%-12s %-7s %5d s  %s' "$name" "$outcome" $((SECONDS - start)) "$(tail -n "+$from" "$log" | rust_tests)")")
}

# Adds up the results of the Rust test programs and of pytest.
rust_tests() {
    awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
         /^PASSED [0-9]+ tests/ { passed += $2 }
         /^[0-9]+ (passed|failed).* in [0-9.]+s/ {
             for (i = 1; i < NF; i++) { if ($(i + 1) ~ /^passed/) passed += $i; if ($(i + 1) ~ /^failed/) failed += $i }
         }
         END { if (passed + failed + ignored) printf "%d passed, %d failed, %d ignored", passed, failed, ignored }'
}

lint() {
    if "$cargo" clippy --version >/dev/null 2>&1 && "$cargo" fmt --version >/dev/null 2>&1; then
        "$make" --no-print-directory lint
    else
        echo "skipped: lint needs clippy and rustfmt (rustup component add clippy rustfmt)"
    fi
}

step lint lint
# Many tests wait for something, so that more of them run at once than there are processors.
step "cargo test" env RUST_TEST_THREADS="${RUST_TEST_THREADS:-$((2 * $(getconf _NPROCESSORS_ONLN)))}" "$cargo" test --locked --no-fail-fast -- --show-output
step systest "$cargo" test --manifest-path tests/systest/Cargo.toml
step loom "$make" --no-print-directory check-loom
for suite in install tracing caio_cp tools httpd site valgrind; do
    step "$suite" "tests/shell/$suite.sh"
done
step dist env DIST=short tests/shell/dist.sh
step package env PACKAGE=short tests/shell/package.sh
step ecosystem env ECOSYSTEM=short tests/shell/ecosystem.sh
step torture env TORTURE=short tests/shell/torture.sh
step windows env WINDOWS=short tests/shell/windows.sh
step python tests/shell/python.sh

printf '\n== Summary\n'
printf '%s\n' "${summary[@]}"
awk '{ passed += $1; failed += $2; skipped += $3 }
     END { printf "shell tests: %d passed, %d failed, %d skipped\n", passed, failed, skipped }' "$TALLY"
grep -a '^skipped:' "$log" | sort -u
exit $status
