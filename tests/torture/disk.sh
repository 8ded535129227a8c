#!/bin/bash
# Faults of the disk, by a FUSE file system that does as it is told (tests/faultfs).
. "$(dirname "$0")/lib.sh"
faultfs test || exit 1
faultfs build || exit 1
rust_test torture_disk
