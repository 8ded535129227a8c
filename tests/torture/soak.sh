#!/bin/bash
# Mixed load on every backend: 30 minutes, in the short form one.
. "$(dirname "$0")/lib.sh"
rust_test torture_soak --nocapture
