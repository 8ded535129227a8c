#!/bin/bash
# What the users of caio-probe and caio-bench see.
suite=tools
. "$(dirname "$0")/lib.sh"

# json EXPRESSION: the expression must be true for the JSON in the file out.
json() {
    python3 -c 'import json, sys; j = json.load(open("out")); sys.exit(not eval(sys.argv[1]))' "$1" || {
        printf 'wanted: %s\n' "$1"
        cat out
        return 1
    }
}

# caio-probe

probe_reports() {
    exits 0 caio-probe && grep -q '^  thread  *yes  worker threads' out && grep -q '^  auto  *yes  uses ' out &&
        grep -q "open descriptors  *$(ulimit -n) " out && grep -q '^  RWF_NOWAIT ' out
}
check "caio-probe reports backends, limits and features" probe_reports

probe_json() {
    exits 0 caio-probe --json . && json 'j["backends"]["thread"]["available"] and j["limits"]["RLIMIT_NOFILE"] and j["features"]["eventfd"]["available"]' &&
        json 'j["auto"]["uses"] in j["backends"] and j["backends"][j["auto"]["uses"]]["available"] and j["paths"][0]["path"] == "."'
}
probe_setting() { exits 0 env CAIO_IMPL=thread caio-probe --json && json 'j["auto"]["uses"] == "thread" and "CAIO_IMPL" in j["auto"]["why"]'; }

probe_one() {
    exits 0 caio-probe -b thread && grep -q '^thread: ' out && exits 2 caio-probe -b none && says "unknown backend 'none'" && exits 2 caio-probe --nothing
}
check "caio-probe -b reports one backend with its exit status" probe_one

probe_paths() {
    echo content >file && exits 0 caio-probe . file && grep -q '^file: ' out && expect content "$(cat file)" && expect "err file out" "$(echo $(ls))" &&
        exits 1 caio-probe nowhere file && grep -q '^nowhere: No such file' out && grep -q '^file: ' out
}
check "caio-probe examines paths and leaves nothing behind" probe_paths

probe_full() { ! caio-probe >/dev/full 2>err && says "No space left on device"; }
check "caio-probe reports an error of standard output" probe_full

# A wrong name in a filter's profile must be visible: the causes and fixes come from faults that strace injects.
probe_refused() {
    exits 1 strace -f -qq -o trace --inject=io_uring_setup:error=EPERM caio-probe -b uring && grep -q seccomp out &&
        exits 0 strace -f -qq -o trace --inject=io_uring_setup:error=EPERM caio-probe --json &&
        json 'not j["backends"]["uring"]["available"] and j["backends"]["uring"]["errno"] == 1 and j["auto"]["uses"] != "uring"' &&
        json '"allow io_uring_setup" in j["features"]["io_uring"]["why"] and "another backend" in j["features"]["io_uring"]["without"]' &&
        exits 0 strace -f -qq -o trace --inject=preadv2:error=ENOSYS caio-probe && grep -q '^  RWF_NOWAIT  *no .*allow preadv2; worker threads' out
}
if have strace; then check "caio-probe reports the cause and the fix for what a filter refuses" probe_refused; else skip "what a filter refuses" strace; fi

if have python3; then
    check "caio-probe --json is JSON with the same facts" probe_json
    check "caio-probe follows CAIO_IMPL" probe_setting
else
    skip "JSON" python3
fi

finish
