"""AsyncioContext, on every implementation."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import random
import re
import shutil
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import caio
import pytest
from caio.asyncio_base import AsyncioContextBase
from conftest import LONG, linux, run, uring, wait_until


def test_read_write_and_sync(variant_asyncio: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with variant_asyncio.AsyncioContext() as context:
            with open(tmp_path / "file", "wb+") as file:
                fd = file.fileno()
                assert await context.write(b"first line\n", fd, 0) == 11
                assert await context.write(payload=b"second line\n", fd=fd, offset=11, priority=0) == 12
                assert await context.fsync(fd) is None
                assert await context.fdsync(fd) is None
                assert await context.read(100, fd, 0) == b"first line\nsecond line\n"
                assert await context.read(nbytes=4, fd=fd, offset=6, priority=0) == b"line"

    run(main)


def test_class(variant_asyncio: Any) -> None:
    async def main() -> None:
        kind = variant_asyncio.AsyncioContext
        assert issubclass(kind, AsyncioContextBase)
        assert kind.MAX_REQUESTS_DEFAULT == 512
        context = kind()
        assert context.loop is asyncio.get_running_loop()
        assert isinstance(context.context, kind.CONTEXT_CLASS)
        assert context.context.max_requests == 512
        assert isinstance(context.semaphore, asyncio.BoundedSemaphore)
        assert context.deferred is False
        assert inspect.iscoroutinefunction(context.__aenter__)
        context.close()
        context.close()
        for limit in (0, None):
            assert kind(limit, None, True).context.max_requests == 512
        assert kind(max_requests=7, loop=asyncio.get_running_loop()).context.max_requests == 7
        with pytest.raises(TypeError):
            kind(nonsense=1)
        assert isinstance(Mock(caio.AbstractContext), caio.AbstractContext)

    run(main)


def test_arguments_of_the_implementations() -> None:
    async def main() -> None:
        for module in (caio.thread_aio_asyncio, caio.python_aio_asyncio):
            module.AsyncioContext(pool_size=3).close()
        if caio.linux_uring_asyncio:
            for sqpoll in (False, True):
                context = caio.linux_uring_asyncio.AsyncioContext(sqpoll=sqpoll)
                assert context.context.sqpoll == int(sqpoll and caio.linux_uring.SQPOLL_ALLOWED)
            with pytest.raises(TypeError):
                caio.linux_uring_asyncio.AsyncioContext(pool_size=3)
        caio.AsyncioContext(sqpoll=1, pool_size=3).close()
        with pytest.raises(TypeError):
            caio.AsyncioContext(nonsense=1)

    run(main)


def test_created_without_a_running_loop(variant_asyncio: Any, fd: int) -> None:
    loop = asyncio.new_event_loop()
    context = variant_asyncio.AsyncioContext(loop=loop)
    assert loop.run_until_complete(context.read(4, fd, 0)) == b"0000"
    context.close()
    loop.close()


def test_methods_return_coroutines(variant_asyncio: Any, fd: int) -> None:
    async def main() -> None:
        context = variant_asyncio.AsyncioContext()
        request = context.read(4, fd, 0)
        assert asyncio.iscoroutine(request)
        assert inspect.isawaitable(request)
        assert not asyncio.isfuture(request)
        task = asyncio.create_task(request)
        assert await task == b"0000"
        with pytest.raises(RuntimeError):
            await request
        assert await asyncio.wait_for(context.read(4, fd, 0), 10) == b"0000"
        assert await asyncio.shield(context.read(4, fd, 0)) == b"0000"
        assert await asyncio.gather(*[context.read(4, fd, 4096 * n) for n in range(16)]) == [
            b"%04d" % n for n in range(16)
        ]
        done, _ = await asyncio.wait([asyncio.ensure_future(context.read(4, fd, 0)) for _ in range(4)])
        assert len(done) == 4
        unused = context.write(b"never", fd, 0)
        unused.close()
        del unused
        assert await context.read(4, fd, 0) == b"0000"
        context.close()

    run(main)


def test_bad_arguments_raise_before_any_await(variant_asyncio: Any, fd: int) -> None:
    async def main() -> None:
        context = variant_asyncio.AsyncioContext()
        for call in (
            lambda: context.read("1", fd, 0),
            lambda: context.read(1, "1", 0),
            lambda: context.write(b"", fd, "1"),
        ):
            with pytest.raises(TypeError):
                call()
        with pytest.raises(ValueError, match="bytes"):
            context.write(bytearray(b"x"), fd, 0)
        for bad in (None, 1, Mock(caio.AbstractOperation)):
            with pytest.raises(ValueError, match="Operation"):
                await context.submit(bad)
        context.close()

    run(main)


def test_submit_operations(variant_asyncio: Any, fd: int) -> None:
    async def main() -> None:
        context = variant_asyncio.AsyncioContext()
        kind = context.OPERATION_CLASS
        assert await context.submit(kind.write(b"hello", fd, 10)) == 5
        assert await context.submit(kind.fsync(fd)) is None
        read = kind.read(5, fd, 10)
        assert await context.submit(read) == b"hello"
        assert read.get_value() == b"hello"
        context.close()

    run(main)


def test_more_than_max_requests_queue(variant_asyncio: Any, fd: int) -> None:
    async def main() -> None:
        context = variant_asyncio.AsyncioContext(max_requests=4)
        writes = [context.write(b"%04d" % n, fd, 4 * n) for n in range(200)]
        assert await asyncio.gather(*writes) == [4] * 200
        reads = [context.read(4, fd, 4 * n) for n in range(200)]
        assert await asyncio.gather(*reads) == [b"%04d" % n for n in range(200)]
        context.close()

    run(main)


@pytest.mark.parametrize("deferred", [False, True])
def test_deferred(native_asyncio: Any, fd: int, deferred: bool) -> None:
    """io_uring and kernel AIO submit the operations of one iteration after it; the others ignore `deferred`."""

    async def main() -> None:
        context = native_asyncio.AsyncioContext(deferred=deferred)
        batches = type(context.context).__module__ != "caio.thread_aio" and not getattr(context.context, "sqpoll", 0)
        assert context.deferred is deferred
        started: list[int] = []

        async def look() -> None:
            started.append(context.stats().submitted)

        tasks = [asyncio.create_task(context.write(b"%04d" % n, fd, 4096 * n)) for n in range(10)]
        looks = asyncio.create_task(look())
        assert await asyncio.gather(*tasks) == [4] * 10
        await looks
        assert (started == [0]) is (deferred and batches)
        reads = [context.read(4, fd, 4096 * n) for n in range(10)]
        assert await asyncio.gather(*reads) == [b"%04d" % n for n in range(10)]
        late = asyncio.create_task(context.read(4, fd, 0))
        await asyncio.sleep(0)
        late.cancel()
        result = (await asyncio.gather(late, return_exceptions=True))[0]
        assert isinstance(result, asyncio.CancelledError) or (result == b"0000" and not (deferred and batches))
        assert context.stats().in_flight == 0
        context.close()

    run(main)


@pytest.mark.parametrize(
    ("module", "call"),
    [
        # A new ring is checked by calls that wait for a completion; a submission waits for none.
        pytest.param("linux_uring_asyncio", r"io_uring_enter\(\w+, (\w+), 0,", marks=uring),
        pytest.param("linux_aio_asyncio", r"io_submit\(\w+, (\w+),", marks=linux),
    ],
)
def test_deferred_operations_are_one_system_call(module: str, call: str, tmp_path: Path) -> None:
    """strace shows the reads of an O_DIRECT file, which go to the kernel."""
    if not shutil.which("strace"):
        pytest.skip("counting system calls needs strace")
    path = tmp_path / "direct"
    path.write_bytes(bytes(65536))
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECT))
    except OSError:
        pytest.skip("an uncached read needs a file system that knows O_DIRECT")
    program = f"""
