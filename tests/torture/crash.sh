#!/bin/bash
# kill -9 on a file system that loses what was not synced: group commit, and caio-cp --fsync.
. "$(dirname "$0")/lib.sh"
eval "$("$MAKE" -s --no-print-directory stage-env)" || exit 1
faultfs build || exit 1
CAIO_CP=$STAGE/bin/caio-cp rust_test torture_crash --nocapture
