#!/bin/bash
# `make check-windows`: installs the library for Windows into a staging directory, and runs C tests and examples under Wine.
# WINDOWS=short runs the tests on a debug build, once each. Needs mingw, Wine, and the standard library of the target.
set -u
cd "$(dirname "$0")/../.." || exit 1
root=$PWD cargo=${CARGO:-cargo} make=${MAKE:-make} triple=x86_64-pc-windows-gnu mingw=x86_64-w64-mingw32
out=${CARGO_TARGET_DIR:-$root/target}/windows work=$out/tests stage=$out/stage passed=0 failed=0
short=${WINDOWS:-}

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
if [ ! -d "$(rustc --print target-libdir --target $triple 2>/dev/null)" ]; then
    [ -x /usr/bin/cargo ] && ls -d /usr/lib/rustlib/src/rust/library /usr/src/rustc-*/library >/dev/null 2>&1 ||
        skip "the standard library (rustup target add $triple, or Debian: rustc-web cargo-web rust-web-src)"
    export RUSTC_BOOTSTRAP=1 PATH=/usr/bin:$PATH
    cargo=/usr/bin/cargo flags+=' -Zbuild-std=std,panic_abort'
fi
profile=release
[ "$short" = short ] && profile=dev

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

# A Wine without a window or a desktop, with a directory of its own.
export WINEPREFIX=$out/wine WINEARCH=win64 WINEDEBUG=-all DISPLAY='' WINEDLLOVERRIDES='mscoree=;mshtml='
system=$WINEPREFIX/drive_c/windows/system32
if [ ! -e "$system/kernel32.dll" ]; then wine wineboot -i >/dev/null 2>&1; wineserver -w; fi
trap 'wineserver -k 2>/dev/null' EXIT
# Rust's standard library takes random numbers from a DLL that this Wine may not have.
[ -e "$system/bcryptprimitives.dll" ] || $mingw-gcc -shared -O1 -o "$system/bcryptprimitives.dll" tests/c/process_prng.c -ladvapi32 || exit 1

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
contract() {
    for source in contract_check contract_check_02; do
        $mingw-gcc -std=c11 -Wall -Wextra -Wpedantic -Werror $(package --cflags) -c tests/c/$source.c -o "$work/contract.o" || return
    done
}

check "the DLL exports what the header declares" exports_of_the_header
check "the header and the contract compile" contract
for name in tour exit_live windows_files windows_streams; do check "$name builds" build $name tests/c/$name.c; done
check "hello builds" build hello c-examples/hello.c
for name in select wsapoll handles; do
    check "${name}_loop builds" build ${name}_loop c-examples/windows/${name}_loop.c c-examples/windows/work.c
done
check "tour builds with the static library" build_static tour-static tests/c/tour.c

check "tour" run tour 3
check "tour, without inline completion" run tour 0 4
check "tour, with the static library" run tour-static 3
for how in main exit thread; do check "exit_live $how" exit_code 3 exit_live 3 $how; done
check "windows_files" run windows_files
check "windows_streams" run windows_streams
check "hello" hello hello
for name in select wsapoll handles; do check "${name}_loop" copies ${name}_loop; done
if [ "$short" != short ]; then
    check "windows_files, without inline completion" run windows_files 4
    for round in 1 2 3; do check "windows_streams, round $round" run windows_streams 4; done
fi
[ -z "${TALLY:-}" ] || echo "$passed $failed 0" >>"$TALLY"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
