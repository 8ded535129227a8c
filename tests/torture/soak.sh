#!/bin/bash
# Mixed load on every backend: 30 minutes, in the short form one.
. "$(dirname "$0")/lib.sh"
# Built before it gives way: others wait for cargo's lock.
"$CARGO" test --quiet --locked --test torture_soak --no-run || exit 1
# Its threads are many, and have work without end: with any weight of their own they would take half of the machine from the rest.
chrt --idle --pid 0 $$
rust_test torture_soak --nocapture
