#!/bin/bash
# Uses the files that `make install` installs as a C or C++ programmer does: through pkg-config.
suite=install
. "$(dirname "$0")/lib.sh"

strict=(-Wall -Wextra -Wpedantic -Werror)
version=$(sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q;}' "$root/Cargo.toml")
library=$STAGED_LIBS/libcaio.so.$version
flags() { $PKG_CONFIG --cflags --libs "$@" caio; }

# check_cxx: like check, if there is a C++ compiler.
check_cxx() { if have g++; then check "$@"; fi; }
have g++ || skip "everything as C++" g++

# The output of pkg-config is a list of flags: split it.
# shellcheck disable=SC2046
c() { $CC -std=gnu11 -O1 "${strict[@]}" "$@" $(flags); }
# In C++, designated initializers that omit fields cause this warning.
# shellcheck disable=SC2046
cxx() { g++ -std=gnu++20 -O1 "${strict[@]}" -Wno-missing-field-initializers "$@" $(flags); }

all_there() {
    local file
    for file in "$library" "$STAGED_LIBS/libcaio.a" "$STAGED_LIBS/pkgconfig/caio.pc" "$STAGE/include/caio.h" "$STAGE"/bin/caio-{cp,probe,bench} "$STAGE/share/man/man7/caio.7" "$STAGE"/share/caio/caio.{json,cdef.h}; do
        [ -f "$file" ] || return
    done
    expect "libcaio.so.$version" "$(readlink "$STAGED_LIBS/libcaio.so.0")" && expect libcaio.so.0 "$(readlink "$STAGED_LIBS/libcaio.so")" &&
        expect "$(cd "$root/include" && find . -name '*.h*' | sort)" "$(cd "$STAGE/include" && find . -name '*.h*' | sort)" &&
        expect "$(cd "$root/man" && ls)" "$(cd "$STAGE/share/man" && find . -name '*.[1-9]' -printf '%f\n' | LC_ALL=C sort)"
}
check "make install installs every file" all_there

numbers_agree() {
    expect "$version" "$($PKG_CONFIG --modversion caio)" &&
        expect "$version" "$(sed -n 's/^#define CAIO_VERSION_[MP].* //p' "$STAGE/include/caio.h" | paste -sd .)"
}
check "Cargo.toml, caio.pc and caio.h agree on the version" numbers_agree

marked() {
    readelf -d "$library" >dynamic && grep -q 'SONAME.*\[libcaio\.so\.0\]' dynamic && grep -q 'FLAGS_1.*NODELETE' dynamic && ! grep -q 'TEXTREL' dynamic
}
check "the library has its soname and stays loaded" marked

functions() { sed -n 's/^[a-z].*[ *]\(caio_[a-z_0-9]*\)(.*/\1/p' "$STAGE/include/caio.h" | LC_ALL=C sort; }
exports() {
    nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }' | LC_ALL=C sort >exported && [ "$(wc -l <exported)" -ge 18 ] &&
        expect "$(functions)" "$(sed 's/@@CAIO_0\.[12]$//' exported)" && grep -qx 'caio_ctx_new@@CAIO_0\.1' exported
}
check "the library exports the functions of the header, each with its version" exports

archive() {
    [ "$(stat -c %s "$STAGED_LIBS/libcaio.a")" -lt 4000000 ] &&
        expect "$(functions)" "$(nm -g --defined-only "$STAGED_LIBS/libcaio.a" | awk 'NF == 3 && $3 != "_.stapsdt.base" { print $3 }' | LC_ALL=C sort)" &&
        ! nm -u "$STAGED_LIBS/libcaio.a" | grep 'getaddrinfo\|getpw'
}
check "the static library is small and defines the functions of the header alone" archive

# The header.

# compiles COMPILER STANDARD FILE
compiles() { $1 -std="$2" "${strict[@]}" -c "$3" -o compiled.o $($PKG_CONFIG --cflags caio); }
for part in contract_check contract_check_02; do
    cp "$root/tests/c/$part.c" $part.c
    cp $part.c $part.cc
done
echo '#include <caio.h>' | tee alone.c >alone.cc

for part in contract_check contract_check_02; do
    check "$part.c as C11" compiles "$CC" c11 $part.c
    check_cxx "$part.c as C++17" compiles g++ c++17 $part.cc
done

