#!/bin/bash
# `make check-targets`: builds for other systems and runs what can run here, natively or under qemu-user. Prints a table.
# tests/shell/targets.sh [TARGET...] does this for some. TARGETS=short takes five, with quick tests and less linking.
# TABLE=write puts the table of all targets into the documents that show it.
#
# rustup's standard library of a target is used if it is installed. Otherwise Debian's rustc-web takes that of Debian for the
# target, or compiles it, once a target.
set -u
cd "$(dirname "$0")/../.." || exit 1
script=tests/shell/targets.sh cargo=${CARGO:-cargo} short=${TARGETS:-}
work=${TARGETS_DIR:-${CARGO_TARGET_DIR:-$PWD/target}/targets}
# shellcheck source=tests/shell/systems_lib.sh
. tests/shell/systems_lib.sh

# target | what is done | C compiler | how its programs run: native, wine, the name of qemu's processor, or -
# The longest are first, as two run at a time.
targets='i686-unknown-linux-gnu linux i686-linux-gnu-gcc native
x86_64-unknown-linux-musl linux zig native
x86_64-linux-posix posix cc native
x86_64-pc-windows-gnu windows x86_64-w64-mingw32-gcc wine
s390x-unknown-linux-gnu linux s390x-linux-gnu-gcc s390x
aarch64-unknown-linux-gnu linux aarch64-linux-gnu-gcc aarch64
armv7-unknown-linux-gnueabihf linux arm-linux-gnueabihf-gcc arm
riscv64gc-unknown-linux-gnu linux riscv64-linux-gnu-gcc riscv64
aarch64-unknown-linux-musl linux zig aarch64
x86_64-unknown-linux-gnu.2.17 glibc cc native
x86_64-unknown-freebsd library zig -
aarch64-apple-darwin library zig -
x86_64-apple-darwin library zig -
x86_64-pc-windows-gnullvm library zig -
x86_64-pc-windows-msvc library - -'

# What qemu-user cannot do:
# - It checks no descriptor in a transfer of no iovecs, and returns 0 instead of EBADF.
# - In a child of fork(2) that creates threads, it hangs on a lock of its own; in another one, now and then.
# - It has neither preadv2(2) nor io_uring, so nothing stops a read when another one was faster.
# - A program that aborts ends differently.
cannot=(gives_einval_for_full_without_a_transfer fork:: count_submitted_completed_and_cancelled aborts)

have() { command -v "$1" >/dev/null 2>&1; }
passed() { sed -n 's/^test result: .* \([0-9]*\) passed; .*/\1/p' "$1" | awk '{ sum += $1 } END { print sum + 0 }'; }
row() { printf '%-30s %-7s %-7s %-7s %-7s %s\n' "$target" "$@" >"$place/row"; }

# need PATH PACKAGE: notes the package if neither a file nor a command has this name.
need() { [ -e "$1" ] || have "$1" || missing+=" $2"; }

# Ends the row if something is missing.
skip_if_missing() {
    [ -n "$missing" ] || return 0
    echo "skipped: $target needs$missing"
    row - - - - -
    exit 0
}

# try WHAT COMMAND...: `answer` is "yes", or "FAILED" after the end of the output.
try() {
    local what=$1 start=$SECONDS
    shift
    answer=yes
    "$@" >"$place/output" 2>&1 </dev/null || answer=FAILED status=1
    { cat "$place/output" && echo "== $what: $* ($((SECONDS - start)) s)"; } >>"$place/log"
    [ $answer = yes ] && return
    echo "FAILED  $target: $what"
    grep -aE '^error|FAILED|panicked|hung' "$place/output" | head -n 20
    tail -n 20 "$place/output"
    return 1
}

