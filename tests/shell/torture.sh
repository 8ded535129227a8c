#!/bin/bash
# `make torture`: every script of tests/torture, in full, or with TORTURE=short as `make check` does it. Each appends what it
# tried, and lost nothing of, to the file TORTURE_TALLY: lines of a number, a tab, and WHAT. Their sums are what
# tests/RELIABILITY.md says.
#
#   tests/shell/torture.sh [NAME...]
set -u
cd "$(dirname "$0")/../.." || exit 1
export TORTURE=${TORTURE:-full} MAKE=${MAKE:-make} CARGO=${CARGO:-cargo}
TORTURE_TALLY=$(mktemp)
export TORTURE_TALLY
trap 'rm -f "$TORTURE_TALLY"' EXIT
trap 'exit 130' INT TERM
if [ $# = 0 ]; then
    for script in tests/torture/*.sh; do
        [ "$script" = tests/torture/lib.sh ] || set -- "$@" "$(basename "$script" .sh)"
    done
fi

status=0 summary=()
for name in "$@"; do
    started=$SECONDS outcome=ok
    printf '\n== %s (%s)\n' "$name" "$TORTURE"
    "tests/torture/$name.sh" 2>&1 || { outcome=FAILED status=1; }
    summary+=("$(printf '%-12s %-7s %4d s' "$name" "$outcome" $((SECONDS - started)))")
done

printf '\n== What was tried\n'
awk -F '\t' '{ sum[$2] += $1 } END { for (what in sum) printf "%8d  %s\n", sum[what], what }' "$TORTURE_TALLY" | sort -k2
printf '\n== Torture\n'
printf '%s\n' "${summary[@]}"
exit $status
