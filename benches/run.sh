#!/bin/sh
# Compares libcaio with its peers on this machine: cached and cold 4 KiB random reads. `make bench` calls it
# against the freshly built library; by hand, caio.pc must be where pkg-config looks.
#
#   BENCH_SHORT=1     a quick look, as CI takes it
#   BENCH_DIR=dir     where the scratch file goes: a folder on the disk to measure (default: target/bench)
#   BENCH_MIB=256     its size; cached runs need that much free memory
#   BENCH_TURNS=5     turns of each engine, of which the best is shown
#   BENCH_TURN_MS=300 how long a turn takes
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=${BENCH_DIR:-$here/../target/bench}
if [ -n "${BENCH_SHORT:-}" ]; then
    : "${BENCH_MIB:=32}" "${BENCH_TURNS:=2}" "${BENCH_TURN_MS:=50}"
fi
mib=${BENCH_MIB:-256} turns=${BENCH_TURNS:-5} turn_ms=${BENCH_TURN_MS:-300}
cc=${CC:-cc}

if ! pkg-config --exists caio; then
    echo "caio.pc not found: run \`make bench\`, or set PKG_CONFIG_PATH to an installation" >&2
    exit 1
fi
flags=$(pkg-config --cflags caio) libs=$(pkg-config --libs caio)
sources="bench.c loop.c engine_caio.c engine_pread.c"

# peer NAME MACRO HEADER FLAGS LIBS PACKAGE: takes the peer in if its header is there.
peer() {
    if printf '#include <%s>\n' "$3" | $cc $4 -E - >/dev/null 2>&1; then
        sources="$sources engine_$1.c" flags="$flags -D$2 $4" libs="$libs $5"
    else
        echo "skipped: comparison with $1 needs $6"
    fi
}
# The peers are the system's, also when libcaio is in a staged root.
cflags() { PKG_CONFIG_SYSROOT_DIR='' pkg-config --cflags "$1" 2>/dev/null || :; }
peer liburing HAVE_LIBURING liburing.h "$(cflags liburing)" -luring liburing-dev
peer libaio HAVE_LIBAIO libaio.h "" -laio libaio-dev
peer libuv HAVE_LIBUV uv.h "$(cflags libuv)" -luv libuv1-dev

mkdir -p "$dir"
work=$(mktemp -d "$dir/run.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
# The flags are lists: splitting them is meant.
# shellcheck disable=SC2086
(cd "$here" && $cc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra $flags $sources -o "$work/bench" $libs)

head -c "$((mib * 1048576))" /dev/urandom >"$work/file"
sync "$work/file"

echo "Linux $(uname -r), $(nproc) CPUs ($(sed -n 's/^model name[[:space:]]*: //p;T;q' /proc/cpuinfo)), $(df --output=fstype "$work" | tail -n 1)"
echo "$mib MiB file, random reads of 4 KiB, best of $turns turns of $turn_ms ms, engines in turn"
"$work/bench" "$work/file" "$turns" "$turn_ms"
