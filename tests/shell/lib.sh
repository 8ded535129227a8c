# Shared by the shell tests. A suite sets `suite`, sources this file, calls `check`, and ends with `finish`.
# shellcheck shell=bash
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
passed=0 failed=0 skipped=0

# Makes the staged installation. Sets STAGE, STAGED_LIBS, SCRATCH, and the variables of pkg-config and the loader.
staged=$("${MAKE:-make}" -s --no-print-directory -C "$root" stage-env) || exit 1
eval "$staged"

# Not in /tmp, which may be a tmpfs: some tests need files on a disk.
work=$(mktemp -d "$SCRATCH/tests.XXXXXX")
trap 'chmod -R u+rwx "$work" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cd "$work" || exit 1

# check WHAT COMMAND...: the command must succeed. Shows its output only if it fails.
check() {
    local what=$1
    shift
    if ("$@") >"$work/.log" 2>&1; then
        passed=$((passed + 1))
        echo "ok      $suite: $what"
    else
        failed=$((failed + 1))
        echo "FAILED  $suite: $what"
        head -n 40 "$work/.log" | sed 's/^/        /'
    fi
}

# skip WHAT PACKAGE
skip() {
    skipped=$((skipped + 1))
    echo "skipped: $suite: $1 needs $2"
}

# have COMMAND...: whether all commands exist.
have() {
    command -v "$@" >/dev/null 2>&1
}

# expect WANTED GOT
expect() {
    [ "$1" = "$2" ] || {
        printf 'wanted: %s\ngot:    %s\n' "$1" "$2"
        return 1
    }
}

# exits STATUS COMMAND...: the command must exit with STATUS. Its output goes to the files out and err.
exits() {
    local wanted=$1 got=0
    shift
    "$@" >out 2>err || got=$?
    [ "$got" = "$wanted" ] || {
        printf '%s exits with %s, not %s\n' "$*" "$got" "$wanted"
        cat out err
        return 1
    }
}

says() {
    grep -qF -- "$1" err || {
        printf 'wanted on standard error: %s\ngot: ' "$1"
        cat err
        return 1
    }
}

finish() {
    echo "$suite: $passed passed, $failed failed, $skipped skipped"
    [ -z "${TALLY:-}" ] || echo "$passed $failed $skipped" >>"$TALLY"
    [ "$failed" = 0 ]
    exit
}