# The ABI of 0.1 is in the tree. The library has no types in its debug information, so that a library of empty functions with
# the declarations of the header stands for it. Made with
#   abidw --no-corpus-path --no-comp-dir-path --drop-private-types --no-show-locs --no-architecture
empty_library() {
    echo '#include <caio.h>' | $CC -std=c11 -I "$STAGE/include" -E -P - | tr '\n' ' ' | sed 's/;/;\n/g' | grep ' \**caio_[a-z_]*(' |
        sed -E 's/^ *void (.*);/void \1 {}/; s/;$/ { return 0; }/' | cat alone.c - |
        $CC -std=c11 -g -O0 -I "$STAGE/include" -shared -fPIC -o empty.so -xc -
}
abi_grows() {
    empty_library && [ "$(nm -D --defined-only empty.so | grep -c caio_)" = "$(functions | wc -l)" ] &&
        abidiff --no-architecture --no-added-syms "$root/tests/c/caio-0.1.abi" empty.so
}
if have abidiff; then check "the ABI of 0.1 is still there" abi_grows; else skip "the comparison of ABIs" abigail-tools; fi

for std in c99 c11 c17; do check "the header alone as $std" compiles "$CC" $std alone.c; done
for std in c++11 c++17 c++20; do check_cxx "the header alone as $std" compiles g++ $std alone.cc; done
check "the header alone with the fields of 32-bit pointers" compiles "$CC -DCAIO_POINTER_32" c11 alone.c

# The examples, as C and as C++.

hello() { expect "$(printf 'Hello world\nHello from async world')" "$("$1")"; }
readme() { expect "$(cat /etc/os-release)" "$("$1")"; }
epoll_loop() {
    "$1" "$library" >out && grep -q "^$(stat -c %s "$library" | awk '{ printf "%.1f", $1 / 1e6 }') MB in " out && grep -q 'longest gap' out &&
        exits 1 "$1" nowhere && says "nowhere: No such file or directory"
}

makefile() {
    make -C "$root/c-examples" OUT="$PWD/built" CFLAGS="-O2 -Werror" && expect "caio-bench caio-cp caio-httpd caio-probe epoll_loop hello read_tree readme" "$(echo $(ls built))" &&
        make -C "$root/c-examples" OUT="$PWD/built" clean && expect "" "$(ls built)"
}
mkdir built
check "c-examples/Makefile builds and cleans every example" makefile
for name in hello readme epoll_loop; do
    check "$name.c as C" c "$root/c-examples/$name.c" -o "$name"
    check_cxx "$name.c as C++" cxx -xc++ "$root/c-examples/$name.c" -xnone -o "$name-cxx"
    for backend in uring linux thread; do
        CAIO_IMPL=$backend check "$name on $backend" $name "./$name"
        CAIO_IMPL=$backend check_cxx "$name as C++ on $backend" $name "./$name-cxx"
    done
done

read_tree() {
    expect "$(find "$root/man" -type f -printf '%s\n' | awk '{ bytes += $1 } END { print NR " files, " bytes " bytes" }')" "$(./read_tree "$root/man")" &&
        exits 1 ./read_tree nowhere && says "nowhere: No such file or directory"
}
check "read_tree.c as C" c "$root/c-examples/read_tree.c" -o read_tree
for backend in uring linux thread; do CAIO_IMPL=$backend check "read_tree on $backend" read_tree; done

# failing CALL PARAMETERS RETURN-STATEMENTS: the library failing-CALL.so, which replaces one function by a failing one.
failing() {
    printf '#include <errno.h>\n#include <poll.h>\n#include <sys/epoll.h>\n#include <caio.h>\nint %s(%s) { %s }\n' "$@" >"failing-$1.c" &&
        $CC -shared -fPIC -o "failing-$1.so" "failing-$1.c" $($PKG_CONFIG --cflags caio)
}
stops() {
    failing caio_ctx_poll "caio_ctx *c, caio_event *e, uint32_t n" "return -EIO;" &&
        failing epoll_wait "int l, struct epoll_event *e, int n, int t" "errno = EIO; return -1;" &&
        exits 1 env LD_PRELOAD="$PWD/failing-caio_ctx_poll.so" ./readme && says "Input/output error" && [ ! -s out ] &&
        for call in caio_ctx_poll epoll_wait; do
            exits 1 env LD_PRELOAD="$PWD/failing-$call.so" timeout 20 ./epoll_loop "$library" && says "Input/output error" || return
        done
}
check "the examples report a wait that fails" stops

# The C tests, against the installed library.

