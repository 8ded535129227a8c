// Node with koffi. libuv, which is in Node, watches the descriptor: no thread of its pool is blocked.
import { readFileSync, constants } from "node:fs";
import koffi from "koffi";

const [READ, OPENAT, CLOSE, LINK, FULL, OPENED] = [1, 10, 11, 1, 2, -2], SIZE = 1 << 18, IN_FLIGHT = 32;
const lib = koffi.load("libcaio.so.0"), node = koffi.load(null);
const Op = koffi.struct("caio_op", {
  user_data: "uint64_t", opcode: "uint8_t", flags: "uint8_t", ioprio: "uint16_t", fd: "int32_t", buf: "void *", len: "uint64_t",
  offset: "uint64_t", sys_flags: "uint32_t", mode: "uint32_t", timeout_ns: "uint64_t", buf2: "void *",
});
const Event = koffi.struct("caio_event", { user_data: "uint64_t", result: "int64_t" });
const Watcher = koffi.proto("void on_events(void *handle, int status, int events)");
const bind = (from, ...list) => Object.fromEntries(list.map((text) => [/(\w+)\(/.exec(text)[1].replace("caio_", ""), from.func(text)]));
const caio = bind(lib, "int caio_ctx_new(void *options, _Out_ void **ctx)", "void caio_ctx_free(void *ctx)", "int caio_ctx_eventfd(void *ctx)",
  "int caio_ctx_submit(void *ctx, caio_op *ops, uint32_t count)", "int caio_ctx_poll(void *ctx, void *events, uint32_t max)",
  "const char *caio_strerror(int error)");
const uv = bind(node, "void *uv_default_loop()", "size_t uv_handle_size(int type)", "int uv_poll_init(void *loop, void *handle, int fd)",
  "int uv_poll_start(void *handle, int events, on_events *on)", "void uv_close(void *handle, void *on)");

const fail = (error) => { throw new Error(caio.strerror(Number(error))); };
const checked = (result) => (result >= 0 ? Number(result) : fail(result));
const paths = readFileSync(0, "utf8").split("\n").filter(Boolean), contents = [], inFlight = new Map();
const out = [null], events = koffi.alloc(Event, 64), handle = koffi.alloc("char", Number(uv.uv_handle_size(8))); // UV_POLL
checked(caio.ctx_new(null, out));
let ctx = out[0], next = 0;
function start() {
  for (; inFlight.size < IN_FLIGHT && next < paths.length; next++) {
    const memory = koffi.alloc("char", SIZE), path = koffi.alloc("char", 4096); // outside of the collected heap
    koffi.encode(path, "char", paths[next] + "\0", Buffer.byteLength(paths[next]) + 1);
    inFlight.set(next, { memory, path, left: 3 });
    const op = { ioprio: 0, len: 0, offset: 0, sys_flags: 0, mode: 0, timeout_ns: 0, buf2: null };
    checked(caio.ctx_submit(ctx, [
      { ...op, user_data: next * 3, opcode: OPENAT, flags: LINK, fd: -100, buf: path, sys_flags: constants.O_RDONLY | 0o2000000 },
      { ...op, user_data: next * 3 + 1, opcode: READ, flags: LINK | FULL, fd: OPENED, buf: memory, len: SIZE },
      { ...op, user_data: next * 3 + 2, opcode: CLOSE, flags: 0, fd: OPENED, buf: null }], 3));
  }
}
const onEvents = koffi.register(() => {
  for (const event of koffi.decode(events, Event, checked(caio.ctx_poll(ctx, events, 64)))) {
    const data = Number(event.user_data), index = Math.floor(data / 3), chain = inFlight.get(index), count = checked(event.result);
    if (data % 3 === 1) contents[index] = Buffer.from(koffi.view(chain.memory, count).slice(0));
    if (--chain.left > 0) continue;
    inFlight.delete(index);
    [chain.memory, chain.path].forEach(koffi.free);
  }
  start();
  if (inFlight.size === 0) finish();
}, koffi.pointer(Watcher));
function finish() {
  uv.uv_close(handle, null); // before caio_ctx_free
  caio.ctx_free(ctx);
  let [a, b] = [1, 0];
  for (const byte of Buffer.concat(contents)) b = (b + (a = (a + byte) % 65521)) % 65521;
  console.log((b * 65536 + a).toString(16).padStart(8, "0"));
}
checked(uv.uv_poll_init(uv.uv_default_loop(), handle, caio.ctx_eventfd(ctx)));
checked(uv.uv_poll_start(handle, 1, onEvents));
start();
