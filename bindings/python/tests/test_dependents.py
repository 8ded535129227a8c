"""Programs that use this package: aiofile, and an aiohttp server under load."""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import NAMES, short_name


@pytest.fixture(params=["auto", *NAMES])
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment of a program, one for each implementation."""
    name = request.param
    return os.environ | {"CAIO_IMPL": "" if name == "auto" else name}


AIOFILE = """
import asyncio, os, sys, caio
from aiofile import AIOFile, LineReader, Reader, Writer, async_open

path = sys.argv[1]

async def main():
    async with async_open(path, "w+") as file:
        await file.write("Hello ")
        await file.write("world\\n")
        file.seek(0)
        assert await file.read() == "Hello world\\n"
        assert file.tell() == 12

    lines = ["line %d: %s\\n" % (n, "x" * (n % 50)) for n in range(3000)]
    async with async_open(path, "w") as file:
        await file.write("".join(lines))
    async with async_open(path) as file:
        assert [line async for line in file] == lines
        file.seek(0)
        assert await file.readline() == lines[0]
        chunks = [chunk async for chunk in file.iter_chunked(100)]
        assert "".join(chunks) == "".join(lines[1:])

    async with AIOFile(path, "rb") as file:
        assert b"".join([chunk async for chunk in Reader(file, chunk_size=777)]) == "".join(lines).encode()
    async with AIOFile(path, "r") as file:
        assert [line async for line in LineReader(file)] == lines

    # Concurrent writes at their own offsets.
    async with AIOFile(path, "wb") as file:
        await asyncio.gather(*[file.write_bytes(b"%08d" % n, offset=n * 8) for n in range(500)])
        await file.fsync()
    async with AIOFile(path, "rb") as file:
        assert await file.read_bytes() == b"".join(b"%08d" % n for n in range(500))

    async with AIOFile(path, "wb+") as file:
        writer = Writer(file)
        for n in range(100):
            await writer(b"%04d" % n)
        assert await file.read(8, 4 * 50) == b"00500051"
    try:
        async with async_open(path + ".missing"):
            raise AssertionError
    except FileNotFoundError:
        pass

asyncio.run(main())
asyncio.run(main())
print("fine")
"""


def test_aiofile(environment: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("aiofile")
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", AIOFILE, str(tmp_path / "file")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.stderr == ""
    assert done.stdout == "fine\n"


# Streams files through the context, and reports how late its heartbeat was.
SERVER = """
import asyncio, os, sys, caio
from aiohttp import web

folder = sys.argv[1]

async def main():
    loop = asyncio.get_running_loop()
    gaps = []

    async def heartbeat():
        last = loop.time()
        while True:
            await asyncio.sleep(0.001)
            now = loop.time()
            gaps.append(now - last)
            last = now

    async def stream(request):
        fd = os.open(os.path.join(folder, request.match_info["name"]), os.O_RDONLY)
        try:
            response = web.StreamResponse()
            response.content_length = os.fstat(fd).st_size
            await response.prepare(request)
            offset = 0
            while chunk := await context.read(65536, fd, offset):
                await response.write(chunk)
                offset += len(chunk)
            await response.write_eof()
            return response
        finally:
            os.close(fd)

    async def report(request):
        ordered = sorted(gaps)
        text = f"{ordered[len(ordered) // 2]} {ordered[len(ordered) * 99 // 100]} {ordered[-1]}"
        loop.call_later(0.1, stop.set)
        return web.Response(text=text)

    stop = asyncio.Event()
    async with caio.AsyncioContext() as context:
        app = web.Application()
        app.router.add_get("/files/{name}", stream)
        app.router.add_get("/report", report)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(site._server.sockets[0].getsockname()[1], flush=True)
        heart = asyncio.create_task(heartbeat())
        await stop.wait()
        heart.cancel()
        await runner.cleanup()

asyncio.run(main())
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    dice = random.Random(0)
    for name, size in (("small", 3000), ("large", 1 << 20)):
        (tmp_path / name).write_bytes(dice.randbytes(size))
    return tmp_path


def test_aiohttp_server(environment: dict[str, str], files: Path) -> None:
    pytest.importorskip("aiohttp", exc_type=ImportError)
    server: Any = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(files)], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        port = int(server.stdout.readline())
        asyncio.run(download(port, files))
        if shutil.which("wrk"):
            for name in ("small", "large"):
                url = f"http://127.0.0.1:{port}/files/{name}"
                wrk = subprocess.run(
                    ["wrk", "-t1", "-c32", "-d1s", url], capture_output=True, text=True, timeout=60, check=True
                )
                assert "Non-2xx" not in wrk.stdout
                assert "Socket errors" not in wrk.stdout
                served = re.search(r"(\d+) requests in", wrk.stdout)
                assert served is not None
                assert int(served[1]) > 20
        median, _most, worst = map(float, asyncio.run(fetch(f"http://127.0.0.1:{port}/report")).split())
        # This includes what aiohttp itself needs for 32 requests.
        assert median < 0.2
        assert worst < 5
        assert server.wait(20) == 0
    finally:
        server.kill()
        server.wait()
    if not shutil.which("wrk"):
        pytest.skip("the load needs wrk")


async def fetch(url: str) -> bytes:
    import aiohttp

    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
        return await response.read()


async def download(port: int, files: Path) -> None:
    names = ["small", "large"] * 10
    bodies = await asyncio.gather(*[fetch(f"http://127.0.0.1:{port}/files/{name}") for name in names])
    assert bodies == [(files / name).read_bytes() for name in names]


def test_aiofile_takes_a_replaced_context(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """aiofile looks up AsyncioContext when it is called, so that a program can replace it."""
    aiofile = pytest.importorskip("aiofile")
    import caio

    path = tmp_path / "file"
    path.write_bytes(b"content")
    for module in caio.variants_asyncio:
        monkeypatch.setattr(caio, "AsyncioContext", module.AsyncioContext)

        async def main() -> bytes:
            async with aiofile.async_open(path, "rb") as file:
                data: bytes = await file.read()
                return data

        assert asyncio.run(main()) == b"content", short_name(module)
