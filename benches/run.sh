#!/bin/bash
# Compares libcaio with its peers on this machine. `make bench` calls it against the freshly built library; by hand,
# caio.pc must be where pkg-config looks. See README.md beside this file.
#
#   ROW="cold-read-4k" DEPTH="1 16" ENGINE="auto-st liburing"   a part only
#   BENCH_SHORT=1         a quick look, as CI takes it: whether everything runs, no figures to quote
#   BENCH_DIR=dir         where files go: a folder on the disk to measure (default: target/bench)
#   BENCH_MIB=512         size of the file that is read; cached rows need that much free memory
#   BENCH_ROUNDS=7        turns of each engine
#   BENCH_TURN_MS=300     how long a turn takes
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${BENCH_DIR:-$here/../target/bench}
if [ "${1:-}" = --quick ] || [ -n "${BENCH_SHORT:-}" ]; then
    : "${BENCH_MIB:=32}" "${BENCH_ROUNDS:=1}" "${BENCH_TURN_MS:=20}"
fi
mib=${BENCH_MIB:-512} rounds=${BENCH_ROUNDS:-7} turn_ms=${BENCH_TURN_MS:-300}

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
work=$(mktemp -d "$dir/run.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
# shellcheck source=benches/build.sh
. "$here/build.sh"
build bench bench.c common.c histogram.c target.c turn.c engines.c engine_*.c

echo "Linux $(uname -r), $(nproc) CPUs ($(sed -n 's/^model name[[:space:]]*: //p;T;q' /proc/cpuinfo)), $(df --output=fstype "$work" | tail -n 1)"
options=(-m "$mib" -n "$rounds" -t "$turn_ms" -r "${ROW:-}" -e "${ENGINE:-}")
"$work/bench" "${options[@]}" -d "${DEPTH:-1 16 128}" "$work" >"$dir/loop.tsv"
"$work/bench" "${options[@]}" -d 16 -l "$work" >"$dir/lockstep.tsv"
for measure in loop lockstep; do
    echo
    echo "$measure: medians of $rounds turns of $turn_ms ms (kops/s, us)"
    awk -F'\t' '
        function median(list, n, i, j, t, parts) {
            n = split(list, parts, " ")
            for (i = 2; i <= n; i++)
                for (j = i; j > 1 && parts[j - 1] + 0 > parts[j] + 0; j--) { t = parts[j]; parts[j] = parts[j - 1]; parts[j - 1] = t }
            return parts[int((n + 1) / 2)]
        }
        { key = $2 "\t" $3 "\t" $4; if (!(key in seen)) { seen[key] = 1; keys[++count] = key }
          for (f = 8; f <= 16; f++) all[key, f] = all[key, f] " " $f + 0 }
        END { print "row\tdepth\tengine\tkops/s\tcpu us\tp50\tp99\tp99.9\tsubmit p50\tp99\tp99.9\tmax"
              for (k = 1; k <= count; k++) { line = keys[k]
                  for (f = 8; f <= 16; f++) line = line "\t" median(all[keys[k], f]); print line } }
    ' "$dir/$measure.tsv" | column -t -s "$(printf '\t')"
done
