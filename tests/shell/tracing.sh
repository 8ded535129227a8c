#!/bin/bash
# The static probes: they are in what is installed, and tracers see each operation.
suite=tracing
. "$(dirname "$0")/lib.sh"

version=$(sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q;}' "$root/Cargo.toml")
library=$STAGED_LIBS/libcaio.so.$version
case $(uname -m) in
x86_64 | aarch64 | riscv64) ;;
*) echo "tracing: no probes on this processor" && finish ;;
esac
have readelf || { skip "every test" binutils; finish; }
# shellcheck disable=SC2046
c() { $CC -std=gnu11 -O1 -Wall -Wextra -Wpedantic -Werror "$@"; }

# Each probe with the number of its arguments.
wanted='cancel 4
complete 5
refuse 3
retry 4
route 4
submit 6
worker 4'
# lists FILE: it has each probe once, with its arguments and its semaphore.
lists() {
    readelf -nW "$1" >notes && expect "$wanted" "$(awk '/Provider: caio$/ { ours = 1 } ours && /Name:/ { name = $2 }
        ours && /Arguments:/ { print name, NF - 1; ours = 0 }' notes | LC_ALL=C sort)" &&
        ! awk '/Provider: caio$/ { ours = 1 } ours && /Semaphore:/ { print $NF; ours = 0 }' notes | grep -x 0x0000000000000000
}
check "the shared library lists its probes" lists "$library"

stripped() { for how in --strip-debug --strip-unneeded --strip-all; do strip $how "$library" -o stripped.so && lists stripped.so || return; done; }
check "strip leaves them" stripped

# shellcheck disable=SC2046
static() { c -D_GNU_SOURCE "$@" "$root/tests/c/traced.c" -Wl,--gc-sections $($PKG_CONFIG --cflags --libs --static caio | sed 's/-lcaio/-l:libcaio.a/'); }
in_a_program() { static -o traced-static && lists traced-static && strip traced-static && lists traced-static; }
check "a program with the static library has them" in_a_program

# Both objects have a section .stapsdt.base, of which a program keeps one.
beside_others() {
    printf '#include <sys/sdt.h>\nvoid other(int);\nvoid other(int n) { DTRACE_PROBE1(other, probe, n); }\n' >other.c
    cc -c other.c && static other.o -o traced-both && lists traced-both && grep -q 'Provider: other$' notes &&
        static -o traced-both -x none other.o && lists traced-both
}
if [ -n "$(find /usr/include -path '*sys/sdt.h')" ]; then check "a program with probes of its own has all" beside_others; else skip "a program with probes of its own" systemtap-sdt-dev; fi

names() {
    expect "$(sed -n 's/^#define CAIO_OP_\([A-Z0-9_]*\) \([0-9]*\)$/\2 \1/p' "$STAGE/include/caio.h" | sort -n)" \
        "$(grep -o '@opcode\[[0-9]*\] = "[A-Z0-9_]*"' "$root/tracing/caio-latency.bt" | sed 's/.*\[\([0-9]*\)\] = "\(.*\)"/\1 \2/' | sort -n)"
}
check "caio-latency.bt has the names of all opcodes" names

# shellcheck disable=SC2046
c -D_GNU_SOURCE "$root/tests/c/traced.c" -o traced $($PKG_CONFIG --cflags --libs caio) || finish
echo '0123456789' >file

# The events of the program on a backend, without the number of the context: probe, user data, opcode and the rest.
# A read without completion inside submit takes the kernel's queue or a worker thread.
seen() {
    local backend=$1 path=$2
    printf '%s\n' 'complete 1 1 10 0' "complete 2 1 10 $path" 'complete 3 3 0 2' 'complete 4 1 3 2' 'complete 5 1 -125 2' \
        'cancel 5 1 125' 'refuse 1 22' 'route 1 1 0' "route 2 1 $path" 'route 3 3 2' 'route 4 1 3' 'route 5 1 3' 'worker 3 3 0'
    [ "$path" = 1 ] || echo 'worker 2 1 0'
    for tag in 1 2 3 4 5; do echo "submit $tag $((tag == 3 ? 3 : 1))"; done
}
path_of() { case $1 in 1) echo 1 ;; *) echo 2 ;; esac; }

