#!/bin/bash
# `make demo`: installs libcaio under the build directory, builds programs against it through pkg-config, and copies a real
# tree on each backend, compared byte by byte. DEMO_SHORT=1 copies a small tree. Removes all that it makes.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)

echo "Building, and installing under the build directory ..."
staged=$("${MAKE:-make}" -s --no-print-directory -C "$root" stage-env)
eval "$staged"
scratch=$(mktemp -d "$SCRATCH/demo.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

# With many small files, keep the copies to the end: ext4 is slow to reuse inodes that were just freed.
if [ -n "${DEMO_SHORT:-}" ]; then tree=/usr/include copies=4; else tree=$(rustc --print sysroot)/lib copies=1; fi
size=$(du -sk "$tree" | cut -f1)
room=$(df -Pk "$scratch" | awk 'NR == 2 { print $4 }')
if [ "$room" -lt $((size * copies + size / 4)) ]; then
    echo "demo: needs $((size * copies / 1024 + size / 4096)) MiB of free space in $SCRATCH" >&2
    exit 1
fi

printf '\n$ make -C c-examples hello caio-cp      # cc ... $(pkg-config --cflags --libs caio)\n'
"${MAKE:-make}" -s --no-print-directory -C "$root/c-examples" OUT="$scratch" CC="$CC" hello caio-cp
printf '$ ./hello\n'
"$scratch/hello"

row() { printf '%-21s %8s %8s %9s %9s %9s   %s\n' "$@"; }
seconds() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b - a }'; }
# rate KIBIBYTES SECONDS
rate() { awk -v k="$1" -v s="$2" 'BEGIN { printf "%.0f", k * 1.024e-3 / (s > 0 ? s : 0.01) }'; }

# timed LABEL COMMAND...: prints a row with the time and, from the command's summary, how operations ran.
timed() {
    local label=$1 start end said took ways same=identical copy
    shift
    copy=$(mktemp -d "$scratch/copy.XXXXXX")/tree
    sync -f "$scratch" # do not measure the writeback of the previous copy
    start=$EPOCHREALTIME
    said=$("$@" "$tree" "$copy")
    end=$EPOCHREALTIME
    took=$(seconds "$start" "$end")
    diff -r --no-dereference "$tree" "$copy" >"$scratch/differences" || same=DIFFERENT
    ways=$(echo "$said" | sed -n 's/.*: \([0-9]*\) operations\{0,1\} inline, \([0-9]*\) native, \([0-9]*\) by workers/\1 \2 \3/p')
    # shellcheck disable=SC2086
    row "$label" "$took" "$(rate "$size" "$took")" ${ways:-- - -} "$same"
    [ $copies != 1 ] || rm -rf "$copy"
    [ "$same" = identical ] || { head "$scratch/differences"; exit 1; }
}

find "$tree" -type f -exec cat {} + >/dev/null # every copy reads from the page cache
printf '\nCopying %s: %s files, %s MB\n\n' "$tree" "$(find "$tree" -type f | wc -l)" "$((size * 1024 / 1000000))"
row "" seconds MB/s inline native workers "compared with the source"
timed "cp -a" cp -a
for backend in uring linux thread; do
    if why=$("$scratch/caio-cp" -q -b $backend "$root/Cargo.toml" "$scratch/probe" 2>&1); then
        timed "caio-cp -a -b $backend" "$scratch/caio-cp" -a -b $backend
    else
        echo "skipped: $backend needs a kernel and container that allow it ($why)"
    fi
done
printf '\ninline: complete inside submit; native: by the kernel; workers: by threads of the library.\n'
