# shellcheck shell=bash disable=SC2154,SC2034
# Sourced by run.sh: `build NAME SOURCES...` compiles a program against caio.pc and the installed peers, into $work.
cc=${CC:-cc}
if ! pkg-config --exists caio; then
    echo "caio.pc not found: run \`make bench\`, or set PKG_CONFIG_PATH to an installation" >&2
    exit 1
fi
flags=$(pkg-config --cflags caio) libs=$(pkg-config --libs caio) peers=''

# peer NAME MACRO HEADER FLAGS LIBS PACKAGE: includes the peer if its header is installed.
peer() {
    if printf '#include <%s>\n' "$3" | $cc $4 -E - >/dev/null 2>&1; then
        flags="$flags -D$2 $4" libs="$libs $5" peers="$peers $1"
    else
        echo "skipped: comparison with $1 needs $6"
    fi
}
# The peers are the system's, even if libcaio is in a staged root.
cflags() { PKG_CONFIG_SYSROOT_DIR='' pkg-config --cflags "$1" 2>/dev/null || :; }
peer liburing HAVE_LIBURING liburing.h "$(cflags liburing)" -luring liburing-dev
peer libaio HAVE_LIBAIO libaio.h "" -laio libaio-dev
peer libuv HAVE_LIBUV uv.h "$(cflags libuv)" -luv libuv1-dev

build() {
    local name=$1 source peer sources=''
    shift
    for source; do
        case $source in
        *_libuv.c | *_libaio.c | *_liburing.c)
            peer=${source#*_} peer=${peer%.c}
            case " $peers " in *" $peer "*) sources="$sources $source" ;; esac ;;
        *) sources="$sources $source" ;;
        esac
    done
    # The flags are lists, to be split.
    # shellcheck disable=SC2086
    (cd "$here" && $cc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wpedantic -Werror $flags $sources -o "$work/$name" $libs)
}
