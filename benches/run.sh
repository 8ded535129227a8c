#!/bin/bash
# Compares libcaio with its peers on this machine; README.md in this directory describes what is measured and how. `make
# bench` runs it with the new build. To run it by hand, pkg-config must find caio.pc.
#
#   ROW="cold-read-4k" DEPTH="1 16" ENGINE="auto-st liburing"   only a part; scaling, instructions, small-files and tree-copy are rows too.
#                         ROW=httpd prints caio-httpd beside nginx; it is not a part of the whole
#   TREE=small CACHE=warm   a part of tree-copy; CACHE=cached, a part of httpd
#   BENCH_SHORT=1 or --quick   a short run for CI; its figures are not meaningful
#   BENCH_DIR=dir         a directory on the disk to measure (default: target/bench)
#   BENCH_MIB=512         size of the file to read; cached rows need that much free memory
#   BENCH_ROUNDS=40       turns of each engine
#   BENCH_TURN_MS=20      duration of a turn; in lockstep and for scaling, 8 times that
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${BENCH_DIR:-$here/../target/bench} short=${BENCH_SHORT:-}
if [ "${1:-}" = --quick ]; then short=1; fi
if [ -n "$short" ]; then : "${BENCH_MIB:=32}" "${BENCH_ROUNDS:=1}" "${BENCH_TURN_MS:=20}"; fi
mib=${BENCH_MIB:-512} rounds=${BENCH_ROUNDS:-40} turn_ms=${BENCH_TURN_MS:-20} row=${ROW:-} depth=${DEPTH:-}
long_ms=$((8 * turn_ms)) # the tail of the times inside submit needs many samples
if [ -n "$short" ]; then long_ms=$turn_ms; fi

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
work=$(mktemp -d "$dir/run.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
# shellcheck source=benches/build.sh
. "$here/build.sh"
rm -f "$dir"/{loop,lockstep,scaling,instructions,small-files,tree-copy}.tsv

about() {
    echo "Linux $(uname -r), $(nproc) CPUs ($(sed -n 's/^model name[[:space:]]*: //p;T;q' /proc/cpuinfo))"
    echo "$(df --output=fstype "$work" | tail -n 1) on $(df --output=source "$work" | tail -n 1), $mib MiB read; libcaio $(pkg-config --modversion caio), peers:$peers"
    echo "$(date -u '+%Y-%m-%d %H:%M UTC'), $rounds turns of $turn_ms ms of each engine"
}

compare() {
    local options=(-m "$mib" -r "$row" -e "${ENGINE:-}")
    build bench bench.c common.c histogram.c target.c turn.c player.c engines.c engine_*.c
    "$work/bench" "${options[@]}" -n "$rounds" -t "$turn_ms" -d "${depth:-1 16 128}" "$work" >"$dir/loop.tsv"
    case " ${depth:-16} " in
    *" 16 "*) "$work/bench" "${options[@]}" -n $(((rounds + 4) / 5)) -t "$long_ms" -d 16 -l "$work" >"$dir/lockstep.tsv" ;;
    esac
}

scaling() {
    build scaling scaling.c scaling_cancel.c common.c histogram.c
    echo "scaling" >&2
    "$work/scaling" "$work" "$long_ms" >"$dir/scaling.tsv"
}

instructions() {
    build instructions instructions.c common.c
    if ! command -v valgrind >/dev/null; then
        echo "skipped: the count of instructions needs valgrind"
        return
    fi
    echo "instructions" >&2
    work="$work" "$here/instructions.sh" >"$dir/instructions.tsv"
}

small_files() {
    build small_files small_files.c small_plain.c small_caio.c small_liburing.c small_libuv.c common.c
    echo "small files" >&2
    mkdir "$work/small-files"
    "$work/small_files" -e "${ENGINE:-}" -d "$depth" "$work/small-files" "$([ -n "$short" ] && echo 1 || echo 9)" >"$dir/small-files.tsv"
}

tree_copy() {
    echo "tree copy" >&2
    mkdir "$work/tree-copy"
    work="$work/tree-copy" BENCH_SHORT="$short" "$here/tree_copy.sh" >"$dir/tree-copy.tsv"
}

if [ "$row" = httpd ]; then
    work="$work" "$here/httpd.sh"
    exit
fi
about | tee "$dir/about.txt"
case $row in
scaling) scaling ;;
instructions) instructions ;;
small-files) small_files ;;
tree-copy) tree_copy ;;
'') compare && scaling && instructions && small_files && tree_copy ;;
*) compare ;;
esac
${CARGO:-cargo} run --quiet --release --locked --manifest-path "$here/report/Cargo.toml" \
    --target-dir "${REPORT_TARGET:-$here/../target/report}" -- "$dir"
