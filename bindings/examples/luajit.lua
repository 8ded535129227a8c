-- LuaJIT, whose ffi.cdef takes caio.cdef.h as it is. Each file is one chain: open, read, close. The loop is poll(2).
local ffi, bit = require "ffi", require "bit"
local SIZE, IN_FLIGHT, OPENED = 2 ^ 18, 32, -2

local folder = io.popen("pkg-config --variable=datadir caio"):read "*l"
ffi.cdef(assert(io.open(folder .. "/caio.cdef.h")):read "*a")
ffi.cdef "struct pollfd { int fd; short events, revents; }; int poll(struct pollfd *fds, unsigned long count, int timeout);"
local lib = ffi.load "libcaio.so.0"
local function checked(result)
    result = tonumber(result)
    return result >= 0 and result or error(ffi.string(lib.caio_strerror(result)))
end

local made = ffi.new "caio_ctx *[1]"
checked(lib.caio_ctx_new(nil, made))
local ctx, events = made[0], ffi.new "caio_event[64]"
local paths, contents, chains, in_flight, next_path = {}, {}, {}, 0, 1
for path in io.lines() do paths[#paths + 1] = path end

local function start()
    while in_flight < IN_FLIGHT and next_path <= #paths do
        local ops, buffer = ffi.new "caio_op[3]", ffi.new("char[?]", SIZE)
        local path = ffi.new("char[?]", #paths[next_path] + 1, paths[next_path])
        for step, opcode in ipairs { lib.CAIO_OP_OPENAT, lib.CAIO_OP_READ, lib.CAIO_OP_CLOSE } do
            ops[step - 1].user_data, ops[step - 1].opcode, ops[step - 1].fd = next_path * 3 + step - 1, opcode, OPENED
            ops[step - 1].flags = step < 3 and lib.CAIO_FLAG_LINK or 0
        end
        ops[0].fd, ops[0].buf, ops[0].sys_flags = -100, path, 0x80000 -- AT_FDCWD, O_CLOEXEC
        ops[1].flags, ops[1].buf, ops[1].len = bit.bor(ops[1].flags, lib.CAIO_FLAG_FULL), buffer, SIZE
        chains[next_path] = { buffer = buffer, left = 3 } -- anchors the buffer until the last event
        checked(lib.caio_ctx_submit(ctx, ops, 3)) -- copies the path
        next_path, in_flight = next_path + 1, in_flight + 1
    end
end

local function on_readable()
    for i = 0, checked(lib.caio_ctx_poll(ctx, events, 64)) - 1 do
        local data, count = tonumber(events[i].user_data), checked(events[i].result)
        local index, chain = math.floor(data / 3), chains[math.floor(data / 3)]
        if data % 3 == 1 then contents[index] = ffi.string(chain.buffer, count) end
        chain.left = chain.left - 1
        if chain.left == 0 then chains[index], in_flight = nil, in_flight - 1 end
    end
    start()
end

local loop = ffi.new("struct pollfd", lib.caio_ctx_eventfd(ctx), 1)
start()
while in_flight > 0 do
    if ffi.C.poll(loop, 1, -1) > 0 then on_readable() end
end
lib.caio_ctx_free(ctx)

local a, b = 1, 0
for byte in table.concat(contents):gmatch "." do
    a = (a + byte:byte()) % 65521
    b = (b + a) % 65521
end
print(("%04x%04x"):format(b, a))