# One command line of gdb for each probe. gdb sets the semaphore.
gdb_sees() {
    local backend=$1
    {
        printf '%s\n' 'set breakpoint pending off' 'set debuginfod enabled off' 'set language c' 'set print thread-events off' 'break main' run
        while read -r probe arguments; do
            [ "$probe" = submit ] && arguments=3
            format=$probe values=
            for ((at = 1; at < arguments; at++)); do format+=' %ld' values+=", (long)\$_probe_arg$at"; done
            # Without a context, an event of the probe `refuse` has no user data.
            printf 'break -probe-stap caio:%s\ncommands\nsilent\nprintf "%s\\n"%s\ncontinue\nend\n' "$probe" "$format" "$values"
        done <<<"$wanted"
        echo continue
    } >script
    gdb -q -batch -nx -x script --args ./traced "$backend" file >out 2>err </dev/null
    grep -q 'exited normally' out || { cat out err; return 1; }
    diff <(seen "$backend" "$(path_of "$backend")" | sort) <(grep -E '^(cancel|complete|refuse|retry|route|submit|worker) ' out | sort)
}
available() { caio-probe -b "$1" >/dev/null 2>&1; }
if have gdb; then
    available uring && check "gdb stops at each probe: io_uring" gdb_sees 1
    check "gdb stops at each probe: worker threads" gdb_sees 3
else skip "gdb stops at each probe" gdb; fi

# The scripts need root and a kernel with uprobes.
uprobes() { [ "$(id -u)" = 0 ] && [ -e /sys/bus/event_source/devices/uprobe ]; }
for script in caio-latency.bt caio-paths.sh; do sed "s|@LIBRARY@|$library|" "$root/tracing/$script" >$script && chmod +x $script || exit 1; done
installed() {
    for script in caio-latency.bt caio-paths.sh; do
        [ -x "$STAGE/share/caio/$script" ] && grep -q '/lib/libcaio\.so\.0' "$STAGE/share/caio/$script" && ! grep '@LIBRARY@' "$STAGE/share/caio/$script" || return
    done
}
check "make install installs the scripts" installed

latency() {
    local tracer try status=0
    # The test waits until all probes are attached.
    { cat caio-latency.bt && echo 'interval:ms:100 { printf("attached\n"); }'; } >test.bt
    bpftrace test.bt >out 2>err &
    tracer=$!
    for ((try = 0; try < 600; try++)); do grep -q attached out && break; sleep 0.1; done
    sleep 0.5
    ./traced 3 file || status=$?
    kill -INT $tracer
    wait $tracer
    [ $status = 0 ] && grep -qxF '@routes[READ, submit]: 1' out && grep -qxF '@routes[READ, worker]: 1' out &&
        grep -qxF '@routes[FSYNC, worker]: 1' out && grep -qxF '@routes[READ, stream]: 2' out &&
        grep -qF '@microseconds[READ]' out && grep -qF '@microseconds[FSYNC]' out && ! grep -q '^@start\|^@opcode' out || { cat out err; return 1; }
}
paths() {
    timeout 100 ./caio-paths.sh ./traced 3 file >out 2>err || { cat out err; return 1; }
    diff <(printf '%s\n' '1 cancel' '5 complete' '1 refuse' '5 route' '5 submit' '2 worker' '1 route: opcode 1, submit' '1 route: opcode 1, worker' \
        '2 route: opcode 1, stream' '1 route: opcode 3, worker' | sort) <(tr '\t' ' ' <out | sort)
}
if ! uprobes; then echo "tracing: bpftrace and perf are not run: they need root and a kernel with uprobes"; else
    if have bpftrace; then check "caio-latency.bt prints latencies and paths" latency; else skip "caio-latency.bt" bpftrace; fi
    if have perf && [ -e /sys/kernel/tracing/uprobe_events ]; then check "caio-paths.sh counts probes and paths" paths
    elif have perf; then echo "tracing: caio-paths.sh is not run: it needs tracefs"
    else skip "caio-paths.sh" linux-perf; fi
fi
finish
