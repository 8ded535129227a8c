# What the torture scripts share. A script sources it: it then stands in the project's root.
# shellcheck shell=bash
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
export TORTURE=${TORTURE:-full} CARGO=${CARGO:-cargo} MAKE=${MAKE:-make}

# tried N WHAT: so many tries, and nothing was lost. Rust tests do the same with `tried`.
tried() {
    [ -z "${TORTURE_TALLY:-}" ] || printf '%s\t%s\n' "$1" "$2" >>"$TORTURE_TALLY"
}

# rust_test NAME [ARGUMENTS...]: runs a test that `cargo test` alone leaves out.
rust_test() {
    local name=$1
    shift
    "$CARGO" test --quiet --locked --test "$name" -- "$@"
}

# faultfs COMMAND: cargo's, on the FUSE file system, which tests look for in that folder.
faultfs() {
    "$CARGO" "$1" --quiet --locked --manifest-path tests/faultfs/Cargo.toml --target-dir tests/faultfs/target
}

have() {
    command -v "$@" >/dev/null 2>&1
}
