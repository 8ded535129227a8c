# Common functions of the torture scripts. Sourcing it changes to the project's root.
# shellcheck shell=bash
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
export TORTURE=${TORTURE:-full} CARGO=${CARGO:-cargo} MAKE=${MAKE:-make}

# tried N WHAT: records N cases in which nothing was lost. Rust tests do the same with `tried`.
tried() {
    [ -z "${TORTURE_TALLY:-}" ] || printf '%s\t%s\n' "$1" "$2" >>"$TORTURE_TALLY"
}

# rust_test NAME [ARGUMENTS...]: runs a test program that plain `cargo test` omits.
rust_test() {
    local name=$1
    shift
    "$CARGO" test --quiet --locked --test "$name" -- "$@"
}

# faultfs COMMAND: runs a cargo command on the FUSE file system. The tests expect it in this target directory.
faultfs() {
    "$CARGO" "$1" --quiet --locked --manifest-path tests/faultfs/Cargo.toml --target-dir tests/faultfs/target
}

have() {
    command -v "$@" >/dev/null 2>&1
}
