#!/bin/bash
# `make torture`: runs every script of tests/torture, in full, or with TORTURE=short as `make check` does. Each script appends
# the cases that it ran without a loss to the file TORTURE_TALLY: lines of a number, a tab, and WHAT. tests/RELIABILITY.md
# gives the sums.
#
#   tests/shell/torture.sh [NAME...]
#
# In full, TORTURE_LANES scripts run at the same time, by default four. The output of each is shown when it ends; with one
# lane, it is shown immediately. The soak and the fuzzer run for a fixed time, the fuzzer at low priority. A script that changes
# settings of the whole machine runs alone.
set -um # each script and its children are a process group
cd "$(dirname "$0")/../.." || exit 1
export TORTURE=${TORTURE:-full} MAKE=${MAKE:-make} CARGO=${CARGO:-cargo}
lanes=${TORTURE_LANES:-$([ "$TORTURE" = full ] && echo 4 || echo 1)}
logs=$(mktemp -d)
export TORTURE_TALLY=$logs/tally
touch "$TORTURE_TALLY"
declare -A running=() begun=()
status=0 summary=()

# Kills the remaining scripts and their children.
stop() {
    for pid in "${!running[@]}"; do
        kill -TERM -- "-$pid" 2>/dev/null
    done
    wait 2>/dev/null
    rm -rf "$logs"
}
trap stop EXIT
trap 'exit 130' INT TERM

start() {
    [ "$lanes" = 1 ] && printf '\n== %s (%s)\n' "$1" "$TORTURE"
    {
        [ "$lanes" = 1 ] || exec >"$logs/$1.log"
        exec "tests/torture/$1.sh" 2>&1 </dev/null
    } &
    running[$!]=$1 begun[$!]=$SECONDS
}

# Waits for one running script.
finish() {
    local pid outcome=ok name took
    wait -n -p pid "${!running[@]}" || outcome=FAILED status=1
    name=${running[$pid]} took=$((SECONDS - begun[$pid]))
    unset "running[$pid]"
    if [ "$lanes" != 1 ]; then
        printf '\n== %s (%s)\n' "$name" "$TORTURE"
        cat "$logs/$name.log"
    fi
    summary+=("$(printf '%-12s %-7s %4d s' "$name" "$outcome" "$took")")
}

finish_until() {
    while [ ${#running[@]} -gt "$1" ]; do finish; done
}

# All scripts: first those that run alone, then the longest.
if [ $# = 0 ]; then
    set -- kernel soak fuzz tsan oldkernel emulated model asan
    for script in tests/torture/*.sh; do
        name=$(basename "$script" .sh)
        case " lib $* " in *" $name "*) ;; *) set -- "$@" "$name" ;; esac
    done
fi
for name in "$@"; do
    if [ "$name" = kernel ]; then # io_uring_disabled, aio-max-nr
        finish_until 0
        start "$name"
        finish_until 0
    else
        finish_until $((lanes - 1))
        start "$name"
    fi
done
finish_until 0

printf '\n== What was tried\n'
awk -F '\t' '{ sum[$2] += $1 } END { for (what in sum) printf "%8d  %s\n", sum[what], what }' "$TORTURE_TALLY" | sort -k2
printf '\n== Torture\n'
printf '%s\n' "${summary[@]}" "$(printf '%-12s %-7s %4d s' all "$([ $status = 0 ] && echo ok || echo FAILED)" $SECONDS)"
exit $status
