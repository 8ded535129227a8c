#!/bin/bash
# The tests and the C programs under AddressSanitizer and LeakSanitizer. Only in full, as this builds everything again.
# SUITES='NAME...' runs the unit tests and these test programs alone.
. "$(dirname "$0")/lib.sh"
[ "$TORTURE" = full ] || exit 0
host=$(rustc -vV | sed -n 's/^host: //p')
out=$PWD/target/asan
mkdir -p "$out"
# RUSTC_BOOTSTRAP lets a stable compiler accept the sanitizers' flags. The quarantine is small, as some tests measure memory.
export RUSTC_BOOTSTRAP=1 ASAN_OPTIONS=quarantine_size_mb=4 CAIO_MODEL_SECONDS=${CAIO_MODEL_SECONDS:-60}

read -ra suites <<<"${SUITES:-alloc concurrency fallback fuzz_corpus hostile model rust_api security submit_stall}"
# Not run here: tests that limit the address space, as the sanitizer needs it too. Another one forbids process_vm_readv(2).
# Then write(2) reads a path page by page, and so beyond the end of its buffer.
# One more leaks a context on purpose, and runs behind the others without the search for leaks.
skipped_tests=(huge_numbers_in_options little_memory no_process_vm_readv forgotten)
RUSTFLAGS=-Zsanitizer=address "$CARGO" test --locked --no-fail-fast --target "$host" --target-dir "$out" --lib "${suites[@]/#/--test=}" \
    -- "${skipped_tests[@]/#/--skip=}" >"$out/log" 2>&1 || {
    grep -E -A40 '^test .*FAILED|^failed:|^hung:|^error|ERROR: (Address|Leak)Sanitizer' "$out/log" | head -200
    exit 1
}
tests=$(awk '/^test result:/ { passed += $4 } END { print passed }' "$out/log")
ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 RUSTFLAGS=-Zsanitizer=address "$CARGO" test --quiet --locked --target "$host" --target-dir "$out" \
    --lib forgotten >"$out/log" 2>&1 && grep -q '1 passed' "$out/log" || { tail -50 "$out/log"; exit 1; }
tests=$((tests + 1))
echo "$tests tests pass"
tried "$tests" "tests under AddressSanitizer and LeakSanitizer"
[ -z "${SUITES:-}" ] || exit 0

# The C programs. The library uses the C compiler's sanitizer runtime too.
RUSTFLAGS='-Zsanitizer=address -Zexternal-clangrt' "$CARGO" rustc --quiet --locked --target "$host" --target-dir "$out/c" \
    --lib --crate-type staticlib --features capi || exit 1
for name in tour exit_live mixed shown; do
    ${CC:-cc} -std=gnu11 -g -O1 -pthread -fsanitize=address -Iinclude -o "$out/$name" "tests/c/$name.c" \
        "$out/c/$host/debug/libcaio.a" || exit 1
done

programs=0 status=0
# c_program STATUS PROGRAM [ARGUMENTS...]: fails unless the program exits with STATUS. A sanitizer's report changes the status.
c_program() {
    local wanted=$1 name=$2 got=0
    shift 2
    (cd "$out" && exec "./$name" "$@") >"$out/log" 2>&1 || got=$?
    programs=$((programs + 1))
    [ "$got" = "$wanted" ] || {
        echo "$name $* exits with $got, not $wanted"
        head -60 "$out/log"
        status=1
    }
}
no_inline=4
# No forks: another thread may hold a lock of the sanitizer's allocator, which then stays locked in the child (gcc 12).
for backend in 1 2 3; do
    c_program 0 tour "$backend"
    c_program 0 tour "$backend" "$no_inline"
    c_program 0 mixed "$backend" 0 "$out" 12
    c_program 0 mixed "$backend" "$no_inline" "$out" 12
    c_program 0 shown "$backend"
    for how in main exit thread; do
        c_program 3 exit_live "$backend" "$how"
    done
done
echo "$programs runs of C programs"
tried "$programs" "runs of C programs under AddressSanitizer and LeakSanitizer"
exit $status
