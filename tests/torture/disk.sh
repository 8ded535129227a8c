#!/bin/bash
# Faults of the disk, by a FUSE file system that does as it is told (tests/faultfs).
set -eu
cd "$(dirname "$0")/../.."
"$CARGO" test --quiet --locked --manifest-path tests/faultfs/Cargo.toml
