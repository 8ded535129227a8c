#!/bin/bash
# `make dist`: makes tarballs of the last commit in DIST_DIR (target/dist), with checksums. The same commit gives the same bytes.
#
#   libcaio-VERSION.tar.xz         the source with its dependencies; builds offline
#   libcaio-VERSION-SYSTEM.tar.xz  library, header, manual and tools; works in any directory
#
# DIST_SOURCE=1 makes the source tarball only.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
version=$(sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q;}' Cargo.toml)
source=libcaio-$version
binary=$source-$(${CC:-cc} -dumpmachine)
out=$(realpath -m "${DIST_DIR:-${CARGO_TARGET_DIR:-target}/dist}")
if ! SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null); then
    echo "make dist needs a git checkout" >&2
    exit 1
fi
export SOURCE_DATE_EPOCH

mkdir -p "$out"
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

# pack NAME: packs the directory $work/NAME. Compression depends on the number of threads.
pack() {
    tar -C "$work" --sort=name --format=gnu --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
        -c "$1" | xz -2 -T2 >"$out/$1.tar.xz"
}

# The dependencies of the Python package are there too; those of the tests with a Cargo.lock of their own are not.
make_source() {
    git archive --prefix="$source/" HEAD | tar -x -C "$work"
    cd "$work/$source"
    "$cargo" vendor --quiet --locked --versioned-dirs --sync bindings/python/Cargo.toml vendor >/dev/null
    mkdir .cargo
    printf '[source.crates-io]\nreplace-with = "vendored-sources"\n\n[source.vendored-sources]\ndirectory = "vendor"\n' >.cargo/config.toml
    pack "$source"
}

# Built from the source tarball alone: offline, with an empty cargo home. Paths do not depend on the directory.
make_binary() {
    local root=$work/root prefix=/usr/local
    cd "$work/$source"
    env -u CARGO_TARGET_DIR CARGO_HOME="$work/home" CARGO_NET_OFFLINE=true RUSTFLAGS="--remap-path-prefix=$PWD=/usr/src/$source" \
        "${MAKE:-make}" -s install-strip PREFIX=$prefix SYSCONFDIR=/etc DESTDIR="$root" CARGO="$cargo" >/dev/null
    mv "$root$prefix" "$work/$binary"
    # pkg-config finds the files beside caio.pc.
    sed -i 's|^prefix=.*|prefix=${pcfiledir}/../..|' "$work/$binary/lib/pkgconfig/caio.pc"
    cp README.md CHANGELOG.md LICENSE "$work/$binary"
    pack "$binary"
}

files=("$source.tar.xz")
(make_source)
if [ -z "${DIST_SOURCE:-}" ]; then
    files+=("$binary.tar.xz")
    (make_binary)
fi
cd "$out"
sha256sum "${files[@]}" >SHA256SUMS
printf "$out/%s\n" "${files[@]}" SHA256SUMS
