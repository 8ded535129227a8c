# The examples in other languages: each reads a real tree through the installed library, and prints the digest of its contents.
# shellcheck shell=bash

examples=$root/bindings/examples
find "$root/src" "$root/include" "$root/man" "$root/c-examples" -type f -size -256k | LC_ALL=C sort >paths

same_digest() { # COMMAND...
    timeout 120 "$@" <paths >digest && expect "$wanted" "$(cat digest)"
}
on_every_backend() { # NAME COMMAND...
    for backend in uring linux thread; do CAIO_IMPL=$backend check "$1 on $backend" same_digest "${@:2}"; done
}
# tried NAME PACKAGE TEST... -- COMMAND...: runs an example where TEST succeeds.
tried() {
    local name=$1 package=$2 probe=()
    shift 2
    while [ "$1" != -- ]; do probe+=("$1") && shift; done
    shift
    ! needs "$name" "$package" "${probe[@]}" || on_every_backend "$name" "$@"
}
check "every example has fewer than 60 lines" short_programs "$examples"/*.* "$examples"/*/*.*

if needs "the examples in other languages" python3 have python3; then
    wanted=$(xargs cat <paths | python3 -c 'import sys, zlib; print("%08x" % zlib.adler32(sys.stdin.buffer.read()))')
    on_every_backend "Python with ctypes" python3 "$examples/python_ctypes.py"
    short && return
    tried "Python with cffi" python3-cffi /usr/bin/python3 -c 'import cffi' -- /usr/bin/python3 "$examples/python_cffi.py"
    tried LuaJIT luajit have luajit -- luajit "$examples/luajit.lua"
    tried "Ruby with fiddle" ruby have ruby -- ruby "$examples/ruby.rb"
    tried "Ruby with fibers" ruby have ruby -- ruby "$examples/ruby_fibers.rb"
    tried Perl libffi-platypus-perl perl -MFFI::Platypus -e 1 -- perl "$examples/perl.pl"

    koffi() ( mkdir -p node && cp "$examples/node.mjs" node && cd node && npm install --silent --no-audit --no-fund koffi@3.3.4 )
    ! needs "Node with koffi" "npm and koffi of npm" koffi || on_every_backend "Node with koffi" node node/node.mjs

    go_builds() { mkdir -p go && cp "$examples"/go/* go && cd go && printf 'module caio/example\n\ngo 1.18\n' >go.mod && GOCACHE=$PWD/cache go build -o ../go-example .; }
    if needs Go golang-go have go; then
        check "Go: builds" go_builds
        on_every_backend Go ./go-example
    fi
    jna=/usr/share/java/jna.jar
    java_builds() { javac -Xlint:all -Werror -cp $jna -d java "$examples/Caio.java"; }
    if needs Java default-jdk-headless have javac java && needs "Java with JNA" libjna-java test -f $jna; then
        check "Java: builds" java_builds
        on_every_backend "Java with JNA" java -cp $jna:java Caio
    fi
fi
