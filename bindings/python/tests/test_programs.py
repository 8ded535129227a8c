"""Whole programs: on a real disk, to the end of the interpreter, and the examples."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import LONG, NAMES, run

HERE = Path(__file__).parent.parent


AT_EXIT = {
    "asyncio": """
async def main():
    context = caio.AsyncioContext()
    tasks = [asyncio.ensure_future(context.write(b"x" * 65536, fd, n * 65536)) for n in range(20)]
    tasks.append(asyncio.ensure_future(context.read(1, os.pipe()[0], -1)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    globals().update(context=context, tasks=tasks)
    os.write(1, b"begun")
    raise SystemExit(0)
try:
    asyncio.new_event_loop().run_until_complete(main())
finally:
    pass
""",
    "callbacks": """
context = caio.thread_aio.Context(512)
reads = [caio.thread_aio.Operation.read(65536, fd, 0) for _ in range(300)]
for read in reads:
    read.set_callback(lambda result: sum(range(1000)))
context.submit(*reads)
os.write(1, b"begun")
""",
    "cycle": """
context = caio.preferred.Context(64)
reads = [caio.preferred.Operation.read(65536, fd, 0) for _ in range(64)]
reads.append(reads)
context.submit(*reads[:-1])
os.write(1, b"begun")
""",
}


@pytest.mark.parametrize("kind", list(AT_EXIT))
def test_exit_with_work_in_flight(kind: str, tmp_path: Path) -> None:
    """Repeated, as a failure would be a race: 200 times each in the full form (CAIO_TEST_LONG)."""
    path = tmp_path / "file"
    path.write_bytes(bytes(65536))
    program = f"import asyncio, os, caio\nfd = os.open({str(path)!r}, os.O_RDWR)\n" + AT_EXIT[kind]
    for _ in range(200 if LONG else 6):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (0, "begun"), done.stderr
        assert "Traceback" not in done.stderr or "Task was destroyed" in done.stderr


def test_cold_and_warm_agree(native_asyncio: Any, tmp_path: Path) -> None:
    path = tmp_path / "large"
    data = random.Random(0).randbytes(4 << 20)
    path.write_bytes(data)

    async def main() -> None:
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        async with native_asyncio.AsyncioContext() as context:
            for _ in range(3):
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                offsets = [random.randrange(len(data)) for _ in range(300)]
                parts = await asyncio.gather(*[context.read(9000, fd, offset) for offset in offsets])
                assert parts == [data[offset : offset + 9000] for offset in offsets]
        os.close(fd)

    run(main)


def test_the_loop_is_never_blocked(native_asyncio: Any, tmp_path: Path) -> None:
    """During large writes and syncs to a real disk, a heartbeat runs on time."""

    async def main() -> None:
        fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
        gaps = []
        stop = False

        async def heartbeat() -> None:
            last = time.perf_counter()
            while not stop:
                await asyncio.sleep(0.001)
                now = time.perf_counter()
                gaps.append(now - last)
                last = now

        heart = asyncio.create_task(heartbeat())
        payload = os.urandom(1 << 20)
        async with native_asyncio.AsyncioContext() as context:
            for round_ in range(3):
                await asyncio.gather(*[context.write(payload, fd, (round_ * 16 + n) << 20) for n in range(16)])
                await context.fsync(fd)
        stop = True
        await heart
        gaps.sort()
        assert gaps[len(gaps) * 9 // 10] < 0.1
        os.close(fd)

    run(main)


def test_example_of_the_readme() -> None:
    done = subprocess.run(
        [sys.executable, HERE / "example.py"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.stdout == "b'Hello'\nb'Hello event loop\\n'\n"
    assert (HERE / "example.py").read_text().split('"""\n', 1)[1].strip() in (HERE / "README.md").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_a_program_of_the_original(name: str, tmp_path: Path) -> None:
    """A typical program: it gets the loop first, keeps the context, and does not close it."""
    program = """
import asyncio
from caio import AsyncioContext

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)

async def main():
    ctx = AsyncioContext(max_requests=128)
    with open("out.bin", "wb+") as fp:
        fd = fp.fileno()
        await ctx.write(b"abcdefghij", fd, offset=0)
        assert await ctx.read(32, fd, offset=0) == b"abcdefghij"
        await ctx.fdsync(fd)
        pair = ctx.write(b"01234", fd, offset=0), ctx.write(b"56789", fd, offset=5)
        await asyncio.gather(*pair)
        print(await ctx.read(32, fd, offset=0))

loop.run_until_complete(main())
"""
    environment = os.environ | {"CAIO_IMPL": name}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("b'0123456789'\n", "")


LARGE_CONTEXTS = """
import gc
import caio.thread_aio
def size():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmData"))
before = size()
contexts = [caio.thread_aio.Context(60000) for _ in range(40)]
while_there = size()
del contexts
gc.collect()
print(while_there - before, size() - before)
"""


def test_large_contexts_give_their_memory_back() -> None:
    # Makes large allocations mappings of their own, which malloc(3) does not keep.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"}
    command = [sys.executable, "-c", LARGE_CONTEXTS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    while_there, after = map(int, done.stdout.split())
    assert while_there > 200 * 1024
    assert after < 50 * 1024
