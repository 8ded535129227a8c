"""A context with other loops, threads and processes, and with other kinds of loops."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import NAMES, run


def test_another_loop_raises_an_error_that_names_it(native_asyncio: Any, fd: int) -> None:
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    context = native_asyncio.AsyncioContext(loop=first)

    async def read() -> bytes:
        data: bytes = await context.read(4, fd, 0)
        return data

    assert first.run_until_complete(read()) == b"0000"
    with pytest.raises(RuntimeError, match="another loop"):
        second.run_until_complete(read())
    with pytest.raises(RuntimeError, match="no asyncio loop is running"):
        context.read(4, fd, 0).send(None)
    assert first.run_until_complete(read()) == b"0000"
    first.close()
    with pytest.raises(RuntimeError, match="another loop"):
        second.run_until_complete(read())
    context.close()
    second.close()


def test_fork(native_asyncio: Any, fd: int) -> None:
    async def main() -> None:
        context = native_asyncio.AsyncioContext()
        assert await context.write(b"0000", fd, 0) == 4
        child = os.fork()
        if child == 0:
            status = 1
            try:
                asyncio._set_running_loop(None)
                asyncio.run(in_child(native_asyncio, context, fd))
                context.close()
                del context
                status = 0
            finally:
                os._exit(status)
        assert await context.write(b"0001", fd, 0) == 4
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        assert status == 0
        assert await context.read(4, fd, 4096) == b"0001"
        context.close()

    run(main)


async def in_child(module: Any, inherited: Any, fd: int) -> None:
    with pytest.raises(RuntimeError, match="fork"):
        await inherited.read(4, fd, 0)
    with pytest.raises(RuntimeError, match="fork"):
        inherited.stats()
    async with module.AsyncioContext() as context:
        assert await context.read(4, fd, 8192) == b"0002"
        assert await context.write(b"0002", fd, 8192) == 4


def test_loops_in_threads(native_asyncio: Any, fd: int) -> None:
    async def main() -> None:
        async with native_asyncio.AsyncioContext() as context:
            for _ in range(20):
                results = await asyncio.gather(*[context.read(4, fd, 4096 * n) for n in range(16)])
                assert results == [b"%04d" % n for n in range(16)]
                assert await context.write(b"0000", fd, 0) == 4

    failures: list[BaseException] = []

    def body() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=body) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_an_exception_that_ends_the_loop(native_asyncio: Any, fd: int) -> None:
    """After KeyboardInterrupt in one task, the others go on when the loop runs again."""
    loop = asyncio.new_event_loop()
    context = native_asyncio.AsyncioContext(loop=loop)

    async def good() -> int:
        written: int = await context.write(b"0000", fd, 0)
        return written

    async def bad() -> None:
        await context.write(b"0000", fd, 0)
        raise KeyboardInterrupt

    tasks = [loop.create_task(good()) for _ in range(10)]
    wrong = loop.create_task(bad())
    tasks += [loop.create_task(good()) for _ in range(10)]
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(wrong)
    assert loop.run_until_complete(asyncio.gather(*tasks)) == [4] * 20
    context.close()
    loop.close()


def test_context_variables_and_current_task(native_asyncio: Any, fd: int) -> None:
    async def main() -> None:
        context = native_asyncio.AsyncioContext()

        async def one(name: str) -> None:
            for _ in range(5):
                await context.write(b"0000", fd, 0)
                task = asyncio.current_task()
                assert task is not None
                assert task.get_name() == name

        await asyncio.gather(*[asyncio.create_task(one(f"task {n}"), name=f"task {n}") for n in range(20)])
        context.close()

    run(main)


def test_debug_mode(native_asyncio: Any, fd: int) -> None:
    async def main() -> None:
        async with native_asyncio.AsyncioContext() as context:
            assert await asyncio.gather(context.write(b"0000", fd, 0), context.read(4, fd, 4096)) == [4, b"0001"]

    asyncio.run(main(), debug=True)


def test_python_tasks(native_asyncio: Any, fd: int) -> None:
    """asyncio's pure-Python tasks use more of a future's interface."""
    loop = asyncio.new_event_loop()
    loop.set_task_factory(lambda loop, coro, **kw: asyncio.tasks._PyTask(coro, loop=loop, **kw))  # type: ignore[attr-defined,arg-type]

    async def main() -> None:
        context = native_asyncio.AsyncioContext()
        assert await asyncio.gather(context.write(b"0000", fd, 0), context.read(4, fd, 4096)) == [4, b"0001"]
        task = asyncio.ensure_future(context.fsync(fd))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        context.close()

    loop.run_until_complete(main())
    loop.close()


def test_uvloop(native_asyncio: Any, fd: int, pipe: tuple[int, int]) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        async with native_asyncio.AsyncioContext(max_requests=8) as context:
            writes = [context.write(b"0000", fd, 0) for _ in range(50)]
            assert await asyncio.gather(*writes) == [4] * 50
            assert await context.read(4, fd, 4096) == b"0001"
            task = asyncio.create_task(context.read(1, pipe[0], -1))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    uvloop.run(main())


def test_anyio(native_asyncio: Any, fd: int, pipe: tuple[int, int]) -> None:
    pytest.importorskip("ssl", reason="anyio imports ssl, which this Python was built without", exc_type=ImportError)
    anyio = pytest.importorskip("anyio")

    async def main() -> None:
        async with native_asyncio.AsyncioContext() as context:
            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(context.write, b"0000", fd, 0)
            assert await context.read(4, fd, 4096) == b"0001"
            with anyio.move_on_after(0.02) as scope:
                await context.read(1, pipe[0], -1)
            assert scope.cancelled_caught

    anyio.run(main)


@pytest.mark.parametrize("name", NAMES)
def test_trio(name: str, tmp_path: Path) -> None:
    pytest.importorskip("trio")
    program = f"""
import os, trio
from caio.trio import TrioContext

async def main():
    fd = os.open({str(tmp_path / "file")!r}, os.O_RDWR | os.O_CREAT)
    async with TrioContext(max_requests=8) as context:
        async with trio.open_nursery() as nursery:
            for n in range(50):
                nursery.start_soon(context.write, b"%04d" % n, fd, 4 * n)
        await context.fsync(fd)
        await context.fdsync(fd)
        assert await context.read(400, fd, 0) == b"".join(b"%04d" % n for n in range(50))
        try:
            await context.read(4, 9999, 0)
        except (OSError, ValueError) as error:
            assert error.errno == 9
        else:
            raise AssertionError
        if {name!r} != "python" and {name!r} != "thread":
            ends = os.pipe()
            with trio.move_on_after(0.02) as scope:
                await context.read(4, ends[0], -1)
            assert scope.cancelled_caught

trio.run(main)
"""
    environment = os.environ | {"CAIO_IMPL": name}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0
