#!/bin/bash
# `make check-targets`: builds for other systems and runs what can run here, natively or under qemu-user. Prints a table.
# tests/shell/targets.sh [TARGET...] does this for some. TARGETS=short runs the quick tests only, also natively.
set -u
cd "$(dirname "$0")/../.." || exit 1
root=$PWD cargo=${CARGO:-cargo} out=${CARGO_TARGET_DIR:-$PWD/target}
work=$out/targets log=$out/targets/log status=0 table=()
mkdir -p "$work" && : >"$log" || exit 1
# The io-uring crate refuses 32-bit and s390x; tests/kernel_abi.rs compares its structures with the kernel's.
export RUSTFLAGS="${RUSTFLAGS:-} --cfg=io_uring_skip_arch_check" CARGO_PROFILE_RELEASE_DEBUG=0 RUST_BACKTRACE=0

# target | C compiler and its Debian package | emulator, or "native"
targets='i686-unknown-linux-gnu i686-linux-gnu-gcc gcc-i686-linux-gnu native
x86_64-unknown-linux-musl musl-gcc musl-tools native
s390x-unknown-linux-gnu s390x-linux-gnu-gcc gcc-s390x-linux-gnu s390x
aarch64-unknown-linux-gnu aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu aarch64
armv7-unknown-linux-gnueabihf arm-linux-gnueabihf-gcc gcc-arm-linux-gnueabihf arm
riscv64gc-unknown-linux-gnu riscv64-linux-gnu-gcc gcc-riscv64-linux-gnu riscv64
aarch64-unknown-linux-musl aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu aarch64
x86_64-unknown-linux-gnu.2.17 cc gcc native
x86_64-linux-posix cc gcc native
x86_64-unknown-freebsd cc gcc -
aarch64-apple-darwin cc gcc -
x86_64-apple-darwin cc gcc -
x86_64-pc-windows-gnu x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64-win32 wine
x86_64-pc-windows-gnullvm cc gcc -
x86_64-pc-windows-msvc cc gcc -'

# Modules of the conformance suite that are quick under emulation.
quick=(current full links sizes stats polling fork large submit errno::paths exactly_once)
# What qemu-user cannot do:
# - It checks no descriptor in a transfer of no iovecs, and returns 0 instead of EBADF.
# - In a child of fork(2) that creates threads, it hangs on a lock of its own.
# - It has neither preadv2(2) nor io_uring, so nothing stops a read when another one was faster.
cannot=(gives_einval_for_full_without_a_transfer a_child_can_create_its_own_context count_submitted_completed_and_cancelled)

have() { command -v "$1" >/dev/null 2>&1; }
skip() { echo "skipped: $1 needs $2"; }
passed() { sed -n 's/^test result: .* \([0-9]*\) passed; .*/\1/p' "$1" | awk '{ sum += $1 } END { print sum + 0 }'; }
program() { find "$1" -maxdepth 1 -type f -executable -name "$2-*" ! -name '*.so' -printf '%T@ %p\n' | sort -n | sed -n '$s/^[^ ]* //p'; }

# try WHAT COMMAND...: "yes", or "FAILED" and the end of the output.
try() {
    local what=$1
    shift
    if "$@" >"$work/output" 2>&1; then cat "$work/output" >>"$log"; answer=yes; return; fi
    cat "$work/output" >>"$log"
    echo "FAILED  $target: $what" && grep -aE 'error|FAILED|panicked|hung' "$work/output" | head -n 20 || tail -n 20 "$work/output"
    answer=FAILED status=1
    return 1
}

# The standard library of the target: rustup's, or compiled by Debian's rustc-web. DEBIAN=1 takes the latter.
choose_toolchain() {
    build=(--locked --target "$triple")
    [ -z "${DEBIAN:-}" ] && [ -d "$(rustc --print target-libdir --target "$triple" 2>/dev/null)" ] && return
    [ -d /usr/lib/rustlib/src/rust/library ] || [ -d /usr/src/rustc-*/library ] || return
    export RUSTC_BOOTSTRAP=1 CARGO_PROFILE_DEV_PANIC=unwind PATH=/usr/bin:$PATH
    build+=(-Zbuild-std)
}

# c_tests LIBRARY...: the C programs, linked with the library, on each backend that the system has.
c_tests() {
    local library=$1 backends=(1 2 3) name backend
    [ "$emulator" = native ] || backends=(3)
    for name in tour fork exit_live; do
        $compile -std=gnu11 -O1 -Wall -Wextra -Werror -I include "tests/c/$name.c" -o "$work/$name" -pthread "$library" "${@:2}" || return
        for backend in "${backends[@]}"; do
            mkdir -p "$work/run" && (cd "$work/run" && $run "$work/$name" "$backend" main)
            [ $? = "$([ $name = exit_live ] && echo 3 || echo 0)" ] || { echo "FAILED: $name on backend $backend"; return 1; }
            echo "test result: ok. 1 passed; of tests/c"
        done
    done
}

