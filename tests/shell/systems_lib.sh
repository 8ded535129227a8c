# What the checks for other systems share: the Rust compiler, zig and Wine. Sourced.
# shellcheck shell=bash

# zig, which links for other systems, as a package of PyPI. Newer ones have a C library of their own for musl, whose
# posix_fadvise(3) returns -1 instead of the error.
# shellcheck disable=SC2034
zig=ziglang==0.15.2

# has_std TRIPLE: whether the Rust toolchain has the standard library of the target.
has_std() { [ -d "$(rustc --print target-libdir --target "$1" 2>/dev/null)" ]; }

# debian_rust: puts Debian's compiler first, which can compile a standard library. Fails if it is not installed.
debian_rust() {
    [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] && [ -d /usr/lib/rustlib/src/rust/library/std ] || return
    export PATH=/usr/bin:$PATH
}

# start_wine PREFIX: a Wine without a window or a desktop, with a directory of its own. `wineserver -k` ends it.
start_wine() {
    export WINEPREFIX=$1 WINEARCH=win64 WINEDEBUG=-all DISPLAY='' WINEDLLOVERRIDES='mscoree=;mshtml='
    local system=$WINEPREFIX/drive_c/windows/system32
    if [ ! -e "$system/kernel32.dll" ]; then wine wineboot -i >/dev/null 2>&1; wineserver -w; fi
    # Rust's standard library takes random numbers from a DLL that this Wine may not have.
    [ -e "$system/bcryptprimitives.dll" ] || x86_64-w64-mingw32-gcc -shared -O1 -o "$system/bcryptprimitives.dll" \
        "$(dirname "${BASH_SOURCE[0]}")/../c/process_prng.c" -ladvapi32
}
