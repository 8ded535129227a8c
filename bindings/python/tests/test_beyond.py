"""What the native implementations add to the original."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import caio
import pytest
from conftest import cached, run


@cached
def test_cached_reads_complete_immediately(native_asyncio: Any, fd: int) -> None:
    async def main() -> None:
        context = native_asyncio.AsyncioContext()
        os.pread(fd, 65536, 0)

        async def turns_during_reads() -> int:
            turns = 0

            def count() -> None:
                nonlocal turns
                turns += 1

            handle = asyncio.get_running_loop().call_soon(count)
            for _ in range(3):
                assert await context.read(4, fd, 0) == b"0000"
            handle.cancel()
            return turns

        # Repeated, as the loop may run in between on a busy machine.
        found = [await turns_during_reads() for _ in range(20)]
        assert 0 in found
        assert context.stats().done_inline == 3 * 20
        context.close()

    run(main)


def test_a_socket_object_is_a_descriptor(native_asyncio: Any) -> None:
    """On Windows its number is not one."""

    async def main() -> None:
        ours, theirs = socket.socketpair()
        async with native_asyncio.AsyncioContext() as context:
            reading = asyncio.ensure_future(context.read(10, theirs, -1))
            assert await context.writev([b"da", b"ta"], ours, -1) == 4
            assert await reading == b"data"
            with pytest.raises(TypeError):
                context.read(10, object(), -1)
            with pytest.raises(TypeError):
                context.read(10, ours.makefile(), -1)
        ours.close()
        theirs.close()

    run(main)


@cached
@pytest.mark.parametrize("tasks", [1, 3, 100])
def test_cached_reads_do_not_starve_other_tasks(native_asyncio: Any, fd: int, tasks: int) -> None:
    """The promise is one millisecond, however many tasks make cached reads; here the median may be five."""

    async def main() -> None:
        context = native_asyncio.AsyncioContext()
        stop = False
        reads = [0] * tasks

        async def reader(number: int) -> None:
            while not stop:
                await context.read(16, fd, 0)
                reads[number] += 1

        running = [asyncio.create_task(reader(number)) for number in range(tasks)]
        gaps: list[float] = []
        last = time.perf_counter()
        for _ in range(500):
            await asyncio.sleep(0)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now
        stop = True
        await asyncio.gather(*running)
        assert sorted(gaps)[len(gaps) // 2] < 0.005
        assert sum(reads) > 10 * len(gaps)
        assert min(reads) * 20 > sum(reads) / tasks, "each task makes its share of the reads"
        context.close()

    run(main)


def test_one_wake_up_for_many(native_asyncio: Any, pipe: tuple[int, int]) -> None:
    """Blocked reads of a pipe complete together: one callback of the loop wakes all tasks."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        original = loop.add_reader
        calls = 0

        def add_reader(fd: int, callback: Any, *args: Any) -> None:
            def counted() -> None:
                nonlocal calls
                calls += 1
                callback(*args)

            original(fd, counted)

        loop.add_reader = add_reader  # type: ignore[assignment,method-assign]
        context = native_asyncio.AsyncioContext()
        tasks = [asyncio.create_task(context.read(1, pipe[0], -1)) for _ in range(100)]
        await asyncio.sleep(0.05)
        assert context.stats().in_flight == 100
        os.write(pipe[1], b"x" * 100)
        while context.stats().completed < 100:
            time.sleep(0.001)
        calls = 0
        assert await asyncio.gather(*tasks) == [b"x"] * 100
        assert 0 < calls <= 5
        context.close()

    run(main)


def test_vectors(native_asyncio: Any, fd: int) -> None:
    async def main() -> None:
        context = native_asyncio.AsyncioContext()
        assert await context.writev([b"one", b"", b"three"], fd, 10) == 8
        assert await context.readv([3, 0, 5], fd, 10) == [b"one", b"", b"three"]
        assert await context.readv([65530, 100, 100], fd, 0) == [os.pread(fd, 65530, 0), os.pread(fd, 6, 65530), b""]
        with pytest.raises(TypeError):
            context.writev([bytearray(b"x")], fd, 0)
        with pytest.raises((OverflowError, MemoryError)):
            context.readv([2**62], fd, 0)
        context.close()

    run(main)


def test_chain(native_asyncio: Any, fd: int) -> None:
    async def main() -> None:
        context = native_asyncio.AsyncioContext()
        results = await context.chain(
            context.write(b"first", fd, 0), context.fdsync(fd), context.write(b"second", fd, 3), context.read(9, fd, 0)
        )
        assert results == [5, None, 6, b"firsecond"]
        assert await context.chain() == []
        context.close()

    run(main)


def test_broken_chain(native_asyncio: Any, fd: int) -> None:
    async def main() -> None:
        context = native_asyncio.AsyncioContext()
        with pytest.raises(Exception, match="Bad file descriptor") as caught:
            await context.chain(context.write(b"yes", fd, 0), context.fsync(9999), context.write(b"no!", fd, 0))
        assert caught.value.errno == errno.EBADF  # type: ignore[attr-defined]
        assert os.pread(fd, 3, 0) == b"yes"
        with pytest.raises(SystemError) as short:
            await context.chain(context.read(10**6, fd, 0), context.write(b"no!", fd, 0))
        assert short.value.errno == errno.ECANCELED  # type: ignore[attr-defined]
        other = native_asyncio.AsyncioContext()
        for bad in (asyncio.sleep(0), other.fsync(fd)):
            with pytest.raises(ValueError, match="chain"):
                await context.chain(context.fsync(fd), bad)
            bad.close()
        used = context.fsync(fd)
        await used
        with pytest.raises(RuntimeError):
            await context.chain(used)
        context.close()
        other.close()

    run(main)