cd "$work" && mkdir run
for name in tour fork dlclose exit_live; do
    check "tests/c/$name.c" c -D_GNU_SOURCE "$root/tests/c/$name.c" -o "$name" -pthread
done
check_cxx "tests/c/tour.c as C++" cxx -xc++ "$root/tests/c/tour.c" -xnone -o tour-cxx

runs() { (cd run && "../$1" "${@:2}"); }
ends() {
    cd run || return
    "../exit_live" "$1" "$2" >said
    expect 3 $? && expect bye "$(cat said)"
}
for backend in 1 2 3; do
    check "tour on backend $backend" runs tour $backend
    check_cxx "tour as C++ on backend $backend" runs tour-cxx $backend
    check "fork on backend $backend" runs fork $backend
    check "dlclose on backend $backend" runs dlclose $backend "$library"
    for how in main exit thread; do check "exit of a live context, $how, backend $backend" ends $backend $how; done
done

# Static linking.

# shellcheck disable=SC2046
static_libc() {
    $CC "$root/c-examples/hello.c" -o hello-static -static $(flags --static) 2>warnings && expect "" "$(cat warnings)" && hello ./hello-static && ! readelf -d hello-static | grep -q NEEDED
}
# shellcheck disable=SC2046
static_caio() {
    $CC "$root/c-examples/hello.c" -o hello-archive $(flags --static | sed 's/-lcaio/-l:libcaio.a/') && hello ./hello-archive && ! readelf -d hello-archive | grep -q caio
}
check "a fully static program works and links without warnings" static_libc
check "a program with the static library and the shared libc works" static_caio

# Installation directories.

own_library() { for tool in "$STAGE"/bin/*; do env -u LD_LIBRARY_PATH "$tool" --version || return; done; }
check "the tools find their library without LD_LIBRARY_PATH" own_library

manual() { man -M "$STAGE/share/man" caio_ctx_poll | grep -q caio_ctx_poll && man -M "$STAGE/share/man" 7 caio | grep -q default_implementation; }
if have man; then check "man finds the pages" manual; else skip "the manual" man-db; fi

no_cargo() { make -C "$root" install DESTDIR="$work/again" CARGO=false; }
check "a second make install builds nothing" no_cargo

# Another prefix, with its own build directory. The configuration directory is below the prefix.
elsewhere() { CARGO_TARGET_DIR=$work/target make -C "$root" "$@"; }
a_prefix() {
    elsewhere install PREFIX="$work/prefix" >said 2>&1 && grep -qF "$work/prefix/etc/caio" said || { cat said; return 1; }
    export PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig LD_LIBRARY_PATH=$work/prefix/lib
    expect "$work/prefix/etc/caio" "$($PKG_CONFIG --variable=configdir caio)" && c -D_GNU_SOURCE "$root/tests/c/who.c" -o who &&
        mkdir -p prefix/etc/caio && printf '# choice\nthread\n' >prefix/etc/caio/default_implementation && ./who >said && grep -qx thread said &&
        rm -r prefix/etc && ./who >said && ! grep -qx thread said && grep -F "$work/prefix/etc/caio" said
}
removed() { elsewhere uninstall PREFIX="$work/prefix" && [ ! -e prefix ]; }
check "make install PREFIX=... sets the configuration directory" a_prefix
check "make uninstall removes every installed file" removed

spared() {
    mkdir -p prefix/lib prefix/share/man && touch prefix/lib/libcaiother.so && elsewhere uninstall PREFIX="$work/prefix" && [ -e prefix/lib/libcaiother.so ]
}
check "make uninstall removes no other file" spared

distribution() {
    local folders=(PREFIX=/usr LIBDIR=/usr/lib/some-linux-gnu DESTDIR="$work/package")
    elsewhere install "${folders[@]}" && $PKG_CONFIG --variable=libdir "$work/package/usr/lib/some-linux-gnu/pkgconfig/caio.pc" | grep -x /usr/lib/some-linux-gnu &&
        grep -qF /etc/caio "package/usr/lib/some-linux-gnu/libcaio.so.$version" && ! grep -qF /usr/etc/caio "package/usr/lib/some-linux-gnu/libcaio.so.$version" &&
        ! grep -rqF "$work" package/usr/lib package/usr/bin && elsewhere uninstall "${folders[@]}" && expect "" "$(find package -not -type d)"
}
check "make install with DESTDIR and LIBDIR suits a distribution" distribution

finish
