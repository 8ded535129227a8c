#!/bin/bash
# A kernel that answers wrongly once (strace --inject), takes less than it is given, or forbids a call (seccomp).
. "$(dirname "$0")/lib.sh"
rust_test torture_kernel
