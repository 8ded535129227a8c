#!/bin/bash
# `make check-windows`: installs the library for Windows into a staging directory, and runs C tests and examples under Wine.
# Of tests/c, it leaves out those that need fork(2), seccomp, ptrace, LD_PRELOAD or a kernel queue; of c-examples, those with epoll.
# WINDOWS=short runs the tests on a debug build, once each. Needs mingw, Wine, and the standard library of the target.
# SYSROOT has one that Debian's rustc-web compiled, for a debug build.
set -u
cd "$(dirname "$0")/../.." || exit 1
root=$PWD cargo=${CARGO:-cargo} make=${MAKE:-make} triple=x86_64-pc-windows-gnu mingw=x86_64-w64-mingw32
out=${CARGO_TARGET_DIR:-$root/target}/windows work=$out/tests stage=$out/stage passed=0 failed=0
short=${WINDOWS:-}
# shellcheck source=tests/shell/systems_lib.sh
. tests/shell/systems_lib.sh

skip() { echo "skipped: windows needs $1"; exit 0; }
have() { command -v "$1" >/dev/null 2>&1; }
have $mingw-gcc || skip "$mingw-gcc (Debian: gcc-mingw-w64-x86-64-win32)"
have wine || skip "wine (Debian: wine wine64)"
have pkg-config || skip "pkg-config (Debian: pkg-config)"

# check WHAT COMMAND...: the command must succeed. Shows its output only if it fails.
check() {
    local what=$1
    shift
    if ("$@") >"$work/log" 2>&1; then
        passed=$((passed + 1))
        echo "ok      windows: $what"
    else
        failed=$((failed + 1))
        echo "FAILED  windows: $what"
        tail -n 20 "$work/log" | sed 's/^/        /'
    fi
}

# The standard library of the target: rustup's, or compiled by Debian's rustc-web.
flags='--locked'
if [ -n "${SYSROOT:-}" ] || ! has_std $triple; then
    debian_rust || skip "the standard library (rustup target add $triple, or Debian: rustc-web cargo-web rust-web-src)"
    export RUSTC_BOOTSTRAP=1
    cargo=/usr/bin/cargo
    if [ -n "${SYSROOT:-}" ]; then export RUSTFLAGS=--sysroot=$SYSROOT; else flags+=' -Zbuild-std=std,panic_abort'; fi
fi
profile=release
[ "$short" = short ] || [ -n "${SYSROOT:-}" ] && profile=dev

rm -rf "$stage" "$work" && mkdir -p "$work" || exit 1
"$make" -s --no-print-directory install-windows PREFIX=/caio DESTDIR="$stage" CARGO="$cargo" CARGO_FLAGS="$flags" \
    WINDOWS_PROFILE=$profile CARGO_TARGET_DIR="$out" >"$work/log" 2>&1 || { tail -n 30 "$work/log"; echo "FAILED  windows: make install-windows"; exit 1; }

# pkg-config's own path of the prefix is that of the final place.
export PKG_CONFIG_LIBDIR=$stage/caio/lib/pkgconfig
package() { pkg-config --define-variable=prefix="$stage/caio" "$@" caio; }

# build PROGRAM SOURCE...: links with the import library; build_static with the archive.
compile() { $mingw-gcc -std=gnu11 -O1 -Wall -Wextra -Wpedantic -Werror -Wno-format -Itests/c "$@" -static-libgcc -lws2_32; }
build() { compile -o "$work/$1.exe" "${@:2}" $(package --cflags --libs) -Wl,-Bstatic -lpthread -Wl,-Bdynamic; }
build_static() { compile -o "$work/$1.exe" "${@:2}" $(package --cflags) "$stage/caio/lib/libcaio.a" $(sed -n 's/^Libs.private: //p' "$PKG_CONFIG_LIBDIR/caio.pc") -Wl,-Bstatic -lpthread; }

trap 'wineserver -k 2>/dev/null' EXIT
start_wine "$out/wine" || exit 1

# run PROGRAM ARGUMENT...: in a directory of its own, for two minutes at most.
run() {
    local program=$1 place=$work/$1.run
    shift
    rm -rf "$place" && mkdir -p "$place" && cp "$stage/caio/bin/caio.dll" "$place" && cd "$place" &&
        timeout 120 wine "$work/$program.exe" "$@"
}

exports_of_the_header() {
    diff <(sed -n 's/^[a-z].*[ *]\(caio_[a-z_0-9]*\)(.*/\1/p' include/caio.h | sort) \
        <($mingw-objdump -p "$stage/caio/bin/caio.dll" | sed -n 's/^\t\[ *[0-9]*\] \(.*\)/\1/p' | grep -v '^+base' | sed 's/.* //' | sort)
}

same() { [ "$1" = "$2" ] || { printf 'expected:\n%s\nbut it is:\n%s\n' "$1" "$2"; return 1; }; }
exit_code() { run "${@:2}"; [ $? = "$1" ]; }
hello() { same "$(printf 'Hello world\nHello from async world')" "$(run "$1" | tr -d '\r')"; }
copies() { run "$1" "Z:$root/include/caio.h" >"$work/copy" && sed 's/\r$//' "$work/copy" | cmp - "$root/include/caio.h"; }
reads_a_file() { same "$(printf '; for 16-bit app support')" "$(run readme "Z:$work/readme.txt" | tr -d '\r')"; }

