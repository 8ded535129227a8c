#!/bin/bash
# Tests with many threads under ThreadSanitizer, with an instrumented standard library. Only in full, as this builds that
# library. It needs Debian's compiler packages, which contain its source and a runtime for clang's linker.
# SUITES='NAME...' runs the unit tests and these test programs alone.
. "$(dirname "$0")/lib.sh"
[ "$TORTURE" = full ] || exit 0
missing=()
# needs PATH PACKAGE
needs() { [ -e "$1" ] || missing+=("$2"); }
needs /usr/bin/rustc rustc-web
needs /usr/bin/cargo cargo-web
needs /usr/lib/rustlib/src/rust/library/std rust-web-src
needs /usr/bin/clang-22 clang-22
needs "$(clang-22 -print-file-name="libclang_rt.tsan-$(uname -m).a" 2>/dev/null)" libclang-rt-22-dev
[ ${#missing[@]} = 0 ] || {
    echo "skipped: ThreadSanitizer needs ${missing[*]}"
    exit 0
}

out=$PWD/target/tsan
mkdir -p "$out"
export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_PROFILE_DEV_PANIC=unwind CAIO_MODEL_SECONDS=${CAIO_MODEL_SECONDS:-60}
export RUSTFLAGS="-Zsanitizer=thread -Zexternal-clangrt -Clinker=clang-22 -Clink-arg=-fsanitize=thread -Cunsafe-allow-abi-mismatch=sanitizer"
export TSAN_OPTIONS="die_after_fork=0"

# tested WHAT ARGUMENTS...: runs cargo test with these arguments.
tested() {
    local what=$1 tests
    shift
    /usr/bin/cargo test -Zbuild-std --locked --no-fail-fast --target "$(uname -m)-unknown-linux-gnu" --target-dir "$out" "$@" \
        >"$out/log" 2>&1 || {
        grep -E -A30 '^test .*FAILED|^failed:|^hung:|^error|WARNING: ThreadSanitizer' "$out/log" | head -200
        return 1
    }
    tests=$(awk '/^test result:/ { passed += $4 } END { print passed }' "$out/log")
    echo "$tests $what pass"
    tried "$tests" "$what under ThreadSanitizer"
}
status=0
# contexts_by_the_thousand counts the process's threads, and the sanitizer adds one.
read -ra suites <<<"${SUITES:-concurrency model rust_api}"
tested "tests of concurrency" --lib "${suites[@]/#/--test=}" -- --skip=contexts_by_the_thousand || status=1
[ -z "${SUITES:-}" ] || exit $status
# Data races do not depend on values and errnos, so those modules are omitted. The whole suite takes half an hour.
promises=(blocking current exactly_once fork free full large links polling sizes stats submit syncs timeouts wait)
tested "tests of the conformance suite" --test=conformance -- "${promises[@]/%/::}" || status=1
exit $status