def test_cancelled_chain(native_asyncio: Any, fd: int, pipe: tuple[int, int]) -> None:
    async def main() -> None:
        context = native_asyncio.AsyncioContext()
        chain = context.chain(context.read(3, pipe[0], -1), context.write(b"no!", fd, 0))
        task = asyncio.create_task(chain)
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while context.stats().in_flight:
            await asyncio.sleep(0.001)
        assert os.pread(fd, 3, 0) == b"000"
        context.close()

    run(main)


def test_timeouts(native_asyncio: Any, fd: int, pipe: tuple[int, int]) -> None:
    async def main() -> None:
        context = native_asyncio.AsyncioContext()
        with pytest.raises(TimeoutError) as caught:
            await context.read(10, pipe[0], -1, timeout=0.02)
        assert isinstance(caught.value, SystemError)
        assert caught.value.errno == errno.ETIMEDOUT
        assert await context.read(4, fd, 0, timeout=60) == b"0000"
        assert await context.fsync(fd, timeout=60) is None
        for bad in (-1, float("nan")):
            with pytest.raises(ValueError, match="timeout"):
                context.read(1, fd, 0, timeout=bad)
        with pytest.raises((TimeoutError, asyncio.TimeoutError)):
            await asyncio.wait_for(context.read(10, pipe[0], -1), 0.02)
        os.write(pipe[1], b"kept")
        assert await context.read(10, pipe[0], -1) == b"kept"
        context.close()

    run(main)


def test_priorities(native_asyncio: Any, fd: int) -> None:
    """Any number is accepted. Those that ioprio_set(2) accepts reach the kernel."""

    async def main() -> None:
        context = native_asyncio.AsyncioContext()
        for priority in (0, 1, 7, (2 << 13) | 4, 3 << 13):
            assert await context.read(4, fd, 0, priority) == b"0000"
            assert await context.write(b"0000", fd, 0, priority) == 4
        context.close()

    run(main)


def test_priorities_reach_the_kernel(tmp_path: Path) -> None:
    """strace shows the priority of a cold read through kernel AIO or io_uring."""
    if caio.linux_aio is None:
        pytest.skip("needs kernel AIO")
    try:
        subprocess.run(["strace", "-V"], check=True, capture_output=True)
    except OSError:
        pytest.skip("needs strace")
    path = tmp_path / "direct"
    path.write_bytes(bytes(8192))
    program = f"""
import asyncio, os, caio
async def main():
    fd = os.open({str(path)!r}, os.O_RDONLY | os.O_DIRECT)
    context = caio.linux_aio_asyncio.AsyncioContext()
    try:
        await context.read(4096, fd, 0, (2 << 13) | 5)
    except SystemError:
        pass
asyncio.run(main())
"""
    command = ["strace", "-X", "raw", "-f", "-e", "trace=io_submit", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "O_DIRECT" in done.stderr or "io_submit" not in done.stderr:
        pytest.skip("needs a file system that knows O_DIRECT")
    assert "aio_reqprio=0x4005" in done.stderr


def test_stats(native_asyncio: Any, fd: int) -> None:
    async def main() -> None:
        context = native_asyncio.AsyncioContext()
        os.pread(fd, 4096, 0)
        await context.read(4096, fd, 0)
        await context.write(b"0000", fd, 0)
        stats = context.stats()
        assert (stats.submitted, stats.completed, stats.in_flight, stats.cancelled) == (2, 2, 0, 0)
        assert stats.done_inline + stats.done_native + stats.done_worker == 2
        assert stats.implementation in ("uring", "linux", "thread")
        assert context.context.stats() == stats
        context.close()

    run(main)


def test_default_context_is_the_best_available_now(fd: int) -> None:
    async def main() -> None:
        async with caio.AsyncioContext(max_requests=8) as context:
            assert type(context.context) is context.CONTEXT_CLASS
            assert await context.submit(context.OPERATION_CLASS.read(4, fd, 0)) == b"0000"
        assert issubclass(caio.AsyncioContext, caio.preferred_asyncio.AsyncioContext)

    run(main)


def test_both_levels_on_one_context(native_asyncio: Any, fd: int) -> None:
    async def main() -> None:
        context = native_asyncio.AsyncioContext()
        low, kind = context.context, context.OPERATION_CLASS
        done: list[int] = []
        for _ in range(20):
            read = kind.read(4, fd, 0)
            read.set_callback(done.append)
            assert low.submit(read) == 1
            if hasattr(low, "flush"):
                low.flush()
            assert await context.write(b"0000", fd, 0) == 4
        while len(done) < 20:
            if hasattr(low, "process_events"):
                low.process_events()
            await asyncio.sleep(0.001)
        assert done == [4] * 20
        context.close()

    run(main)
