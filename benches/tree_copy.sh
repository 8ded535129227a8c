#!/bin/bash
# Called by run.sh: copies two trees with `caio-cp -a`, `cp -a` and `rsync -a`: many small files, and a few large ones. Prints the
# median times. The copies take turns. Cold: the page cache is dropped before each copy, which needs root. TREE=small
# or TREE=large, CACHE=warm or CACHE=cold select a part, COPIES=3 the number of copies.
set -euo pipefail
files=20000 large=8 large_mib=256 rounds=${COPIES:-5}
if [ -n "${BENCH_SHORT:-}" ]; then files=500 large=2 large_mib=8 rounds=1; fi

# As many small files of 1 to 16 KiB as asked for, 100 in a directory; no program is started for each.
make_small() { # DIRECTORY
    python3 - "$1" "$files" <<'PYTHON'
import os, random, sys
root, count = sys.argv[1], int(sys.argv[2])
random.seed(1)
for number in range(count):
    if number % 100 == 0:
        os.makedirs(f"{root}/d{number // 100}")
    with open(f"{root}/d{number // 100}/f{number}", "wb") as file:
        file.write(random.randbytes(random.randint(1024, 16384)))
PYTHON
}

make_large() { # DIRECTORY
    mkdir "$1"
    for number in $(seq "$large"); do
        head -c "${large_mib}M" /dev/urandom >"$1/f$number"
    done
}

copy() { # TOOL FROM TO
    case $1 in
    caio-cp) caio-cp -a "$2" "$3" >/dev/null ;;
    cp) cp -a "$2" "$3" ;;
    rsync) rsync -a "$2/" "$3" ;;
    esac
}
tools="caio-cp cp"
if command -v rsync >/dev/null; then tools="$tools rsync"; else echo "skipped: the copy with rsync (Debian: rsync)" >&2; fi
trees=${TREE:-small large} states=${CACHE:-warm cold}
if [ ! -w /proc/sys/vm/drop_caches ]; then states=warm; echo "skipped: cold copies need root" >&2; fi

# A copy is written out before the next one starts, so that no tool pays for another. The copies of small files stay until
# the end: for minutes after files were removed, ext4 searches long for the inode of a new one.
measure() { # TOOL TREE STATE ROUND
    local start copy="$work/copy.$2.$3.$4.$1"
    sync
    if [ "$3" = cold ]; then echo 3 >/proc/sys/vm/drop_caches; else find "$work/$2" -type f -exec cat {} + >/dev/null; fi
    start=$(date +%s%N)
    copy "$1" "$work/$2" "$copy"
    echo $((($(date +%s%N) - start) / 1000)) >>"$work/times.$1.$2.$3"
    if [ "$2" = large ]; then rm -rf "$copy"; fi
}
median() { sort -n "$1" | sed -n "$(((rounds + 1) / 2))p"; }

for tree in $trees; do "make_$tree" "$work/$tree"; done
printf 'copy of a tree\tSmall: %s files of 1 to 16 KiB. Large: %s files of %s MiB. Median of %s copies, in turns; without the time to write the copy out.\n' \
    "$files" "$large" "$large_mib" "$rounds"
printf 'tree, cache\ttool\tms\tof cp\n'
for tree in $trees; do
    for state in $states; do
        for round in $(seq "$rounds"); do
            for tool in $tools; do measure "$tool" "$tree" "$state" "$round"; done
        done
        for tool in $tools; do
            awk -v row="$tree, $state" -v tool="$tool" -v us="$(median "$work/times.$tool.$tree.$state")" \
                -v cp="$(median "$work/times.cp.$tree.$state")" 'BEGIN { printf "%s\t%s\t%.0f\t%.2f\n", row, tool, us / 1000, us / cp }'
        done
    done
done
echo
