#!/bin/bash
# kill -9 of programs on a file system that then loses all data that was not synced: group commit, and caio-cp --fsync.
. "$(dirname "$0")/lib.sh"
eval "$("$MAKE" -s --no-print-directory stage-env)" || exit 1
faultfs build || exit 1
CAIO_CP=$STAGE/bin/caio-cp rust_test torture_crash --nocapture
