#!/bin/bash
# Called by run.sh: serves files with caio-httpd and with nginx, to 64 clients of wrk. Prints a table of medians. The servers take
# turns, with one process each. Cold: the page cache is dropped before each turn, and no file is asked for twice. CACHE=cached or
# CACHE=cold selects a part.
set -euo pipefail
cached=2000 cold=60000 rounds=3 seconds=3
if [ -n "${BENCH_SHORT:-}" ]; then cached=200 cold=2000 rounds=1 seconds=1; fi
trees=${CACHE:-cached cold}
if [ "$trees" = cached ]; then cold=0; fi
here=$(cd "$(dirname "$0")" && pwd)
for tool in "wrk wrk" "nginx nginx-light" "python3 python3"; do
    command -v "${tool% *}" >/dev/null || { echo "skipped: the servers need ${tool#* }"; exit 0; }
done
[ -w /proc/sys/vm/drop_caches ] || { echo "skipped: cold files need root"; exit 0; }
cd "$work"
make -s -C "$here/../c-examples" OUT="$work" caio-httpd

python3 - "$cached" "$cold" <<'PYTHON'
import os, random, sys
random.seed(1)
content = random.randbytes(1 << 20)
for tree, count in zip(("cached", "cold"), map(int, sys.argv[1:])):
    for number in range(count):
        if number % 100 == 0:
            os.makedirs(f"www/{tree}/d{number // 100}")
        size = random.randint(1024, 65536)
        with open(f"www/{tree}/d{number // 100}/f{number}", "wb") as file:
            file.write(content[size:2 * size])
with open("www/index.html", "wb") as file:
    file.write(content[:1000])
PYTHON

# wrk: each request asks for the next file of a shuffled list.
cat >files.lua <<'LUA'
local count, order, at = tonumber(os.getenv("COUNT")), {}, 0
math.randomseed(tonumber(os.getenv("ROUND")))
for i = 1, count do order[i] = i - 1 end
for i = count, 2, -1 do local j = math.random(i) order[i], order[j] = order[j], order[i] end
function request()
    at = at % count + 1
    return wrk.format("GET", string.format("/%s/d%d/f%d", os.getenv("TREE"), math.floor(order[at] / 100), order[at]))
end
function done(summary, latency) print("RESULT", summary.requests, summary.duration / 1e6, latency:percentile(99) / 1000) end
LUA

# Another client asks for one small cached file every 5 ms: how long it waits is how long the loop of the server was busy.
cat >probe.py <<'PYTHON'
import socket, sys, time
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
end, times = time.monotonic() + float(sys.argv[2]), []
while (begun := time.monotonic()) < end:
    client.sendall(b"GET /index.html HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    while len(answer) < 1000 or len(answer.partition(b"\r\n\r\n")[2]) < 1000:
        answer += client.recv(65536)
    times.append(time.monotonic() - begun)
    time.sleep(0.005)
times.sort()
print(round(times[int(len(times) * 0.99)] * 1000, 1), round(times[-1] * 1000, 1))
PYTHON

cat >nginx.conf <<CONF
daemon off; worker_processes 1; pid $work/nginx.pid; error_log $work/nginx.log; user root;
events { worker_connections 1024; }
http {
    access_log off; sendfile on; keepalive_requests 1000000000; default_type application/octet-stream; THREADS
    server { listen 127.0.0.1:PORT; root $work/www; }
}
CONF

port=18480
serve() { # SERVER
    case $1 in
    caio-httpd) exec ./caio-httpd -p "$port" www >server.out 2>&1 ;;
    nginx) sed "s/PORT/$port/; s/THREADS//" nginx.conf >used.conf && exec nginx -c "$work/used.conf" ;;
    nginx-threads) sed "s/PORT/$port/; s/THREADS/aio threads;/" nginx.conf >used.conf && exec nginx -c "$work/used.conf" ;;
    esac
}

answers() {
    for _ in $(seq 100); do (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return; sleep 0.05; done
    echo "a server does not start" >&2
    return 1
}

# The CPU time of a server with its threads and child processes, in hundredths of a second.
cpu_of() { # PID
    # shellcheck disable=SC2046
    awk '{ sum += $14 + $15 } END { print sum }' $(printf '/proc/%s/stat ' "$1" $(cat "/proc/$1/task/$1/children"))
}

turn() { # SERVER TREE COUNT ROUND
    local probed result cpu
    sync
    if [ "$2" = cold ]; then echo 3 >/proc/sys/vm/drop_caches; else cat www/cached/*/* >/dev/null; fi
    port=$((port + 1))
    serve "$1" >/dev/null 2>&1 &
    server=$!
    answers
    cat www/index.html >/dev/null
    python3 probe.py "$port" "$seconds" >probed &
    probed=$!
    result=$(COUNT=$3 TREE=$2 ROUND=$4 wrk -t1 -c64 -d"${seconds}s" --latency -s files.lua "http://127.0.0.1:$port/" | grep -a RESULT)
    wait "$probed"
    cpu=$(cpu_of "$server")
    kill -TERM "$server"
    wait "$server" || true
    # shellcheck disable=SC2086
    set -- "$1" "$2" "$3" $result
    awk -v tree="$2" -v cpu="$cpu" -v all="$3" -v requests="$5" -v seconds="$6" -v p99="$7" 'BEGIN { if (tree == "cold" && requests > all) print "cold files were asked for twice" >"/dev/stderr"
        printf "%.1f\t%.1f\t%.1f\t", requests / seconds / 1000, cpu * 10000 / requests, p99 }' >>"times.$1.$2"
    tr ' ' '\t' <probed | tr -d '\n' >>"times.$1.$2"
    printf '\t%s\n' "$(sed -n 's/.*busy for at most \([0-9.]*\) ms at a time (\([0-9.]*\) ms of processor time).*/\1\t\2/p' server.out 2>/dev/null)" >>"times.$1.$2"
    rm -f server.out
}
median() { cut -f"$2" "times.$1" | sort -n | sed -n "$(((rounds + 1) / 2))p"; }

servers="caio-httpd nginx nginx-threads"
for round in $(seq "$rounds"); do
    for tree in $trees; do
        for server_name in $servers; do turn "$server_name" $tree "${!tree}" "$round"; done
    done
done
echo "| files | server | thousand requests/s | of nginx | CPU of a request, us | p99, ms | probe p99, ms | probe longest, ms | loop busy, longest, ms | its processor time, longest, ms |"
echo "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
for tree in $trees; do
    for name in $servers; do
        awk -v rate="$(median "$name.$tree" 1)" -v nginx="$(median "nginx.$tree" 1)" -v rest="| $(median "$name.$tree" 2) | $(median "$name.$tree" 3) | $(median "$name.$tree" 4) | $(median "$name.$tree" 5) | $(median "$name.$tree" 6) | $(median "$name.$tree" 7) |" \
            -v row="| $tree | $name |" 'BEGIN { printf "%s %.1f | %.2f %s\n", row, rate, rate / nginx, rest }'
    done
done
