#!/bin/bash
# A mixed load on every backend: for 30 minutes, in the short form one.
. "$(dirname "$0")/lib.sh"
# Builds before the priority drops, because other scripts wait for cargo's lock.
"$CARGO" test --quiet --locked --test torture_soak --no-run || exit 1
# The soak has many threads that always have work. At a normal priority, they would take half of the machine from the others.
chrt --idle --pid 0 $$
rust_test torture_soak --nocapture
