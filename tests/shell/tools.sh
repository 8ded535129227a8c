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
probe_operations() {
    local names
    names=$(sed -n 's/^#define CAIO_OP_\([A-Z0-9_]*\) .*/\1/p' "$STAGE/include/caio.h" | sort)
    exits 0 caio-probe --json && expect "$names" "$(python3 -c 'import json; print(*sorted(json.load(open("out"))["operations"]), sep="\n")')" &&
        json 'j["operations"]["READ"] and j["operations"]["OPENAT"]'
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

# caio-bench

# bench OPTION...: a short run on a small file.
bench() { exits 0 caio-bench -t 0.2 --size=16M "$@"; }

bench_table() {
    bench -w randrw --mix=70 -j 8 && grep -q '^read  *[1-9]' out && grep -q '^write  *[1-9]' out && grep -q '^write latency, us' out &&
        grep -q '^sync after the last write' out && expect "" "$(ls | grep bench)"
}
check "caio-bench prints a table and leaves no file behind" bench_table

bench_states() {
    bench -c cached && grep -q '^cached: ' out && bench -c direct -s 8k && grep -q '^direct: ' out &&
        bench -c cold && grep -q '^cold: \|keeps data in memory' out
}
check "caio-bench reports whether reads are cached, cold or direct" bench_states

memory_is_not_a_disk() { mkdir -p memory && mount -t ramfs none memory && exits 0 caio-bench -t 0.1 --size=1M -c cold memory && grep -q '^cached: .*keeps data in memory' out; }
if unshare -m sh -c 'mkdir -p probe && mount -t ramfs none probe' 2>/dev/null; then
    export -f memory_is_not_a_disk exits
    check "caio-bench does not call reads cold that the page cache holds" unshare -m bash -c memory_is_not_a_disk
else
    skip "a file system in memory" "root and the right to mount"
fi

bench_keeps() {
    head -c 65536 /dev/urandom >precious && cp precious copy && exits 1 caio-bench -t 0.1 -w randwrite precious && says "would overwrite" &&
        cmp precious copy && exits 0 caio-bench -t 0.1 precious && cmp precious copy &&
        exits 0 caio-bench -t 0.1 -w write --overwrite precious && ! cmp -s precious copy && expect 65536 "$(stat -c %s precious)"
}
check "caio-bench overwrites an existing file only with --overwrite" bench_keeps

bench_wrong() {
    local wrong
    for wrong in "-w nothing" "-j 0" "-s 4x" "-c warm" "-t -1" "--mix=101" "a b" "-b none"; do
        # shellcheck disable=SC2086
        exits 2 caio-bench $wrong || return
    done
    exits 1 caio-bench nowhere && says "nowhere: No such file" && exits 1 caio-bench -c direct -s 100 --size=1M && says "multiple of" &&
        head -c 100 /dev/zero >tiny && exits 1 caio-bench tiny && says "smaller than a block"
}
check "caio-bench reports wrong options and files" bench_wrong

bench_interrupted() {
    local got=0
    caio-bench -t 60 --size=1M >out 2>err &
    until grep -q SigCgt.*0000000000004002 /proc/$!/status; do kill -0 $! || return; done
    kill -INT $!
    wait $! || got=$?
    expect 130 "$got" && grep -q '^read ' out
}
# A shell lets what it starts in the background ignore SIGINT, but the program handles it.
check "caio-bench prints what it has after SIGINT" bench_interrupted

bench_error() {
    exits 1 strace -f -qq -o trace --inject=pread64,preadv,preadv2:error=EIO:when=40+ caio-bench -b thread -t 5 --size=1M . && says "read .: Input/output error"
}
if have strace; then check "caio-bench stops at an error of the disk" bench_error; else skip "an error of the disk" strace; fi

bench_line() {
    script -qec "caio-bench -t 1 --size=1M -c cached" typescript >out </dev/null && grep -q ' of 1 s  [0-9]* ops/s' out &&
        script -qec "caio-bench -q -t 1 --size=1M -c cached" typescript >out </dev/null && ! grep -q ' of 1 s  [0-9]* ops/s' out
}
if have script; then check "caio-bench shows a live line on a terminal" bench_line; else skip "the live line" bsdutils; fi

bench_json() {
    local backend
    for backend in uring linux thread; do
        caio-probe -b $backend >reason || continue
        bench --json -b $backend -w randrw -s 8K -j 4 -c direct &&
            json "j['backend'] == '$backend' and j['depth'] == 4 and j['block_size'] == 8192 and j['cache'] == 'direct'" &&
            json 'all(8192 % j[a + "_alignment"] == 0 for a in ("memory", "offset"))' &&
            json 'all(sum(b["count"] for b in j[k]["latency_ns"]["histogram"]) == j[k]["operations"] > 0 for k in ("read", "write"))' &&
            json 'all(p["50"] <= p["90"] <= p["99"] <= p["99.9"] <= j["read"]["latency_ns"]["max"] for p in [j["read"]["latency_ns"]["percentiles"]])' &&
            json 'j["read"]["bytes"] == 8192 * j["read"]["operations"]' || return
    done
}
bench_rate() { bench --json -t 2 -c cached --rate=500 && json '400 <= j["read"]["ops_per_second"] <= 510'; }
# 70 % of some thousand random choices.
bench_mix() { bench --json -c cached -w rw --mix=70 && json '0.6 < j["read"]["operations"] / (j["read"]["operations"] + j["write"]["operations"]) < 0.8'; }

# agrees NAME FIO-OPTIONS CAIO-BENCH-OPTIONS: prints the ratio of caio-bench to fio, which must be within a factor of ten.
agrees() {
    # shellcheck disable=SC2086
    fio --name=test --filename=measured --bs=4k --iodepth=16 --runtime=1 --time_based --thread --output-format=json $2 >fio.json &&
        exits 0 caio-bench --json -t 1 -s 4k -j 16 --overwrite $3 measured &&
        python3 - "$1" >&3 <<'END'
import json, sys
kind = "write" if "write" in sys.argv[1] else "read"
with open("fio.json") as a, open("out") as b:
    fio, ours = json.load(a)["jobs"][0][kind]["iops"], json.load(b)[kind]["ops_per_second"]
print(f"        {sys.argv[1]}: fio {fio:.0f}, caio-bench {ours:.0f} operations a second, ratio {ours / fio:.2f}")
sys.exit(not 0.1 < ours / fio < 10)
END
}

exec 3>&1
if have python3; then
    check "caio-bench --json is JSON that agrees with itself" bench_json
    check "caio-bench --rate limits the rate" bench_rate
    check "caio-bench --mix sets the share of reads" bench_mix
    if have fio; then
        head -c 64M /dev/urandom >measured
        for pair in io_uring:uring libaio:linux psync:thread; do
            caio-probe -b ${pair#*:} >reason || continue
            depth=
            [ $pair != psync:thread ] || depth="--iodepth=1 --numjobs=16 --group_reporting"
            for kind in randread randwrite; do
                check "caio-bench agrees with fio: direct $kind, ${pair#*:}" agrees "direct $kind, ${pair#*:}" \
                    "--direct=1 --rw=$kind --ioengine=${pair%:*} $depth" "-c direct -w $kind -b ${pair#*:}"
            done
        done
        check "caio-bench agrees with fio: cached" agrees "cached randread" \
            "--rw=randread --ioengine=io_uring --pre_read=1 --invalidate=0 --norandommap" "-c cached"
        check "caio-bench agrees with fio: cold" agrees "cold randread" "--rw=randread --ioengine=io_uring --fadvise_hint=random" "-c cold"
    else
        skip "the comparison with fio" fio
    fi
    check "caio-probe --json is JSON with the same facts" probe_json
    check "caio-probe lists every operation" probe_operations
    check "caio-probe follows CAIO_IMPL" probe_setting
else
    skip "JSON" python3
fi

finish
