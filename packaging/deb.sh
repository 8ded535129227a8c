#!/bin/bash
# `make deb`: builds Debian packages of the last commit in DEB_DIR (target/deb), checks them with lintian, and then installs, uses and
# removes them in a new chroot. DEB_STEPS selects some of these steps: build lint chroot.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${DEB_DIR:-${CARGO_TARGET_DIR:-target}/deb}")
version=$(sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q;}' Cargo.toml)
examples=$PWD/c-examples
chroot=$out/chroot
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
    "${inside[@]}" caio-cp -q /etc /tmp
    diff -r --no-dereference "$chroot/etc" "$chroot/tmp/etc"
    "${inside[@]}" caio-bench -t 0.2 --size=1M -c cached /tmp
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
    local libraries
    libraries=$chroot/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)
    cc "$examples/hello.c" -I"$chroot/usr/include" -L"$libraries" -lcaio -o "$chroot/tmp/hello"
    cc "$examples/hello.c" -I"$chroot/usr/include" -L"$libraries" -static -lcaio -o "$chroot/tmp/hello-static"
    "${inside[@]}" /tmp/hello
    "${inside[@]}" /tmp/hello-static
    [ "$(PKG_CONFIG_PATH=$libraries/pkgconfig pkg-config --modversion caio)" = "$version" ]
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

for step in ${DEB_STEPS:-build lint chroot}; do
    case $step in
    build) (build) ;;
    lint) (lint) ;;
    chroot) (in_chroot) ;;
    *) echo "unknown step: $step" >&2 && exit 1 ;;
    esac
done
