"""The package on systems other than Linux, as far as Linux can imitate them: what a system lacks is taken away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

IMITATIONS = {
    # The proactor loop has neither add_reader nor add_writer, and no native part can be loaded.
    "windows, proactor": """
        for name in ("pread", "pwrite", "fdatasync", "sendfile", "copy_file_range", "O_DIRECTORY", "register_at_fork"):
            if hasattr(os, name):
                delattr(os, name)
        class Loop(asyncio.SelectorEventLoop):
            def _missing(self, *args):
                raise NotImplementedError
            add_reader = add_writer = remove_reader = remove_writer = _missing
        sys.modules["caio._native"] = None
        import caio
        os.name = "nt"
    """,
    "windows, selector": """
        for name in ("pread", "pwrite", "fdatasync", "sendfile", "copy_file_range", "O_DIRECTORY", "register_at_fork"):
            if hasattr(os, name):
                delattr(os, name)
        Loop = asyncio.SelectorEventLoop
        sys.modules["caio._native"] = None
        import caio
        os.name = "nt"
    """,
    "macos": """
        for name in ("fdatasync", "copy_file_range", "O_DIRECT"):
            if hasattr(os, name):
                delattr(os, name)
        Loop = asyncio.SelectorEventLoop
        sys.modules["caio._native"] = None
        import caio
    """,
}

PROGRAM = """
import asyncio, os, shutil, socket, sys, tempfile
{imitation}

async def main(folder):
    path = os.path.join(folder, "file")
    async with caio.AsyncioContext() as context:
        fd = await context.open(path, os.O_RDWR | os.O_CREAT)
        assert await context.write(b"0123456789", fd, 0) == 10
        await asyncio.gather(*[context.write(b"%d" % number, fd, number) for number in range(10)])
        assert await context.read(4, fd, 3) == b"3456"
        await context.fsync(fd)
        await context.fdsync(fd)
        buffer = bytearray(4)
        assert await context.readinto(buffer, fd, 5) == 4 and buffer == b"5678"
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        assert await context.sendfile(ours, fd, 2, 5) == 5
        assert theirs.recv(100) == b"23456"
        await context.close(fd)
        data = os.urandom(300000)
        await context.write_file(path, data)
        assert await context.read_file(path) == data
        assert await context.copy_file(path, path + "2") == len(data)
        assert await context.read_file(path + "2") == data
        await context.mkdir(os.path.join(folder, "sub"))
        await context.rename(path + "2", os.path.join(folder, "sub", "moved"))
        assert sorted(await context.listdir(folder)) == ["file", "sub"]
        assert [entry.name for entry in await context.scandir(folder) if entry.is_dir()] == ["sub"]
        assert (await context.stat(path)).st_size == len(data)
        task = asyncio.ensure_future(context.read_file(path))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

folder = tempfile.mkdtemp()
loop = Loop()
loop.run_until_complete(main(folder))
loop.close()
assert caio.variants == (caio.python_aio,)
assert caio.linux_uring is None and caio.thread_aio is None
assert not caio.probe()["thread"].available and caio.probe()["python"].available
print("fine")
"""


@pytest.mark.parametrize("system", IMITATIONS)
def test_without_the_native_part(system: str, tmp_path: Path) -> None:
    program = PROGRAM.format(imitation=dedent(IMITATIONS[system]))
    command, environment = [sys.executable, "-c", program], {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "fine\n", done.stderr
