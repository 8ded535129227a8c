"""The package on systems other than Linux, as far as Linux can imitate them: what a system lacks is taken away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import caio
import pytest

#: What Windows has not.
TAKEN_AWAY = """
for name in ("pread", "pwrite", "fdatasync", "sendfile", "copy_file_range", "O_DIRECTORY", "register_at_fork"):
    if hasattr(os, name):
        delattr(os, name)
"""

#: Loops without readers: asyncio's proactor loop, which waits for a handle instead, and one that can do neither.
LOOPS = """
class Proactor:
    def __init__(self, loop):
        self.loop = loop
        self.waits = 0

    def wait_for_handle(self, handle, timeout=None):
        assert timeout is None
        self.waits += 1
        future = self.loop.create_future()
        asyncio.SelectorEventLoop.add_reader(self.loop, handle, future.set_result, True)
        future.add_done_callback(lambda _: asyncio.SelectorEventLoop.remove_reader(self.loop, handle))
        return future

class Bare(asyncio.SelectorEventLoop):
    def _missing(self, *args):
        raise NotImplementedError
    add_reader = add_writer = _missing

class ProactorLike(Bare):
    def __init__(self):
        super().__init__()
        self._proactor = Proactor(self)
"""

PURE = """
sys.modules["caio._native"] = None
import caio
assert caio.variants == (caio.python_aio,)
assert caio.linux_uring is None and caio.thread_aio is None
assert not caio.probe()["thread"].available and caio.probe()["python"].available
"""

NATIVE = """
sys.modules["caio.linux_uring"] = sys.modules["caio.linux_aio"] = None
import caio
assert caio.variants == (caio.thread_aio, caio.python_aio)
"""

WINDOWS = 'sys.platform = "win32"\n'
MACOS = """
sys.platform = "darwin"
for name in ("fdatasync", "copy_file_range", "O_DIRECT"):
    if hasattr(os, name):
        delattr(os, name)
"""

IMITATIONS = {
    "windows, proactor loop, pure": WINDOWS + TAKEN_AWAY + PURE + "Loop = ProactorLike\n",
    "windows, selector loop, pure": WINDOWS + TAKEN_AWAY + PURE + "Loop = asyncio.SelectorEventLoop\n",
    "windows, proactor loop, native": WINDOWS + TAKEN_AWAY + NATIVE + "Loop = ProactorLike\n",
    "windows, selector loop, native": WINDOWS + TAKEN_AWAY + NATIVE + "Loop = asyncio.SelectorEventLoop\n",
    "windows, another loop, native": WINDOWS + TAKEN_AWAY + NATIVE + "Loop = Bare\n",
    "macos, pure": MACOS + PURE + "Loop = asyncio.SelectorEventLoop\n",
    "macos, native": MACOS + NATIVE + "Loop = asyncio.SelectorEventLoop\n",
    "linux, a loop without readers": NATIVE + "Loop = Bare\n",
}

PROGRAM = """
import asyncio, gc, os, select, shutil, socket, sys, tempfile, threading, time
{imitation}

AsyncioContext = caio.preferred_asyncio.AsyncioContext

async def main(folder):
    path = os.path.join(folder, "file")
    async with AsyncioContext() as context:
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
        await context.truncate(fd, 3)
        assert os.path.samestat(await context.stat(fd), os.fstat(fd))
        await context.close(fd)
        data = os.urandom(3000000)
        await context.write_file(path, data)
        assert await context.read_file(path) == data
        received = []
        receiver = threading.Thread(target=receive, args=(theirs, received, len(data)))
        receiver.start()
        fd = await context.open(path)
        assert await context.sendfile(ours, fd) == len(data)
        receiver.join()
        assert b"".join(received) == data
        await context.close(fd)
        assert await context.copy_file(path, path + "2") == len(data)
        assert await context.read_file(path + "2") == data
        await context.mkdir(os.path.join(folder, "sub"))
        await context.rename(path + "2", os.path.join(folder, "sub", "moved"))
        assert sorted(await context.listdir(folder)) == ["file", "sub"]
        assert [entry.name for entry in await context.scandir(folder) if entry.is_dir()] == ["sub"]
        assert await context.stat(path) == os.stat(path)
        os.symlink("file", os.path.join(folder, "link"))
        assert await context.readlink(os.path.join(folder, "link")) == "file"
        await context.unlink(os.path.join(folder, "sub", "moved"))
        await context.rmdir(os.path.join(folder, "sub"))
        for call in (context.read_file, context.stat, context.open, context.unlink, context.listdir):
            try:
                await call(path + "3")
            except FileNotFoundError as error:
                assert error.filename == path + "3"
            else:
                raise AssertionError(call)
        task = asyncio.ensure_future(context.read_file(path))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

def receive(theirs, received, count):
    time.sleep(0.1)
    while count:
        received.append(theirs.recv(1 << 16))
        count -= len(received[-1])

async def leave(read, write):
    '''Ends while one operation waits, which then no task wants.'''
    context = AsyncioContext()
    asyncio.ensure_future(context.read(1, read, -1))
    await asyncio.sleep(0.05)
    assert caio.preferred is caio.python_aio or context.stats().in_flight == 1

def descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))

def run(main, *args):
    loop = Loop()
    try:
        loop.run_until_complete(main(*args))
    finally:
        loop.close()
    proactor = getattr(loop, "_proactor", None)
    assert proactor is None or (proactor.waits > 0) == (caio.preferred is caio.thread_aio)

before = descriptors()
folder = tempfile.mkdtemp()
run(main, folder)
read, write = os.pipe()
if caio.preferred is caio.thread_aio:
    run(leave, read, write)
deadline = time.monotonic() + 10
while descriptors() != before + 2:
    assert time.monotonic() < deadline, os.listdir("/proc/self/fd")
    time.sleep(0.01)
os.close(write)
os.close(read)
print("fine")
"""


@pytest.mark.parametrize("system", IMITATIONS)
def test_the_package_works_on_other_systems(system: str, tmp_path: Path) -> None:
    if "pure" not in system and caio.thread_aio is None:
        pytest.skip("needs the native part")
    program = PROGRAM.format(imitation=dedent(LOOPS) + IMITATIONS[system])
    command, environment = [sys.executable, "-c", program], {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "fine\n", done.stderr
