#!/bin/sh
# caio-paths.sh COMMAND...: runs a command under perf, and counts the probes of libcaio: opcodes, and the paths that operations
# took. For root; needs perf and a kernel with uprobes. See caio-debugging(7).
set -eu
[ $# -gt 0 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
library=@LIBRARY@
work=$(mktemp -d)
# In a cache of its own, so that perf forgets the library afterwards.
perf() { command perf --buildid-dir "$work/cache" "$@"; }
trap 'perf probe -q -d "sdt_caio:*" 2>/dev/null || :; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

perf buildid-cache --add "$library"
perf probe -q -d 'sdt_caio:*' 2>/dev/null || :
perf probe -q --add 'sdt_caio:*'
status=0
perf record -q -o "$work/data" -e 'sdt_caio:*' -- "$@" || status=$?

# The arguments are arg1, arg2, ...: see caio-debugging(7).
perf script -i "$work/data" -F event,trace | awk '
    function value(number,  at) {
        for (at = 1; at <= NF; at++) if (sub("^arg" number "=", "", $at)) return $at
    }
    BEGIN { split("submit kernel worker stream", path, " ") }
    { sub("^sdt_caio:", "", $1); sub(":$", "", $1); sub(":.*", "", $1) }
    $1 == "route" { routes["opcode " value(3) ", " path[value(4) + 1]]++ }
    { events[$1]++ }
    END {
        for (event in events) print events[event] "\t" event
        for (route in routes) print routes[route] "\troute: " route
    }' | sort -k 2
exit $status