# A tree with names in UTF-8, and with paths of more than 260 characters.
make_tree() {
    local part=Verzeichnis-ä-€-😀 deep=$work/tree i
    for i in 1 2 3 4 5 6 7 8 9 a b c; do deep=$deep/$part-$i-0123456789; done
    mkdir -p "$deep" "$work/tree/empty" || return
    head -c 3000001 /dev/urandom >"$work/tree/large ü" && head -c 200000 /dev/urandom >"$deep/middle €"
    for i in 0 1 4096 65535 65536; do head -c $i /dev/urandom >"$deep/small-$i"; done
    printf x >"$work/tree/read-only" && ln "$deep/small-1" "$work/tree/link" && truncate -s 1000000 "$work/tree/sparse"
    for i in $(seq 300); do echo $i >"$work/tree/empty/../file-$i"; done
    chmod 444 "$work/tree/read-only"
    find "$work/tree" -depth -exec touch -d '2001-02-03 04:05:06.7654321' {} + && [ ${#deep} -gt 300 ]
}

# Names, types, sizes, times and link counts of a tree; of a directory, its size and link count do not matter.
tree_of() { (cd "$1" && find . -type d -printf '%p d %T@\n' -o -printf '%p %y %s %T@ %n\n' | LC_ALL=C sort); }
copies_trees() {
    local copy=$work/caio-cp.run/copy
    run caio-cp "$@" "Z:$work/tree" copy && diff -r "$work/tree" "$copy" && same "$(tree_of "$work/tree")" "$(tree_of "$copy")" &&
        [ "$(stat -c %A "$copy/read-only")" = -r--r--r-- ]
}
refuses() {
    run caio-cp -q "Z:$work/none" copy 2>"$work/refused"
    [ $? = 1 ] && grep -q "caio-cp: cannot stat 'Z:$work/none'" "$work/refused" && ! ls "$work/caio-cp.run/copy" 2>/dev/null
}
# Those of the library that do not assume Linux. Without -Zpanic_abort_tests they would need a standard library that unwinds.
# Of a cdylib, as cargo gives rustc what to link with only for a library that is linked.
unit_tests() {
    RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$out "$cargo" rustc ${flags/=std,/=std,test,} --target $triple --lib --crate-type cdylib --features capi -- \
        --test -Zpanic_abort_tests && timeout 300 wine "$out/$triple/debug/deps/caio.exe" --skip route:: --skip aborts
}
contract() {
    for source in contract_check contract_check_02; do
        $mingw-gcc -std=c11 -Wall -Wextra -Wpedantic -Werror $(package --cflags) -c tests/c/$source.c -o "$work/contract.o" || return
    done
}

check "the DLL exports what the header declares" exports_of_the_header
check "the header and the contract compile" contract
for name in tour exit_live windows_files windows_paths windows_streams windows_copies windows_console; do check "$name builds" build $name tests/c/$name.c; done
check "hello builds" build hello c-examples/hello.c
check "readme builds" build readme c-examples/windows/readme.c
check "caio-cp builds" "$make" -s --no-print-directory -C c-examples caio-cp.exe CC=$mingw-gcc OUT="$work" \
    PKG_CONFIG="pkg-config --define-variable=prefix=$stage/caio" CFLAGS='-O1 -Werror' LDFLAGS='-static-libgcc -Wl,-Bstatic -lpthread'
for name in select wsapoll handles; do
    check "${name}_loop builds" build ${name}_loop c-examples/windows/${name}_loop.c c-examples/windows/work.c
done
check "tour builds with the static library" build_static tour-static tests/c/tour.c
check "dlclose builds" compile -o "$work/dlclose.exe" tests/c/dlclose.c $(package --cflags) -Wl,-Bstatic -lpthread

check "tour" run tour 3
check "tour, without inline completion" run tour 0 4
check "tour, with the static library" run tour-static 3
for how in main exit thread; do check "exit_live $how" exit_code 3 exit_live 3 $how; done
check "dlclose" run dlclose 3 caio.dll
for name in files paths streams copies console; do check "windows_$name" run windows_$name; done
check "hello" hello hello
printf '; for 16-bit app support' >"$work/readme.txt"
check "readme" reads_a_file
check "a tree to copy" make_tree
check "caio-cp -a" copies_trees -a
check "caio-cp with few operations in flight" copies_trees -q -j 5 -a
check "caio-cp without a source" refuses
for name in select wsapoll handles; do check "${name}_loop" copies ${name}_loop; done
if [ "$short" != short ]; then
    check "unit tests" unit_tests
    for name in files paths copies; do check "windows_$name, without inline completion" run windows_$name 4; done
    for round in 1 2 3; do check "windows_streams, round $round" run windows_streams 4; done
fi
[ -z "${TALLY:-}" ] || echo "$passed $failed 0" >>"$TALLY"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