rust_tests() {
    local debug=$out/$triple/debug/deps filters=() module backend=thread:: skips=() unit
    if [ "$emulator" = native ] && [ "${TARGETS:-}" != short ]; then filters=(); else
        [ "$emulator" = native ] && backend=
        for module in "${quick[@]}"; do filters+=("$module::$backend"); done
    fi
    [ "$emulator" = native ] || for module in "${cannot[@]}" aborts; do skips+=(--skip "$module"); done
    unit=$(program "$debug" caio)
    $run "$unit" "${skips[@]}" && $run "$(program "$debug" kernel_abi)" &&
        $run "$(program "$debug" conformance)" --test-threads=4 "${skips[@]}" "${filters[@]}"
}

row() { table+=("$(printf '%-30s %-7s %-7s %-7s %-7s %s' "$@")"); }

# zig and cargo-zigbuild, which link for other systems: installed, or from PyPI into a folder of their own.
zig_tools() {
    if ! have cargo-zigbuild; then
        [ -x "$out/zig/bin/cargo-zigbuild" ] || { python3 -m venv "$out/zig" &&
            "$out/zig/bin/pip" install -q --disable-pip-version-check ziglang==0.17.1 cargo-zigbuild==0.24.1; } >>"$log" 2>&1
        PATH=$PATH:$out/zig/bin
    fi
    CARGO_ZIGBUILD_ZIG_PATH=$(command -v python-zig || command -v zig) && export CARGO_ZIGBUILD_ZIG_PATH
    have cargo-zigbuild
}

# The code of POSIX systems, forced on Linux: it runs the whole conformance suite, without the backends that it does not have.
forced_posix() {
    local RUSTFLAGS="$RUSTFLAGS --cfg caio_posix" CARGO_TARGET_DIR=$out/posix clippy=yes links=yes runs=native filters=() module
    export RUSTFLAGS CARGO_TARGET_DIR
    if [ "${TARGETS:-}" = short ]; then for module in "${quick[@]}"; do filters+=("$module::thread::"); done; fi
    try clippy "$cargo" clippy --locked --all-targets -- -D warnings || clippy=FAILED
    try links "$cargo" test --locked --no-run --lib --test conformance || links=FAILED
    try "unit tests" "$cargo" test --locked --lib || runs=FAILED
    count=$(passed "$work/output")
    try tests "$cargo" test --locked --test conformance -- --skip ::uring:: --skip ::linux:: "${filters[@]}" || runs=FAILED
    row "$target" "$clippy" "$clippy" $links $runs $((count + $(passed "$work/output")))
}

# A system whose programs cannot run here: the library is checked and linked.
compiled() {
    local checks=yes clippy=yes links=yes
    choose_toolchain || { skip "$target" "rustc-web cargo-web rust-web-src rust-web-clippy"; row "$target" - - - - -; return; }
    case ${build[*]} in *build-std*) build[-1]=-Zbuild-std=std,panic_abort; unset CARGO_PROFILE_DEV_PANIC ;; esac
    try clippy "$cargo" clippy "${build[@]}" --lib --features capi -- -D warnings || { clippy=FAILED; try checks "$cargo" check "${build[@]}" --lib --features capi || checks=FAILED; }
    # The short form leaves the linker out.
    # So does Windows' own, which needs its SDK.
    if [ "${TARGETS:-}" = short ] || [[ $target = *-msvc ]]; then links=-; elif zig_tools; then
        try links "$cargo" zigbuild "${build[@]}" --lib --features capi || links=FAILED
    else
        skip "linking for $target" "cargo-zigbuild and ziglang (PyPI)"
        links=-
    fi
    row "$target" $checks $clippy $links - -
}

# Windows: C programs and examples, under Wine.
windows() {
    local clippy=yes runs=wine
    choose_toolchain || { skip "$target" "rustc-web cargo-web rust-web-src rust-web-clippy"; row "$target" - - - - -; return; }
    case ${build[*]} in *build-std*) build[-1]=-Zbuild-std=std,panic_abort; unset CARGO_PROFILE_DEV_PANIC ;; esac
    try clippy "$cargo" clippy "${build[@]}" --lib --features capi -- -D warnings || clippy=FAILED
    try tests env CARGO="$cargo" WINDOWS="${TARGETS:-}" CARGO_TARGET_DIR="$out" tests/shell/windows.sh || runs=FAILED
    grep '^skipped:' "$work/output" && runs=compiles
    row "$target" $clippy $clippy $clippy $runs "$(sed -n 's/^\([0-9]*\) passed, .*/\1/p' "$work/output")"
}

