#!/bin/bash
# `make deb`: builds Debian packages of the last commit in DEB_DIR (target/deb), checks them with lintian, uses their unpacked files,
# and then installs, uses and removes them in a new chroot. DEB_STEPS selects some of these steps: build lint unpack chroot.
# DEB=short: all but the chroot, which needs root and a mirror of Debian.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${DEB_DIR:-${CARGO_TARGET_DIR:-target}/deb}")
version=$(sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q;}' Cargo.toml)
examples=$PWD/c-examples
chroot=$out/chroot unpacked=$out/unpacked
multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || true)
# Where the files of the packages are, how to run the programs, and a directory: its name for them, and for this script.
tree=$chroot scratch=/tmp shared=$chroot/tmp
inside=(chroot "$chroot" env LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin)

needs() {
    if ! command -v "$1" >/dev/null; then
        echo "skipped: make deb needs $1 (Debian: $2)"
        exit 0
    fi
}

# The source package contains the dependencies, so that the build needs no network.
build() {
    needs dh debhelper
    needs dh_python3 dh-python
    if [ "$(dpkg-parsechangelog -SVersion)" != "$version-1" ]; then
        echo "debian/changelog is for $(dpkg-parsechangelog -SVersion), not for $version-1" >&2
        exit 1
    fi
    rm -rf "$out"/*.deb "$out"/libcaio*
    mkdir -p "$out"
    DIST_DIR=$out DIST_SOURCE=1 packaging/dist.sh >/dev/null
    cd "$out"
    mv "libcaio-$version.tar.xz" "libcaio_$version.orig.tar.xz"
    tar -xf "libcaio_$version.orig.tar.xz"
    # -d: the compiler may come from elsewhere.
    (cd "libcaio-$version" && env -u CARGO_TARGET_DIR -u MAKEFLAGS -u MAKELEVEL dpkg-buildpackage -d -us -uc) >build.log 2>&1 || {
        tail -n 30 build.log
        exit 1
    }
    rm -rf "libcaio-$version"
    printf '%s\n' "$out"/*.deb
}

lint() {
    needs lintian lintian
    cd "$out"
    lintian --allow-root --fail-on error --tag-display-limit 0 ./*.changes
    echo "ok: lintian: no errors"
}

# Every file of the chroot, without the state of apt and dpkg.
files() {
    "${inside[@]}" find / -xdev '(' -path /tmp -o -path /var -o -path /proc -o -path /etc/ld.so.cache ')' -prune -o -print | LC_ALL=C sort
}

leave_chroot() {
    umount "$chroot/proc" 2>/dev/null || true
    rm -rf --one-file-system "$chroot"
}

# The packages are downloaded once.
make_chroot() {
    local suite options=(--variant=minbase --include=python3)
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    [ ! -d "$chroot" ] || leave_chroot
    [ -f "$out/$suite.tar" ] || debootstrap "${options[@]}" --make-tarball="$out/$suite.tar" "$suite" "$out/download" >"$out/debootstrap.log"
    debootstrap "${options[@]}" --unpack-tarball="$out/$suite.tar" "$suite" "$chroot" >"$out/debootstrap.log"
    trap leave_chroot EXIT
    mount -t proc proc "$chroot/proc"
}

use_tools() {
    "${inside[@]}" caio-probe
    "${inside[@]}" caio-cp -q /usr/include "$scratch"
    "${inside[@]}" diff -r --no-dereference /usr/include "$scratch/include"
    "${inside[@]}" caio-bench -t 0.2 --size=1M -c cached "$scratch"
}

use_python() {
    "${inside[@]}" python3 -c '
import asyncio, caio
async def main():
    async with caio.AsyncioContext() as ctx:
        with open("/etc/passwd", "rb") as file:
            assert await ctx.read(1 << 20, file.fileno(), 0) == open("/etc/passwd", "rb").read()
asyncio.run(main())'
}

# The chroot has no compiler: the one outside uses the header and the libraries inside.
use_library() {
    local libraries=$tree/usr/lib/$multiarch
    cc "$examples/hello.c" -I"$tree/usr/include" -L"$libraries" -lcaio -o "$shared/hello"
    cc "$examples/hello.c" -I"$tree/usr/include" -L"$libraries" -static -lcaio -o "$shared/hello-static"
    "${inside[@]}" "$scratch/hello"
    "${inside[@]}" "$scratch/hello-static"
    [ "$(PKG_CONFIG_PATH=$libraries/pkgconfig pkg-config --modversion caio)" = "$version" ]
}

# The files of the packages, where they were unpacked.
in_unpacked() {
    tree=$unpacked scratch=$unpacked/scratch shared=$unpacked/scratch
    inside=(env LD_LIBRARY_PATH="$tree/usr/lib/$multiarch" PYTHONPATH="$tree/usr/lib/python3/dist-packages" PATH="$tree/usr/bin:/usr/bin:/bin")
    rm -rf "$unpacked"
    mkdir -p "$scratch"
    for package in "$out"/{libcaio{0,-dev},caio-tools,python3-caio}_*.deb; do dpkg-deb -x "$package" "$unpacked"; done
    use_tools
    use_python
    use_library
    rm -rf "$unpacked"
    echo "ok: the unpacked packages are usable"
}

in_chroot() {
    needs debootstrap debootstrap
    if [ "$(id -u)" != 0 ]; then
        echo "skipped: the test in a chroot needs root"
        exit 0
    fi
    make_chroot
    files >"$out/before"
    cp "$out"/{libcaio,caio-tools_,python3}*.deb "$chroot/tmp"
    rm -f "$chroot"/tmp/*dbgsym*
    "${inside[@]}" sh -c 'dpkg -i /tmp/*.deb' >"$out/dpkg.log"
    use_tools
    use_python
    use_library
    echo "ok: chroot: installed and used"
    "${inside[@]}" dpkg --purge libcaio-dev caio-tools python3-caio libcaio0 >>"$out/dpkg.log"
    files | diff "$out/before" -
    echo "ok: chroot: removed without a trace"
}

for step in ${DEB_STEPS:-build lint unpack ${DEB:-chroot}}; do
    case $step in
    build) (build) ;;
    lint) (lint) ;;
    unpack) (in_unpacked) ;;
    chroot) (in_chroot) ;;
    short) ;;
    *) echo "unknown step: $step" >&2 && exit 1 ;;
    esac
done