# zig and cargo-zigbuild, which link for other systems: from PyPI, into a directory of their own.
zig_tools() {
    exec 5>"$work/zig.lock" && flock 5
    if ! have cargo-zigbuild && [ ! -e "$work/zig/done" ]; then
        { python3 -m venv "$work/zig" &&
            "$work/zig/bin/pip" install -q --disable-pip-version-check "$zig" cargo-zigbuild==0.24.1 &&
            touch "$work/zig/done"; } >>"$place/log" 2>&1 5>&- || missing+=" python3-venv, and ziglang and cargo-zigbuild of PyPI"
    fi
    exec 5>&-
    PATH=$PATH:$work/zig/bin
    CARGO_ZIGBUILD_ZIG_PATH=$(command -v python-zig || command -v zig)
    export CARGO_ZIGBUILD_ZIG_PATH CARGO_ZIGBUILD_CACHE_DIR=$work/zig/wrappers ZIG_GLOBAL_CACHE_DIR=$work/zig/cache ZIG_LOCAL_CACHE_DIR=$work/zig/cache
}

flag() { export CARGO_ENCODED_RUSTFLAGS=${CARGO_ENCODED_RUSTFLAGS:+$CARGO_ENCODED_RUSTFLAGS$'\x1f'}$1; }

# standard_library HOW [CRATE]: chooses the compiler and its standard library of the target: `build` has code, `check` is
# enough for clippy.
standard_library() {
    local root=$work/std/$triple-$1
    sysroot=
    [ -z "${DEBIAN:-}" ] && has_std "$triple" && return
    need /usr/bin/cargo cargo-web
    need /usr/bin/rustc rustc-web
    need /usr/bin/cargo-clippy rust-web-clippy
    need /usr/lib/rustlib/src/rust/library/std rust-web-src
    skip_if_missing
    debian_rust || { row FAILED - - - -; exit 1; }
    cargo=/usr/bin/cargo
    if [ "$(cat "$root/done" 2>/dev/null)" != "$(rustc --version)" ]; then
        rm -rf "$root" && mkdir -p "$root"
        debian_std "$root" >>"$place/log" 2>&1 || try "standard library" compile_std "$1" "$root" "${2:+,$2}" || { row FAILED - - - -; exit 1; }
        rustc --version >"$root/done"
    fi
    sysroot=$root
    flag "--sysroot=$root"
}

# Debian's package for the target, of the version of its compiler. It is unpacked and not installed, as the architecture is
# another one.
debian_std() {
    local root=$1 name=libstd-rust-web-dev version architecture state=$work/apt
    case $triple in
    i686-unknown-linux-gnu) architecture=i386 ;;
    aarch64-unknown-linux-gnu) architecture=arm64 ;;
    armv7-*) architecture=armhf ;;
    s390x-*) architecture=s390x ;;
    *) return 1 ;;
    esac
    version=$(dpkg-query -W -f '${Version}' rustc-web) || return
    local apt=(apt-get -qq -o "Dir::State::Lists=$state/lists" -o "Dir::Cache=$state/cache"
        -o Dir::State::Status=/dev/null -o APT::Architectures=amd64,i386,arm64,armhf,s390x -o APT::Sandbox::User=)
    exec 6>"$work/apt.lock" && flock 6
    [ -e "$state/done" ] ||
        { mkdir -p "$state/lists/partial" "$state/cache/archives/partial" && "${apt[@]}" update && touch "$state/done"; }
    exec 6>&-
    (cd "$root" && "${apt[@]}" download "$name:$architecture=$version" && dpkg-deb -x "$name"_*.deb . && rm "$name"_*.deb &&
        mv usr/lib lib && rm -r usr)
}