import asyncio, os, sys
from caio.{module} import AsyncioContext
fd = os.open({str(path)!r}, os.O_RDONLY | os.O_DIRECT)
arguments = {{"sqpoll": False}} if "uring" in {module!r} else {{}}
async def main():
    context = AsyncioContext(deferred=bool(int(sys.argv[1])), **arguments)
    await asyncio.gather(*[context.read(4096, fd, 4096 * n) for n in range(10)], return_exceptions=True)
asyncio.run(main())
"""
    submitted = []
    for deferred in "01":
        command = ["strace", "-f", "-e", "trace=io_submit,io_uring_enter", sys.executable, "-c", program, deferred]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        submitted.append([int(number) for number in re.findall(call, done.stderr) if int(number)])
    assert submitted[0] != [10]
    assert submitted[1] == [10]


def test_bad_descriptor(variant_asyncio: Any) -> None:
    wanted: dict[str, Any] = {"linux_aio_asyncio": ValueError, "python_aio_asyncio": OSError}

    async def main() -> None:
        context = variant_asyncio.AsyncioContext()
        kind = wanted.get(variant_asyncio.__name__.removeprefix("caio."), SystemError)
        for request in (context.read(1, 9999, 0), context.write(b"", 9999, 0), context.fsync(9999)):
            with pytest.raises(kind, match="Bad file descriptor") as caught:
                await request
            assert caught.value.errno == 9
        context.close()

    run(main)


def test_reads_do_not_copy(native_asyncio: Any, fd: int) -> None:
    """The result has the only reference to the memory that was read into."""

    async def main() -> None:
        context = native_asyncio.AsyncioContext()
        data = await context.read(4096, fd, 0)
        # Since Python 3.14, the argument adds no reference.
        assert sys.getrefcount(data) == (1 if sys.version_info >= (3, 14) else 2)
        context.close()

    run(main)


def test_cancel_while_blocked(native_asyncio: Any, pipe: tuple[int, int]) -> None:
    async def main() -> None:
        context = native_asyncio.AsyncioContext()
        task = asyncio.create_task(context.read(10, pipe[0], -1))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        os.write(pipe[1], b"later")
        assert await context.read(10, pipe[0], -1) == b"later", "the cancelled read must not consume the bytes"
        context.close()

    run(main)


def test_cancel_many(variant_asyncio: Any, tmp_path: Path) -> None:
    async def main() -> None:
        context = variant_asyncio.AsyncioContext(max_requests=16)
        fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
        data = bytes(65536)
        loop = asyncio.get_running_loop()
        started = loop.time()
        for _ in range(50):
            tasks = [asyncio.create_task(context.write(data, fd, n * 65536)) for n in range(16)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(result == 65536 or isinstance(result, asyncio.CancelledError) for result in results)
        assert loop.time() - started < 30
        assert await context.write(b"x", fd, 0) == 1
        context.close()
        os.close(fd)

    run(main)


def test_cancelled_at_random(native_asyncio: Any, fd: int) -> None:
    """The full form (CAIO_TEST_LONG) cancels 100 000 operations on each implementation."""

    async def main() -> None:
        dice = random.Random(1)
        context = native_asyncio.AsyncioContext(max_requests=64)
        rpipe, wpipe = os.pipe()
        references = []

        async def one(number: int) -> None:
            kind = number % 5
            if kind == 0:
                await context.read(10, rpipe, -1)
            elif kind == 1:
                assert await context.write(b"0000", fd, 0) == 4
            elif kind == 2:
                await context.fdsync(fd)
            else:
                assert await context.read(4, fd, 4096) == b"0001"

        for round_ in range(400 if LONG else 40):
            tasks = [asyncio.create_task(one(number)) for number in range(250)]
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
            for task in tasks:
                if dice.random() < 0.7:
                    task.cancel()
            blocked = [task for number, task in enumerate(tasks) if number % 5 == 0]
            for task in blocked:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                assert result is None or isinstance(result, asyncio.CancelledError)
            if round_ == 0:
                references = [weakref.ref(task) for task in tasks]
            del tasks, blocked, task
        while context.stats().in_flight:
            await asyncio.sleep(0.001)
        gc.collect()
        assert not any(reference() for reference in references)
        context.close()
        os.close(rpipe)
        os.close(wpipe)

    run(main, 120)


def test_close_while_busy(native_asyncio: Any, fd: int, pipe: tuple[int, int]) -> None:
    async def main() -> None:
        context = native_asyncio.AsyncioContext()
        tasks = [asyncio.create_task(context.write(b"x" * 4096, fd, 0)) for _ in range(32)]
        blocked = asyncio.create_task(context.read(4, pipe[0], -1))
        await asyncio.sleep(0)
        context.close()
        assert await asyncio.gather(*tasks) == [4096] * 32
        os.write(pipe[1], b"data")
        assert await blocked == b"data"
        with pytest.raises(RuntimeError, match="closed"):
            await context.read(1, fd, 0)

    run(main)


def test_close_after_the_loop(variant_asyncio: Any, fd: int) -> None:
    loop = asyncio.new_event_loop()
    context = variant_asyncio.AsyncioContext(loop=loop)
    assert loop.run_until_complete(context.write(b"x", fd, 0)) == 1
    loop.close()
    context.close()
    context.close()


def test_close_from_loop_close(native_asyncio: Any, pipe: tuple[int, int]) -> None:
    """aiofile closes its context like this; here a read never completes."""
    loop = asyncio.new_event_loop()
    contexts = [native_asyncio.AsyncioContext(loop=loop)]
    original = loop.close

    def close() -> None:
        contexts.pop().close()
        original()

    loop.close = close  # type: ignore[method-assign]

    async def begin() -> None:
        task = asyncio.ensure_future(contexts[0].read(4096, pipe[0], -1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not task.done()

    loop.run_until_complete(begin())
    loop.close()


def test_dropped_contexts_are_freed(variant_asyncio: Any, fd: int) -> None:
    async def main() -> None:
        def descriptors() -> int:
            return len(os.listdir("/proc/self/fd"))

        await variant_asyncio.AsyncioContext().write(b"0000", fd, 0)
        gc.collect()
        before = descriptors()
        for _ in range(30):
            context = variant_asyncio.AsyncioContext(max_requests=8)
            await context.write(b"0000", fd, 0)
            await context.read(4, fd, 0)
            reference = weakref.ref(context)
            del context
            # python_aio's worker may still hold the last operation.
            wait_until(lambda reference=reference: gc.collect() >= 0 and reference() is None)
        await asyncio.sleep(0.05)
        assert descriptors() <= before + 2

    run(main)


def test_memory_does_not_grow(native_asyncio: Any, fd: int) -> None:
    def resident() -> int:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * 4

    async def main() -> None:
        context = native_asyncio.AsyncioContext()
        for round_ in range(3):
            for _ in range(3000):
                await context.read(65536, fd, 0)
                await asyncio.gather(context.write(b"0000", fd, 0), context.read(4, fd, 0))
            if round_ == 0:
                gc.collect()
                before = resident()
        gc.collect()
        assert resident() - before < 8 * 1024
        context.close()

    run(main)


def test_the_context_does_not_keep_values(native_asyncio: Any, fd: int) -> None:
    async def main() -> None:
        context = native_asyncio.AsyncioContext()
        payload = os.urandom(100)
        before = sys.getrefcount(payload)
        for _ in range(10):
            await context.write(payload, fd, 0)
        assert sys.getrefcount(payload) == before
        context.close()

    run(main)
