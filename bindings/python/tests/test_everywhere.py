"""What works on every system, on each event loop that asyncio has there. These tests run under Wine too."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

LOOPS = [asyncio.SelectorEventLoop]
if sys.platform == "win32":
    LOOPS.append(asyncio.ProactorEventLoop)

#: os.open of Windows translates line ends without it.
NEW = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)

Body = Callable[[Any], Awaitable[None]]


@pytest.fixture(params=LOOPS, ids=lambda loop: loop.__name__)
def using(request: pytest.FixtureRequest, variant_asyncio: Any) -> Callable[[Body], None]:
    """Runs a function with a context of each implementation, on each loop."""

    async def main(body: Body) -> None:
        async with variant_asyncio.AsyncioContext(max_requests=8) as context:
            await asyncio.wait_for(body(context), 60)

    def run(body: Body) -> None:
        loop = request.param()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(main(body))
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    return run


def test_reads_what_was_written(using: Callable[[Body], None], tmp_path: Path) -> None:
    async def body(context: Any) -> None:
        fd = await context.open(tmp_path / "file", NEW)
        assert await context.write(b"Hello, disk", fd, 0) == 11
        await context.fsync(fd)
        await context.fdsync(fd)
        assert await context.read(5, fd, 7) == b"disk"
        assert await context.read(5, fd, 100) == b""
        buffer = bytearray(5)
        assert await context.readinto(buffer, fd, 0) == 5
        assert buffer == b"Hello"
        await context.close(fd)

    using(body)
    assert (tmp_path / "file").read_bytes() == b"Hello, disk"


def test_many_at_once(using: Callable[[Body], None], tmp_path: Path) -> None:
    pieces = [bytes([n]) * 512 for n in range(200)]

    async def body(context: Any) -> None:
        fd = os.open(tmp_path / "file", NEW)
        sizes = await asyncio.gather(*(context.write(piece, fd, 512 * n) for n, piece in enumerate(pieces)))
        assert sizes == [512] * 200
        assert await asyncio.gather(*(context.read(512, fd, 512 * n) for n in range(200))) == pieces
        os.close(fd)

    using(body)


def test_a_chain(using: Callable[[Body], None], tmp_path: Path) -> None:
    async def body(context: Any) -> None:
        if not hasattr(context, "chain"):
            pytest.skip("python_aio has no chains")
        fd = os.open(tmp_path / "file", NEW)
        await context.chain(context.write(b"one", fd, 0), context.fdsync(fd), context.write(b"two", fd, 3))
        assert await context.read(6, fd, 0) == b"onetwo"
        os.close(fd)

    using(body)


def test_whole_files(using: Callable[[Body], None], tmp_path: Path) -> None:
    data = os.urandom(300_000)

    async def body(context: Any) -> None:
        await context.write_file(tmp_path / "new", b"old")
        await context.write_file(tmp_path / "new", data, sync=True)
        assert await context.read_file(tmp_path / "new") == data
        await context.copy_file(tmp_path / "new", tmp_path / "copy")
        assert sorted(await context.listdir(tmp_path)) == ["copy", "new"]

    using(body)
    assert (tmp_path / "copy").read_bytes() == data


def test_names(using: Callable[[Body], None], tmp_path: Path) -> None:
    async def body(context: Any) -> None:
        await context.mkdir(tmp_path / "Ordner mit Umläuten")
        folder = tmp_path / "Ordner mit Umläuten"
        (folder / "ä").write_bytes(b"12345")
        await context.rename(folder / "ä", folder / "ö")
        assert await context.listdir(folder) == ["ö"]
        assert [(e.name, e.is_file(), e.is_dir()) for e in await context.scandir(folder)] == [("ö", True, False)]
        assert (await context.stat(folder / "ö")).st_size == 5
        await context.unlink(folder / "ö")
        await context.rmdir(folder)

    using(body)
    assert list(tmp_path.iterdir()) == []


def test_failures(using: Callable[[Body], None], tmp_path: Path) -> None:
    async def body(context: Any) -> None:
        for attempt in (
            context.open(tmp_path / "none", os.O_RDONLY),
            context.stat(tmp_path / "none"),
            context.read_file(tmp_path / "none"),
        ):
            with pytest.raises(FileNotFoundError):
                await attempt
        with pytest.raises(OSError):
            await context.read(1, 1000, 0)

    using(body)


def test_a_cancelled_read_of_a_pipe(using: Callable[[Body], None]) -> None:
    async def body(context: Any) -> None:
        if not hasattr(context, "chain"):
            pytest.skip("python_aio reads at an offset only")
        reading, writing = os.pipe()
        task = asyncio.ensure_future(context.read(1, reading, -1))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        os.write(writing, b"xy")
        assert await context.read(1, reading, -1) in (b"x", b"y")
        os.close(writing)
        os.close(reading)

    using(body)


def test_the_loop_runs_on(using: Callable[[Body], None], tmp_path: Path) -> None:
    async def body(context: Any) -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.ensure_future(count())
        fd = os.open(tmp_path / "file", NEW)
        for _ in range(50):
            await context.write(b"x" * 65536, fd, 0)
            await context.fdsync(fd)
        os.close(fd)
        counting.cancel()
        assert turns > 50

    using(body)