# An empty crate, for which cargo compiles the standard library; then the libraries are put where rustc looks for them.
# As in Rust's own build, panic_abort alone aborts. Without its features, a panic prints no backtrace. Tests take several times
# as long with a library that is not optimized, or checks itself. Of proc_macro, which cargo compiles too, nothing is used.
compile_std() {
    local libraries=$2/lib/rustlib/$triple/lib optimization=${3:+1}
    mkdir -p "$2/crate/src" "$libraries" && : >"$2/crate/src/lib.rs" &&
        printf '[package]\nname = "empty"\nedition = "2024"\n' >"$2/crate/Cargo.toml" &&
        printf '%s\n' '#!/bin/sh' 'case " $* " in *" --crate-name panic_abort "*) set -- "$@" -Cpanic=abort ;; esac' \
            'for argument; do' 'shift' 'case $argument in */proc_macro/src/lib.rs) argument=${0%rustc}crate/src/lib.rs ;; esac' \
            'set -- "$@" "$argument"' 'done' 'exec "$@"' >"$2/rustc" && chmod +x "$2/rustc" &&
        env -u CARGO_ENCODED_RUSTFLAGS RUSTC_BOOTSTRAP=1 RUSTC_WRAPPER="$2/rustc" CARGO_PROFILE_DEV_DEBUG_ASSERTIONS=false \
            CARGO_PROFILE_DEV_OPT_LEVEL="${optimization:-0}" "$cargo" "$1" --manifest-path "$2/crate/Cargo.toml" \
            -Zbuild-std="std,panic_unwind,panic_abort${3:-}" -Zbuild-std-features= --target "$triple" --target-dir "$2/crate/target" &&
        find "$2/crate/target/$triple/debug/deps" \( -name 'lib*.rlib' -o -name 'lib*.rmeta' \) ! -name 'libempty*' \
            -exec mv {} "$libraries" \; && rm -r "$2/crate"
}

# Clippy, whose success says that the target checks. Arguments: which part of the package.
clippy() {
    try clippy "$cargo" clippy "${build[@]}" "$@" -- -D warnings
    clippy=$answer checks=$answer
    [ $answer = yes ] || { try checks "$cargo" check "${build[@]}" "$@" && checks=yes; }
}

# c_tests LIBRARY...: the C programs, linked with the library, on each backend that the system has.
c_tests() {
    local backends=(1 2 3) name backend code
    [ "$runs" = native ] || backends=(3)
    for name in tour fork exit_live; do
        [ "$name$runs" != forkqemu ] || continue
        $compile -std=gnu11 -O1 -Wall -Wextra -Werror -I include "tests/c/$name.c" -o "$place/$name" -pthread "$@" || return
        for backend in "${backends[@]}"; do
            rm -rf "$place/run" && mkdir "$place/run"
            (cd "$place/run" && timeout 60 $run "$place/$name" "$backend" main)
            code=$?
            [ $code = "$([ $name = exit_live ] && echo 3 || echo 0)" ] || { echo "FAILED: $name on backend $backend: $code"; return 1; }
            echo "test result: ok. 1 passed; of tests/c"
        done
    done
}

# The structures of the kernel as the C compiler lays them out, unit tests, and the conformance suite.
rust_tests() {
    local skips=() filters=() name
    if [ "$runs" = qemu ]; then for name in "${cannot[@]}"; do skips+=(--skip "$name"); done
    elif [ "$short" = short ]; then filters=(::thread::); fi
    $compile tests/c/kernel_abi.c -o "$place/kernel_abi" && $run "$place/kernel_abi" >"$CAIO_KERNEL_ABI" &&
        "${test[@]}" --test kernel_abi || return
    [ -z "$units" ] || "${test[@]}" $units -- "${skips[@]}" || return
    "${test[@]}" --test conformance -- --test-threads=4 "${skips[@]}" "${filters[@]}"
}

