#!/bin/bash
# Faults of a disk, from a FUSE file system that injects them (tests/faultfs).
. "$(dirname "$0")/lib.sh"
faultfs test || exit 1
faultfs build || exit 1
rust_test torture_disk
