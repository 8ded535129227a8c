#!/bin/bash
# What the users of the tarballs see: the last commit as a source tarball that builds offline, and as programs that run anywhere.
# DIST=short does not build the binary tarball a second time.
suite=dist
. "$(dirname "$0")/lib.sh"

if ! git -C "$root" rev-parse -q --verify HEAD >/dev/null 2>&1; then
    skip "the tarballs" "a git checkout"
    finish
fi
version=$(git -C "$root" show HEAD:Cargo.toml | sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q;}')
source=libcaio-$version
binary=$source-$($CC -dumpmachine)

# copy DIRECTORY: a clone of the last commit, which stays the same if the work goes on.
commit=$(git -C "$root" rev-parse HEAD)
copy() { git clone -q "$root" "$1" && git -C "$1" checkout -q --detach "$commit"; }

makes() { copy clone && DIST_DIR=$work/first make -C clone dist && expect "SHA256SUMS $binary.tar.xz $source.tar.xz" "$(echo $(LC_ALL=C ls first))"; }
check "make dist makes a source and a binary tarball from an offline build" makes

sums() { cd first && sha256sum -c SHA256SUMS; }
check "the checksums are right" sums

same_bytes() {
    copy another-clone && umask 077 && DIST_DIR=$work/second DIST_SOURCE=${DIST:+1} make -C another-clone dist && cd "$work/second" && for file in *.xz; do cmp "$file" "../first/$file" || return; done
}
check "the same commit gives the same bytes in another directory" same_bytes

complete() {
    tar -tf "first/$source.tar.xz" >names && ! grep -v "^$source/" names && ! grep -q '/\.git/' names &&
        for name in Cargo.lock src/lib.rs include/caio.h man/caio.7 vendor/libc- .cargo/config.toml tests/c/tour.c LICENSE; do
            grep -q "^$source/$name" names || { echo "no $name"; return 1; }
        done
    tar -tvf "first/$source.tar.xz" >listed && expect "0/0" "$(awk '{ print $2 }' listed | sort -u)" && expect 1 "$(awk '{ print $4, $5 }' listed | sort -u | wc -l)"
}
check "the source tarball is complete and names no user or time of the build" complete

use_binary() {
    mkdir -p "anywhere/else" && tar -C "anywhere/else" -xf "first/$binary.tar.xz" && cd "anywhere/else/$binary" || return
    export PKG_CONFIG_PATH="$PWD/lib/pkgconfig" LD_LIBRARY_PATH="$PWD/lib"
    eval "$CC '$root/c-examples/hello.c' -o hello $($PKG_CONFIG --cflags --libs caio)" && expect "$(printf 'Hello world\nHello from async world')" "$(./hello)" &&
        eval "$CC '$root/c-examples/hello.c' -static -o hello-static $($PKG_CONFIG --cflags --libs --static caio)" && ./hello-static || return
    unset LD_LIBRARY_PATH
    for tool in bin/*; do expect "$version" "$("$tool" --version | awk '{ print $2 }')" || return; done
    [ -f share/man/man7/caio.7 ] && [ -f LICENSE ] && ! readelf -S lib/libcaio.so | grep -q debug_info && ! grep -rlF "$root" . && ! grep -rlF "$work" .
}
check "the binary tarball works in any directory" use_binary

# What make install installs is in the tarball.
same_files() { expect "$(cd "$STAGE" && find . -not -type d | LC_ALL=C sort)" "$(cd "anywhere/else/$binary" && find bin include lib share -not -type d | sed 's|^|./|' | LC_ALL=C sort)"; }
check "the binary tarball has every installed file" same_files

finish