# linux COMPILER RUNS: everything, with the programs run natively or under qemu.
linux() {
    local count=0 links test variable units=
    compile=$1 runs=$2 run='' variable=CARGO_TARGET_$(tr a-z- A-Z_ <<<"$triple")
    flag --cfg=io_uring_skip_arch_check # the io-uring crate refuses 32-bit and s390x
    export CAIO_KERNEL_ABI=$place/kernel_abi.txt CAIO_FUSE_GATE=$place/fuse_gate
    need cc gcc
    if [ "$runs" != native ]; then
        need "qemu-$runs-static" qemu-user-static
        run="qemu-$runs-static" runs=qemu
        export "${variable}_RUNNER=$run" CAIO_TEST_RUNNER=$run
    fi
    if [ "$compile" = zig ]; then
        zig_tools
        compile="python-zig cc -target ${triple/-unknown/} -static"
        test=(cargo-zigbuild test)
    else
        need "$compile" "gcc-${compile%-gcc}"
        need "/usr/${compile%-gcc}/include/stdio.h" "the C library for it (libc6-dev-*-cross)"
        [[ $target != i686-* ]] || { need /lib/ld-linux.so.2 libc6-i386 && need /usr/lib32/libgcc_s.so.1 lib32gcc-s1; }
        export "${variable}_LINKER=$compile" "CC_${triple//-/_}=$compile" QEMU_LD_PREFIX=/usr/${compile%-gcc}
        test=("$cargo" test)
    fi
    skip_if_missing
    standard_library build test
    [ "${test[0]}" = cargo-zigbuild ] && flag -Clink-self-contained=no || test[0]=$cargo
    test+=("${build[@]}")
    # Without optimization, tests take minutes. That of all crates counts, as they share what they instantiate.
    export CARGO_PROFILE_DEV_OPT_LEVEL=1
    # A program of the host, for a test that cannot compile it.
    cc -O1 tests/c/fuse_gate.c -o "$CAIO_FUSE_GATE" || exit 1

    # Where long has another size, the other tests are linted, too.
    case $target in i686-*) clippy --all-targets ;; *) clippy --lib --features capi ;; esac
    # One emulated processor is enough for unit tests: the one with the other byte order. The short form leaves them out.
    case $target in i686-* | x86_64-* | s390x-*) units=--lib ;; esac
    [ "$runs" = native ] || [ "$short" != short ] || units=
    [ "$runs" = native ] && [ "$short" != short ] || flag --cfg=caio_quick
    try links "${test[@]}" --no-run $units --test conformance --test kernel_abi
    links=$answer
    if [ $links = yes ]; then
        try tests rust_tests
        count=$(passed "$place/output")
        [ $answer = yes ] && linked_c_tests && count=$((count + $(passed "$place/output"))) || runs=FAILED
    else
        runs=-
    fi
    row "$checks" "$clippy" $links $runs $count
}

linked_c_tests() {
    local library=$CARGO_TARGET_DIR/$triple/debug/libcaio kind=cdylib
    [[ $target != *musl ]] || kind=staticlib
    try library "${test[0]}" rustc "${build[@]}" --lib --features capi --crate-type $kind || return
    case $target in
    *musl) try "C tests" c_tests "$library.a" -lunwind ;;
    *) cp "$library.so" "$place/libcaio.so" && try "C tests" c_tests "$place/libcaio.so" "-Wl,-rpath,$place" ;;
    esac
}

# The code of POSIX systems, forced on Linux: the whole conformance suite, without the backends that these systems lack.
posix() {
    local links=- runs=native count=0 filters=(--skip ::uring:: --skip ::linux::)
    flag --cfg=caio_posix
    build=(--locked)
    need cc gcc
    skip_if_missing
    clippy --all-targets
    if [ "$short" = short ]; then flag --cfg=caio_quick && filters=(::thread::); fi
    try links "$cargo" test --locked --no-run --lib --test conformance
    links=$answer
    try "unit tests" "$cargo" test --locked --lib || runs=FAILED
    count=$(passed "$place/output")
    try tests "$cargo" test --locked --test conformance -- "${filters[@]}" || runs=FAILED
    row "$checks" "$clippy" $links $runs $((count + $(passed "$place/output")))
}

