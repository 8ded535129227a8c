"""Python with cffi, whose cdef takes caio.cdef.h as it is. Each file is one chain: open, read, close."""
import asyncio, os, subprocess, sys, zlib
from cffi import FFI

SIZE, IN_FLIGHT, OPENED = 1 << 18, 32, -2
folder = subprocess.check_output(["pkg-config", "--variable=datadir", "caio"], text=True).strip()
ffi = FFI()
with open(f"{folder}/caio.cdef.h") as file:
    ffi.cdef(file.read())
lib = ffi.dlopen("libcaio.so.0")

def checked(result):
    if result >= 0:
        return result
    raise OSError(-result, ffi.string(lib.caio_strerror(result)).decode())

class Context:
    """Awaitable chains. An entry of `chains` keeps the memory alive until the last event, even if its awaiter is gone."""
    def __init__(self):
        made = ffi.new("caio_ctx **")
        checked(lib.caio_ctx_new(ffi.NULL, made))
        self.ctx, self.chains, self.next = made[0], {}, 0
        self.events, self.loop = ffi.new("caio_event[64]"), asyncio.get_running_loop()
        self.loop.add_reader(lib.caio_ctx_eventfd(self.ctx), self.on_readable)
    def close(self):
        self.loop.remove_reader(lib.caio_ctx_eventfd(self.ctx))  # before caio_ctx_free
        lib.caio_ctx_free(self.ctx)
    def on_readable(self):
        for event in self.events[0:checked(lib.caio_ctx_poll(self.ctx, self.events, 64))]:
            results, future, _ = self.chains[event.user_data // 16]
            results[event.user_data % 16] = event.result
            if None not in results:
                del self.chains[event.user_data // 16]
                future.cancelled() or future.set_result(results)
    async def run(self, memory, *ops):
        number, self.next = self.next, self.next + 1
        for step, op in enumerate(ops):
            op |= {"user_data": number * 16 + step, "flags": op.get("flags", 0) | (lib.CAIO_FLAG_LINK if step + 1 < len(ops) else 0)}
        future = self.loop.create_future()
        self.chains[number] = [None] * len(ops), future, memory
        checked(lib.caio_ctx_submit(self.ctx, ffi.new("caio_op[]", list(ops)), len(ops)))
        return [checked(result) for result in await future]

async def read(context, limit, path):
    async with limit:
        name, buffer = ffi.new("char[]", path), ffi.new("char[]", SIZE)
        _, count, _ = await context.run((name, buffer),
            dict(opcode=lib.CAIO_OP_OPENAT, fd=-100, buf=name, sys_flags=os.O_RDONLY | os.O_CLOEXEC),
            dict(opcode=lib.CAIO_OP_READ, flags=lib.CAIO_FLAG_FULL, fd=OPENED, buf=buffer, len=SIZE),
            dict(opcode=lib.CAIO_OP_CLOSE, fd=OPENED))
        return ffi.unpack(buffer, count)

async def main():
    context, limit = Context(), asyncio.Semaphore(IN_FLIGHT)
    contents = await asyncio.gather(*[read(context, limit, path) for path in sys.stdin.buffer.read().splitlines()])
    context.close()
    print(f"{zlib.adler32(b''.join(contents)):08x}")

asyncio.run(main())
