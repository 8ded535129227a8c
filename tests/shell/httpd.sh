#!/bin/bash
# What the clients of caio-httpd see, on each backend.
suite=httpd
. "$(dirname "$0")/lib.sh"

build() { make -C "$root/c-examples" OUT="$work" CFLAGS="-O2 -Werror" caio-httpd; }

# with_server BACKEND: runs the client below against a server for the directory www.
with_server() {
    local server port status
    CAIO_IMPL=$1 "$work/caio-httpd" -p 0 www >server.out 2>&1 &
    server=$!
    for _ in $(seq 100); do
        port=$(sed -n 's|^listening on http://127.0.0.1:\([0-9]*\)/$|\1|p' server.out)
        [ -z "$port" ] || break
        sleep 0.1
    done
    timeout 120 python3 client.py "$port"
    status=$?
    kill -TERM "$server" && wait "$server" || status=1
    cat server.out
    grep -q "requests; the loop was busy for at most .* $1\$" server.out && [ "$status" = 0 ]
}

mkdir -p www/folder
echo index >www/index.html
echo inner >www/folder/index.html
head -c 20000000 /dev/urandom >www/large
seq 100000 >www/numbers.txt
: >www/empty
mkfifo www/fifo
echo secret >outside
ln -s ../outside www/leaves
ln -s numbers.txt www/stays

cat >client.py <<'PYTHON'
import http.client, socket, sys, threading

PORT = int(sys.argv[1])

def content(name):
    with open(f"www/{name}", "rb") as file:
        return file.read()

def get(path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body, response.headers

def status(path, **headers):
    return get(path, **headers)[0]

def exchange(request):
    with socket.create_connection(("127.0.0.1", PORT), timeout=60) as client:
        client.sendall(request)
        answer = b""
        while part := client.recv(65536):
            answer += part
        return answer

numbers = content("numbers.txt")
for path, name in [("/", "index.html"), ("/folder/", "folder/index.html"), ("/numbers.txt?query#part", "numbers.txt"), ("/empty", "empty"),
                   ("/large", "large"), ("/stays", "numbers.txt"), ("//numbers%2Etxt", "numbers.txt")]:
    code, body, headers = get(path)
    assert (code, body == content(name), headers["Content-Length"]) == (200, True, str(len(body))), (path, code)
    code, nothing, head = get(path, "HEAD")
    assert (code, nothing, head["Content-Length"]) == (200, b"", str(len(body))), path
assert get("/numbers.txt")[2]["Content-Type"] == "text/plain; charset=utf-8"

assert status("/none") == 404 and status("/numbers.txt/more") == 404 and status("/fifo") == 404
assert status("/leaves") == 403 and status("/../outside") == 400 and status("/%2e%2e/outside") == 400 and status("/folder/../../outside") == 400
code, _, headers = get("/folder")
assert (code, headers["Location"]) == (301, "/folder/")
code, _, headers = get("/numbers.txt", "POST")
assert (code, headers["Allow"]) == (405, "GET, HEAD")

for text, start, end in [("0-0", 0, 1), ("10-19", 10, 20), ("100000-", 100000, None), ("-5", -5, None), ("70000-200000", 70000, 200001)]:
    code, body, headers = get("/numbers.txt", Range=f"bytes={text}")
    assert (code, body) == (206, numbers[start:end]), text
    first, last = range(len(numbers))[start:end][0], range(len(numbers))[start:end][-1]
    assert headers["Content-Range"] == f"bytes {first}-{last}/{len(numbers)}", text
code, body, headers = get("/numbers.txt", Range="bytes=99999999-")
assert (code, body, headers["Content-Range"]) == (416, b"", f"bytes */{len(numbers)}")
assert status("/numbers.txt", Range="bytes=0-1,3-4") == 200 and status("/numbers.txt", Range="lines=1-2") == 200

_, _, headers = get("/numbers.txt")
assert status("/numbers.txt", If_None_Match=headers["ETag"]) == 304 and status("/numbers.txt", If_None_Match='"other"') == 200
assert status("/numbers.txt", If_Modified_Since=headers["Last-Modified"]) == 304
assert status("/numbers.txt", If_Modified_Since="Mon, 01 Jan 2001 00:00:00 GMT") == 200
assert status("/numbers.txt", Range="bytes=0-1", If_Range=headers["ETag"]) == 206
assert status("/numbers.txt", Range="bytes=0-1", If_Range='"other"') == 200

# Several requests on one connection, sent at once.
answer = exchange(b"GET /empty HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + b"GET /folder/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
assert answer.count(b"HTTP/1.1 200 OK\r\n") == 4 and answer.endswith(b"\r\n\r\ninner\n"), answer
ranges = [(0, 3), (100, 149), (7, 7)]
requests = [b"GET /numbers.txt HTTP/1.1\r\nHost: x\r\nRange: bytes=%d-%d\r\n\r\n" % each for each in ranges]
answer = exchange(b"".join(requests) + b"GET /empty HTTP/1.0\r\n\r\n")
assert all(b"\r\n\r\n" + numbers[first : last + 1] + b"HTTP/1.1 " in answer for first, last in ranges), answer
# A body is not taken for a request.
body = b"GET / HTTP/1.1\r\n\r\n"
assert exchange(b"GET /empty HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body).count(b"HTTP/1.1 ") == 1
assert exchange(b"GET / HTTP/1.0\r\n\r\n").endswith(b"index\n")
assert exchange(b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")
assert exchange(b"GET / HTTP/1.1\r\nX: " + b"x" * 9000).startswith(b"HTTP/1.1 431 ")

# Clients that do not read, or leave, hold up no other.
slow = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(100)]
for client in slow:
    client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
assert status("/numbers.txt") == 200
for client in slow[:90]:
    client.close()
large, results = content("large"), []
threads = [threading.Thread(target=lambda: results.append(get("/large")[1] == large)) for _ in range(8)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
assert results == [True] * 8
# One of the slow clients reads after all.
answer = http.client.HTTPResponse(slow[90])
answer.begin()
assert answer.read() == large

# A client that has sent its last request gets the response, and then the end.
with socket.create_connection(("127.0.0.1", PORT), timeout=60) as client:
    client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    client.shutdown(socket.SHUT_WR)
    answer = http.client.HTTPResponse(client)
    answer.begin()
    assert answer.read() == large and client.recv(1) == b""

# A file that becomes shorter while it is sent: the connection ends early.
with open("www/shrinks", "wb") as file:
    file.write(bytes(20_000_000))
with socket.create_connection(("127.0.0.1", PORT), timeout=60) as client:
    client.sendall(b"GET /shrinks HTTP/1.1\r\nHost: x\r\n\r\n")
    first = client.recv(1000)
    with open("www/shrinks", "r+b") as file:
        file.truncate(100_000)
    total = len(first)
    while part := client.recv(1 << 20):
        total += len(part)
    assert total < 20_000_000, total
print("all as wanted")
PYTHON

check "caio-httpd builds without a warning" build
if have python3; then
    for backend in uring linux thread; do
        if caio-probe -b "$backend" >/dev/null 2>&1; then
            check "caio-httpd serves files on $backend" with_server "$backend"
        fi
    done
else
    skip "caio-httpd's client" python3
fi
finish
