"""The loop never waits for a file. A file that holds reads and writes shows it without a clock."""

from __future__ import annotations

import asyncio
import errno
import os
import struct
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import KERNEL_AIO, run, wait_until
from gate import Gate


async def close(fd: int, gate: Gate) -> None:
    closing = asyncio.ensure_future(asyncio.to_thread(os.close, fd))
    while not closing.done():
        gate.go()
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("what", ["read", "write", "fdsync"])
def test_the_loop_runs_on_while_a_buffered_file_is_slow(variant_asyncio: Any, gate: Gate, what: str) -> None:
    async def main() -> None:
        fd = os.open(gate.file, os.O_RDWR)
        async with variant_asyncio.AsyncioContext() as context:
            operations = {
                "read": lambda: context.read(4096, fd, 8192),
                "write": lambda: context.write(b"x" * 4096, fd, 8192),
                "fdsync": lambda: context.fdsync(fd),
            }
            task = asyncio.ensure_future(operations[what]())
            await asyncio.to_thread(gate.holds)
            for _ in range(100):
                await asyncio.sleep(0)
            assert not task.done()
            while not task.done():
                gate.go()
                await asyncio.sleep(0.001)
            expected = {"read": 4096, "write": 4096, "fdsync": None}
            result = await task
            assert (len(result) if what == "read" else result) == expected[what]
        await close(fd, gate)

    run(main)


@pytest.mark.parametrize("what", ["write", "fdsync"])
def test_an_unsupported_operation_has_the_system_error_text(native_asyncio: Any, gate: Gate, what: str) -> None:
    """Programs match the C library's text, and then use another implementation."""

    async def main() -> None:
        fd = os.open(gate.file, os.O_RDWR)
        async with native_asyncio.AsyncioContext() as context:
            request = context.write(b"x" * 4096, fd, 8192) if what == "write" else context.fdsync(fd)
            task = asyncio.ensure_future(request)
            await asyncio.to_thread(gate.holds)
            while not task.done():
                gate.refuse()
                await asyncio.sleep(0.001)
            with pytest.raises(SystemError, match=os.strerror(errno.EOPNOTSUPP)) as caught:
                await task
            assert caught.value.errno == errno.EOPNOTSUPP  # type: ignore[attr-defined]
        await close(fd, gate)

    run(main)


def test_a_cancelled_write_keeps_its_memory(native_asyncio: Any, gate: Gate) -> None:
    """The task ends immediately; the memory is freed when the file releases the write."""

    async def main() -> None:
        fd = os.open(gate.file, os.O_RDWR)
        context = native_asyncio.AsyncioContext()
        payload = os.urandom(4096)
        before = sys.getrefcount(payload)
        task = asyncio.ensure_future(context.write(payload, fd, 8192))
        await asyncio.to_thread(gate.holds)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del task
        for _ in range(10):
            await asyncio.sleep(0.001)
        assert context.stats().in_flight == 1
        assert sys.getrefcount(payload) > before
        while context.stats().in_flight:
            gate.go()
            await asyncio.sleep(0.001)
        while sys.getrefcount(payload) > before:
            await asyncio.sleep(0.001)
        context.close()
        await close(fd, gate)

    run(main)


@pytest.mark.skipif(KERNEL_AIO is None, reason="other processors: the numbers of io_submit(2) needs a look")
def test_kernel_aio_by_itself_waits_for_that_file(gate: Gate) -> None:
    """io_submit(2) itself waits for a buffered read; linux_aio avoids that."""
    ctypes = pytest.importorskip("ctypes", exc_type=ImportError)
    assert KERNEL_AIO
    setup, destroy, submit = KERNEL_AIO
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    queue = ctypes.c_ulong()
    if syscall(setup, 1, ctypes.byref(queue)) != 0:
        pytest.skip("io_submit needs kernel AIO")
    fd = os.open(gate.file, os.O_RDONLY)
    memory = ctypes.create_string_buffer(4096)
    # struct iocb: data, key, rw_flags, opcode (0 is pread), priority, descriptor, address, length, offset, rest.
    block = struct.pack("=QIIHhIQQqQII", 0, 0, 0, 0, 0, fd, ctypes.addressof(memory), 4096, 8192, 0, 0, 0)
    blocks = (ctypes.c_char_p * 1)(block)
    accepted: list[int] = []
    thread = threading.Thread(target=lambda: accepted.append(syscall(submit, queue, 1, blocks)))
    thread.start()
    gate.holds()
    status = Path(f"/proc/self/task/{thread.native_id}/syscall")
    wait_until(lambda: status.read_text().startswith(f"{submit} "))
    assert not accepted
    while thread.is_alive():
        gate.go()
        thread.join(0.001)
    assert accepted == [1]
    syscall(destroy, queue)
    os.close(fd)