# An old C library: linked by zig, which knows the symbols of each version.
glibc() {
    local library newest links
    build=(--locked --lib --features capi)
    compile=$1 runs=native run=
    need cc gcc
    need objdump binutils
    zig_tools
    skip_if_missing
    clippy
    try links cargo-zigbuild rustc "${build[@]}" --crate-type cdylib --target "$target"
    links=$answer runs=-
    if [ $links = yes ]; then
        runs=native library=$CARGO_TARGET_DIR/$triple/debug/libcaio.so
        newest=$(objdump -T "$library" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
        echo "$target: needs $newest"
        [ "$(printf '%s\n' GLIBC_2.17 "$newest" | sort -V | tail -n 1)" = GLIBC_2.17 ] || links=FAILED status=1
        cp "$library" "$place/libcaio.so" && try "C tests" c_tests "$place/libcaio.so" "-Wl,-rpath,$place" || runs=FAILED
    fi
    row "$checks" "$clippy" $links $runs "$(passed "$place/output")"
}

# library LINKER: for a system whose programs cannot run here, the library is compiled and linked.
library() {
    local how=check links=-
    # The short form leaves the linker out. Windows' own needs its SDK.
    [ "$short" = short ] || [ "$1" = - ] || { how=build && zig_tools; }
    skip_if_missing
    standard_library $how
    clippy --lib --features capi
    [ $how = check ] || { try links cargo-zigbuild rustc "${build[@]}" --lib --features capi --crate-type cdylib; links=$answer; }
    row "$checks" "$clippy" $links compiles -
}

# Windows: C programs and examples, under Wine.
windows() {
    local runs=wine links
    need "$1" gcc-mingw-w64-x86-64-win32
    need wine "wine wine64"
    need pkg-config pkg-config
    skip_if_missing
    standard_library build test
    clippy --lib --features capi
    try tests env -u CARGO_ENCODED_RUSTFLAGS CARGO="$cargo" SYSROOT="$sysroot" WINDOWS="$short" tests/shell/windows.sh || runs=FAILED
    links=yes
    grep -q 'FAILED  windows: make' "$place/output" && links=FAILED runs=-
    grep '^skipped:' "$place/output" && links=- runs=-
    row "$checks" "$clippy" $links $runs "$(sed -n 's/^\([0-9]*\) passed, .*/\1/p' "$place/output")"
}

# One row, in a process of its own. The two that run at a time have each a directory of cargo's.
if [ "${1:-}" = --row ]; then
    read -r target what compiler runs <<<"$(grep -F "$2 " <<<"$targets")"
    triple=${target%.2.17} place=$work/$target missing='' status=0 checks=- clippy=-
    build=(--locked --target "$triple")
    unset RUSTFLAGS
    export CARGO_ENCODED_RUSTFLAGS=--cfg=caio_targets
    # Cargo strips what has no debug information, and Debian's Rust has no rust-objcopy, which strips for macOS.
    export CARGO_TARGET_DIR=$work/cargo$TARGETS_SLOT CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_STRIP=none CARGO_INCREMENTAL=0
    # More units would be compiled at the same time, but two rows are already.
    export CARGO_PROFILE_DEV_CODEGEN_UNITS=2
    export RUST_BACKTRACE=0
    rm -rf "$place" && mkdir -p "$place" && row FAILED - - - - || exit 1
    SECONDS=0
    trap 'echo "FAILED  $target: took too long; the log is in $place"; exit 1' TERM
    $what "$compiler" "$runs"
    times >"$place/times"
    echo "$target: $SECONDS s, of processors $(sed -n 2p "$place/times")"
    exit $status
fi

mkdir -p "$work" || exit 1
rows=("$@")
[ $# = 0 ] && [ "$short" = short ] &&
    rows=(i686-unknown-linux-gnu s390x-unknown-linux-gnu x86_64-linux-posix x86_64-unknown-freebsd aarch64-apple-darwin)
[ $# = 0 ] && [ "$short" != short ] && read -ra rows <<<"$(cut -d ' ' -f 1 <<<"$targets" | tr '\n' ' ')"
# An emulated program can hang.
printf '%s\n' "${rows[@]}" | xargs -P 2 --process-slot-var=TARGETS_SLOT -I{} timeout -k 10 2400 "$script" --row {}
status=$?

table=$(printf '%-30s %-7s %-7s %-7s %-7s %s\n' target checks clippy links runs "tests passed" && for name in "${rows[@]}"; do cat "$work/$name/row"; done)
printf '\n%s\n\n%s\n' "$table" "$((SECONDS / 60)) min $((SECONDS % 60)) s"

# put FILE END: replaces the table of a document, from its first line up to the line END.
put() {
    awk -v end="$2" '/^target  / { while ((getline line <"/dev/stdin") > 0) print line; inside = 1 } $0 == end { inside = 0 } !inside' \
        "$1" >"$work/document" && cat "$work/document" >"$1"
}
if [ "${TABLE:-}" = write ] && [ $# = 0 ] && [ "$short" != short ]; then
    put README.md '```' <<<"$table" && put man/caio-systems.7 .EE <<<"${table//-/\\-}" || status=1
fi
exit $status