# An old C library: linked by zig, which knows the symbols of each version.
old_glibc() {
    zig_tools || { skip "$target" "cargo-zigbuild and ziglang (PyPI)"; row "$target" - - - - -; return; }
    try links "$cargo" zigbuild --locked --lib --features capi --target "$target" || { row "$target" - - FAILED - -; return; }
    local library=$out/$triple/debug/libcaio.so newest
    newest=$(objdump -T "$library" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
    echo "$target: needs $newest" && [ "$(printf '%s\n' GLIBC_2.17 "$newest" | sort -V | tail -n 1)" = GLIBC_2.17 ] || { answer=FAILED status=1; }
    cp "$library" "$work/libcaio.so.0" && try "C tests" c_tests "$work/libcaio.so.0" "-Wl,-rpath,$work"
    [ "$answer" = yes ] && answer=native
    row "$target" - - yes "$answer" "$(passed "$work/output")"
}

one_target() {
    target=$1 compile=$2 package=$3 emulator=$4 triple=${1%.2.17} run=
    local checks=- clippy=- links=- runs=- count=0 how
    PATH=$base_path && unset RUSTC_BOOTSTRAP CARGO_PROFILE_DEV_PANIC
    have "$compile" || { skip "$target" "$package"; row "$target" - - - - -; return; }
    case $target in
    *.2.17) old_glibc; return ;;
    *-posix) forced_posix; return ;;
    *-windows-gnu) windows; return ;;
    *-freebsd | *-darwin | *-windows-*) compiled; return ;;
    esac
    choose_toolchain || { skip "$target" "its standard library (rustup target add $triple)"; row "$target" - - - - -; return; }
    case $target in *musl) [ "$compile" = musl-gcc ] && linker=cc || linker=$compile ;; *) linker=$compile ;; esac
    export "CARGO_TARGET_$(tr a-z- A-Z_ <<<"$triple")_LINKER=$linker" "CC_${triple//-/_}=$compile"
    how=native
    if [ "$emulator" != native ]; then
        how=qemu
        run="qemu-$emulator-static -L /usr/${compile%-gcc}" CAIO_TEST_RUNNER=$run
        export CAIO_TEST_RUNNER
    else
        unset CAIO_TEST_RUNNER
    fi
    # Programs of the host, for tests that cannot compile them.
    cc -O1 tests/c/fuse_gate.c -o "$work/fuse_gate" && export CAIO_FUSE_GATE=$work/fuse_gate || return

    if try clippy "$cargo" clippy "${build[@]}" --all-targets -- -D warnings; then checks=yes clippy=yes; else
        clippy=FAILED && try checks "$cargo" check "${build[@]}" --all-targets && checks=yes
    fi
    if try links "$cargo" test "${build[@]}" --no-run --lib --test conformance --test kernel_abi; then links=yes; else links=FAILED; fi
    if [ $links = yes ] && [ "$how" = qemu ] && ! have "qemu-$emulator-static"; then
        skip "running $target" qemu-user-static
        runs=compiles
    elif [ $links = yes ] && [ "$target" = i686-unknown-linux-gnu ] && [ ! -e /lib/ld-linux.so.2 ]; then
        skip "running $target" "libc6-i386 lib32gcc-s1"
        runs=compiles
    elif [ $links = yes ]; then
        runs=$how
        layout && { try "tests" rust_tests || runs=FAILED; count=$(passed "$work/output"); } || runs=FAILED
        programs || runs=FAILED
    fi
    row "$target" $checks $clippy $links "$runs" "$count"
}

# The kernel's structures, as this target's compiler lays them out. musl has no kernel headers, but the same layout.
layout() {
    case $target in x86_64*musl) set -- cc "" ;; *musl) set -- "$compile" "$run" ;; *) set -- "$compile" "$run" ;; esac
    $1 tests/c/kernel_abi.c -o "$work/kernel_abi" && $2 "$work/kernel_abi" >"$work/kernel_abi.txt" && export CAIO_KERNEL_ABI=$work/kernel_abi.txt
}

programs() {
    local debug=$out/$triple/debug/deps before=$count
    case $target in
    aarch64*musl)
        zig_tools || { skip "C tests on $target" "ziglang (PyPI)"; return 0; }
        compile="python-zig cc -target aarch64-linux-musl" && set -- "$debug/libcaio.a" -static -lunwind ;;
    # musl-gcc has no headers of the kernel.
    *musl) set -- "$debug/libcaio.a" -static "$(rustc --print target-libdir --target "$triple")/self-contained/libunwind.a" -idirafter /usr/include -idirafter "/usr/include/$(cc -dumpmachine)" ;;
    *) cp "$debug/libcaio.so" "$work/libcaio.so.0" && set -- "$work/libcaio.so.0" "-Wl,-rpath,$work" ;;
    esac
    try "C tests" c_tests "$@" || return
    count=$((before + $(passed "$work/output")))
}

base_path=$PATH wanted=" $* "
[ "$wanted" = "  " ] && [ "${TARGETS:-}" = short ] &&
    wanted=" i686-unknown-linux-gnu s390x-unknown-linux-gnu x86_64-linux-posix x86_64-unknown-freebsd aarch64-apple-darwin "
while read -r target compile package emulator; do
    if [ "$wanted" = "  " ] || [[ $wanted = *" $target "* ]]; then
        echo "== $target"
        one_target "$target" "$compile" "$package" "$emulator"
    fi
done <<<"$targets"

printf '\n%-30s %-7s %-7s %-7s %-7s %s\n' target checks clippy links runs "tests passed"
printf '%s\n' "${table[@]}"
exit $status
