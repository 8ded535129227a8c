#!/bin/bash
# `make torture`: every script of tests/torture, in full, or with TORTURE=short as `make check` does it. Each says what it
# tried in lines "tried: WHAT: N times, N lost"; together they are the table of tests/RELIABILITY.md.
#
#   tests/shell/torture.sh [NAME...]
set -u
cd "$(dirname "$0")/../.." || exit 1
export TORTURE=${TORTURE:-full} MAKE=${MAKE:-make} CARGO=${CARGO:-cargo}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM
[ $# -gt 0 ] || set -- $(cd tests/torture && ls ./*.sh | sed 's|^\./||; s|\.sh$||')

status=0 summary=()
for name in "$@"; do
    started=$SECONDS outcome=ok
    printf '\n== %s (%s)\n' "$name" "$TORTURE"
    "tests/torture/$name.sh" 2>&1 | tee -a "$log"
    [ "${PIPESTATUS[0]}" = 0 ] || { outcome=FAILED status=1; }
    summary+=("$(printf '%-12s %-7s %4d s' "$name" "$outcome" $((SECONDS - started)))")
done

printf '\n== What was tried\n'
grep -a '^tried: ' "$log" | sed 's/^tried: //'
printf '\n== Torture\n'
printf '%s\n' "${summary[@]}"
exit $status
