#!/bin/bash
# Called by run.sh: counts, with callgrind, the user-space instructions to submit and collect one cached 4 KiB read. The
# difference between a run of 3000 batches and one of 1000 is the cost of 2000: start and end cancel out.
set -euo pipefail
short=1000 long=3000

count() { # ENGINE BATCH BATCHES
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$work/instructions" "$@" "$work" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

printf 'instructions for a cached 4 KiB read\tSubmit and collect, in user space, as callgrind counts them; all threads.\n'
printf 'engine\tone in a batch\t16 in a batch\t128 in a batch\n'
for engine in uring-st uring linux thread uring-noinline; do
    printf '%s' "$engine"
    for batch in 1 16 128; do
        few=$(count "$engine" "$batch" "$short") many=$(count "$engine" "$batch" "$long")
        if [ -n "$few" ] && [ -n "$many" ]; then
            printf '\t%d' $(((many - few) / ((long - short) * batch)))
        else
            printf '\t-'
        fi
    done
    printf '\n'
done
echo
