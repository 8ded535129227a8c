"""Files and directories by their paths, on every implementation; tmp_path is a directory on a disk."""

from __future__ import annotations

import asyncio
import gc
import mmap
import os
import shutil
import socket
import stat
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import caio
import pytest
from conftest import run, wait_until
from gate import Gate

Use = Callable[[Any], Coroutine[Any, Any, Any]]


def using(module: Any, use: Use, **options: Any) -> Any:
    """Runs `use` with a context of the module."""

    async def main() -> Any:
        async with module.AsyncioContext(**options) as context:
            return await use(context)

    return run(main)


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("size", [0, 1, 4096, 65536, 65537, 300_000, 5 << 20])
def test_a_file_is_read_and_written_whole(variant_asyncio: Any, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    path = tmp_path / "file"

    async def use(context: Any) -> None:
        await context.write_file(path, data)
        assert await context.read_file(path) == data
        await context.write_file(os.fsencode(path), bytearray(b"other"), sync=False)
        assert await context.read_file(str(path)) == b"other"

    using(variant_asyncio, use)
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_of_proc_is_read_whole(variant_asyncio: Any) -> None:
    """Its size is 0."""
    data = using(variant_asyncio, lambda context: context.read_file("/proc/self/maps"))
    assert data.count(b"\n") > 10
    assert data.endswith(b"\n")


def test_a_context_for_one_request_reads_and_writes_whole_files(variant_asyncio: Any, tmp_path: Path) -> None:
    async def use(context: Any) -> None:
        await context.write_file(tmp_path / "file", b"data")
        assert await context.read_file(tmp_path / "file") == b"data"
        assert await context.listdir(tmp_path) == ["file"]

    using(variant_asyncio, use, max_requests=1)


def test_a_whole_file_is_one_submission(native_asyncio: Any, tmp_path: Path) -> None:
    """A chain of open, read and close; to replace a file, also syncs, a rename and the directory."""
    path = tmp_path / "file"

    async def use(context: Any) -> None:
        for whole, operations in (
            (lambda: context.write_file(path, b"data"), 8),
            (lambda: context.write_file(path, b"data", sync=False), 4),
            (lambda: context.read_file(path), 3),
            (lambda: context.listdir(tmp_path), 4 if context._lists else 0),
        ):
            before = context.stats()
            await whole()
            after = context.stats()
            assert after.submitted - before.submitted == operations
            assert after.completed - before.completed == operations

    using(native_asyncio, use)


def test_many_files_at_the_same_time(variant_asyncio: Any, tmp_path: Path) -> None:
    """More operations than max_requests wait."""
    names = [str(tmp_path / str(number)) for number in range(300)]

    async def use(context: Any) -> None:
        await asyncio.gather(*[context.write_file(name, name.encode(), sync=False) for name in names])
        assert await asyncio.gather(*map(context.read_file, names)) == [name.encode() for name in names]

    using(variant_asyncio, use, max_requests=16)


def test_a_replaced_file_is_new_or_old_as_a_whole(variant_asyncio: Any, tmp_path: Path) -> None:
    """A write that fails leaves the old file, and nothing else."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    limit = 1 << 16

    async def use(context: Any) -> None:
        with pytest.raises((OSError, SystemError)):
            await context.write_file(path, bytes(2 * limit))

    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        using(variant_asyncio, use)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_the_mode_of_a_new_file(variant_asyncio: Any, tmp_path: Path) -> None:
    path = tmp_path / "file"
    using(variant_asyncio, lambda context: context.write_file(path, b"secret", mode=0o600))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_open_and_close(variant_asyncio: Any, tmp_path: Path) -> None:
    async def use(context: Any) -> None:
        folder = await context.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
        fd = await context.open("file", os.O_RDWR | os.O_CREAT, 0o640, dir_fd=folder)
        assert not os.get_inheritable(fd)
        assert await context.write(b"data", fd, 0) == 4
        assert await context.read(10, fd, 0) == b"data"
        await context.truncate(fd, 2)
        assert (await context.stat(fd)).st_size == 2
        await context.close(fd)
        await context.close(folder)
        for closed in (fd, folder):
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(closed)
            with pytest.raises(OSError, match="Bad file descriptor"):
                await context.close(closed)

    using(variant_asyncio, use)
    assert (tmp_path / "file").read_bytes() == b"da"


def test_stat_is_that_of_os(variant_asyncio: Any, tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"data")
    os.utime(path, ns=(1_700_000_000_123_456_789, 1_600_000_000_987_654_321))
    link.symlink_to("file")

    def fields(status: os.stat_result) -> dict[str, Any]:
        names = [name for name in dir(status) if name.startswith("st_")]
        return {name: getattr(status, name) for name in names} | {"sequence": tuple(status)}

    async def use(context: Any) -> None:
        fd = os.open(path, os.O_RDONLY)
        for target in (path, link, tmp_path, "/dev/null", fd):
            assert fields(await context.stat(target)) == fields(os.stat(target))
        assert fields(await context.stat(link, follow_symlinks=False)) == fields(os.lstat(link))
        folder = os.open(tmp_path, os.O_RDONLY)
        assert fields(await context.stat("file", dir_fd=folder)) == fields(os.stat(path))
        os.close(folder)
        os.close(fd)

    using(variant_asyncio, use)


def test_rename_unlink_mkdir_and_readlink(variant_asyncio: Any, tmp_path: Path) -> None:
    async def use(context: Any) -> None:
        await context.mkdir(tmp_path / "one", 0o700)
        await context.mkdir(tmp_path / "two")
        assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o700
        one, two = os.open(tmp_path / "one", os.O_RDONLY), os.open(tmp_path / "two", os.O_RDONLY)
        (tmp_path / "one" / "file").write_bytes(b"data")
        await context.rename("file", "moved", src_dir_fd=one, dst_dir_fd=two)
        await context.rename("moved", "again", src_dir_fd=two, dst_dir_fd=two)
        (tmp_path / "two" / "link").symlink_to("agáin")
        assert await context.readlink(tmp_path / "two" / "link") == "agáin"
        assert await context.readlink("link", dir_fd=two) == "agáin"
        await context.unlink("link", dir_fd=two)
        await context.rename(tmp_path / "two" / "again", tmp_path / "file")
        await context.rmdir(tmp_path / "one")
        await context.rmdir(tmp_path / "two")
        await context.unlink(tmp_path / "file")
        os.close(one)
        os.close(two)

    using(variant_asyncio, use)
    assert os.listdir(tmp_path) == []


def test_failures_are_those_of_os(variant_asyncio: Any, tmp_path: Path) -> None:
    (tmp_path / "full" / "inner").mkdir(parents=True)
    missing = str(tmp_path / "missing")

    async def use(context: Any) -> None:
        for failing in (
            context.open,
            context.stat,
            context.unlink,
            context.read_file,
            context.listdir,
            context.readlink,
        ):
            with pytest.raises(FileNotFoundError) as caught:
                await failing(missing)
            assert caught.value.filename == missing
        with pytest.raises(FileExistsError):
            await context.mkdir(tmp_path / "full")
        with pytest.raises(OSError, match="not empty"):
            await context.rmdir(tmp_path / "full")
        with pytest.raises(FileNotFoundError) as caught:
            await context.rename(missing, missing + "2")
        assert (caught.value.filename, caught.value.filename2) == (missing, missing + "2")
        with pytest.raises(IsADirectoryError):
            await context.read_file(tmp_path)
        with pytest.raises(NotADirectoryError):
            await context.listdir(__file__)
        with pytest.raises(FileNotFoundError):
            await context.write_file(missing + "/file", b"")
        with pytest.raises(ValueError, match="null"):
            await context.open("a\0b")
        with pytest.raises(TypeError):
            await context.open(1.5)

    using(variant_asyncio, use)


def test_directories(variant_asyncio: Any, tmp_path: Path) -> None:
    """One that takes several calls, names of any bytes, and the types of the entries."""
    names = {f"file-{number:05}-{'x' * 200}" for number in range(1000)}
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    odd = os.fsdecode(b"\xff\xfe")
    (tmp_path / odd).touch()
    names |= {"folder", "link", odd}

    async def use(context: Any) -> None:
        assert set(await context.listdir(tmp_path)) == names
        assert set(await context.listdir(os.fsencode(tmp_path))) == set(map(os.fsencode, names))
        found = {entry.name: entry for entry in await context.scandir(tmp_path)}
        assert set(found) == names
        for name, entry in found.items():
            assert os.fspath(entry) == os.path.join(tmp_path, name)
            assert entry.inode == os.lstat(entry).st_ino
            assert (entry.is_dir(), entry.is_symlink()) == (name == "folder", name == "link")
            assert entry.is_file() == (name not in ("folder", "link"))
        assert await context.listdir(tmp_path / "folder") == []

    using(variant_asyncio, use)


def test_copy_file(variant_asyncio: Any, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(data)
    old.chmod(0o640)

    async def use(context: Any) -> None:
        assert await context.copy_file(old, new) == len(data)
        assert new.read_bytes() == data
        assert stat.S_IMODE(new.stat().st_mode) == 0o640
        old.write_bytes(b"short")
        assert await context.copy_file(old, new) == 5
        assert new.read_bytes() == b"short"
        (tmp_path / "same").hardlink_to(old)
        with pytest.raises(shutil.SameFileError):
            await context.copy_file(old, tmp_path / "same")
        assert old.read_bytes() == b"short"

    using(variant_asyncio, use)


@pytest.mark.parametrize("blocking", [False, True])
def test_sendfile_waits_for_a_slow_socket(variant_asyncio: Any, tmp_path: Path, blocking: bool) -> None:
    """The file is larger than the buffers of the socket, and the receiver starts when the sender waits."""
    data = os.urandom(8 << 20)
    path = tmp_path / "file"
    path.write_bytes(data)

    async def use(context: Any) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(blocking)
        theirs.setblocking(False)
        loop = asyncio.get_running_loop()
        fd = await context.open(path)
        sending = asyncio.ensure_future(context.sendfile(ours, fd))
        await asyncio.sleep(0.05)
        assert not sending.done()
        received = bytearray()
        while len(received) < len(data):
            received += await loop.sock_recv(theirs, 1 << 20)
        assert await sending == len(data)
        assert bytes(received) == data
        assert await context.sendfile(ours.fileno(), fd, 1000, 24) == 24
        assert await loop.sock_recv(theirs, 100) == data[1000:1024]
        assert await context.sendfile(ours, fd, len(data) - 5, 1000) == 5
        await context.close(fd)
        ours.close()
        theirs.close()

    using(variant_asyncio, use)


def test_readinto_any_writable_buffer(variant_asyncio: Any, fd: int, path: Path) -> None:
    data = path.read_bytes()

    async def use(context: Any) -> None:
        array = bytearray(5000)
        assert await context.readinto(array, fd, 4096) == 5000
        assert array == data[4096:9096]
        part = memoryview(array)[1000:1010]
        assert await context.readinto(part, fd, 0) == 10
        assert array[1000:1010] == data[:10]
        assert await context.readinto(array, fd, len(data) - 3) == 3
        part.release()
        array.clear()  # Not possible while an operation holds it.
        with pytest.raises((TypeError, BufferError)):
            await context.readinto(bytes(10), fd, 0)

    using(variant_asyncio, use)


def test_readinto_an_aligned_mmap_works_with_o_direct(native_asyncio: Any, path: Path) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    except OSError:
        pytest.skip("O_DIRECT needs a file system that has it")
    memory = mmap.mmap(-1, 8192)

    async def use(context: Any) -> None:
        assert await context.readinto(memory, fd, 4096) == 8192

    using(native_asyncio, use)
    assert memory[:] == path.read_bytes()[4096 : 4096 + 8192]
    os.close(fd)


def test_readinto_numpy_arrays(variant_asyncio: Any, fd: int, path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    expected = numpy.fromfile(path, dtype="<u4")

    async def use(context: Any) -> None:
        flat = numpy.zeros(1024, dtype="<u4")
        assert await context.readinto(flat, fd, 4096) == 4096
        assert (flat == expected[1024:2048]).all()
        matrix = numpy.zeros((8, 16), dtype="<f8")
        assert await context.readinto(matrix, fd, 8) == 8 * 16 * 8
        assert (matrix.view("<u4").ravel() == expected[2 : 2 + 256]).all()
        rows = numpy.zeros((4, 16), dtype="<u4")
        assert await context.readinto(rows[1:3], fd, 0) == 2 * 16 * 4
        assert (rows[1:3].ravel() == expected[:32]).all()
        assert not rows[0].any()
        assert not rows[3].any()
        record = numpy.zeros(2, dtype=[("number", "S4"), ("rest", "V60")])
        assert await context.readinto(record, fd, 4096) == 128
        assert record["number"][0] == b"0001"
        assert await context.readinto(numpy.zeros(0), fd, 0) == 0

    using(variant_asyncio, use)


def test_readinto_refuses_what_is_read_only_or_has_gaps(variant_asyncio: Any, pipe: tuple[int, int]) -> None:
    """It raises before anything is read."""
    os.write(pipe[1], b"data")
    position = 0 if "python" in variant_asyncio.__name__ else -1
    refused: list[Any] = [
        bytes(4),
        memoryview(bytearray(4)).toreadonly(),
        memoryview(bytearray(8))[::2],
        mmap.mmap(-1, 4096, access=mmap.ACCESS_READ),
    ]
    try:
        import numpy
    except ImportError:
        pass
    else:
        array = numpy.zeros((4, 4), dtype="u1")
        frozen = array.copy()
        frozen.flags.writeable = False
        refused += [frozen, array[:, 1], array.T[:, :2]]

    async def use(context: Any) -> None:
        for buffer in refused:
            with pytest.raises((BufferError, TypeError)):
                await context.readinto(buffer, pipe[0], position)
        for no_buffer in ("text", None, 5, [1, 2]):
            with pytest.raises(TypeError):
                await context.readinto(no_buffer, pipe[0], position)

    using(variant_asyncio, use)
    assert os.read(pipe[0], 100) == b"data"


def test_readinto_parts_of_an_aligned_mmap_works_with_o_direct(native_asyncio: Any, path: Path) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    except (OSError, AttributeError):
        pytest.skip("O_DIRECT needs a file system that has it")
    data = path.read_bytes()
    memory = mmap.mmap(-1, 1 << 16)
    parts = [memoryview(memory)[offset : offset + 4096] for offset in range(0, 1 << 16, 4096)]

    async def use(context: Any) -> None:
        offsets = range(0, 1 << 16, 4096)
        moved = await asyncio.gather(*[context.readinto(*each) for each in zip(parts, [fd] * 16, offsets, strict=True)])
        assert moved == [4096] * 16

    using(native_asyncio, use)
    assert memory[:] == data
    os.close(fd)


def test_a_buffer_stays_in_place_while_it_is_read_into(native_asyncio: Any, pipe: tuple[int, int]) -> None:
    """It can be resized as soon as the operation completes."""
    array = bytearray(10)

    async def use(context: Any) -> None:
        reading = asyncio.ensure_future(context.readinto(array, pipe[0], -1))
        await asyncio.sleep(0.01)
        with pytest.raises(BufferError):
            array.clear()
        os.write(pipe[1], b"data")
        assert await reading == 4
        assert array[:4] == b"data"
        array.clear()

    using(native_asyncio, use)


def steps_of(path: Path) -> dict[str, Use]:
    """What is cancelled at each of its steps."""
    return {
        "open": lambda context: opened(context, path),
        "read_file": lambda context: context.read_file(path),
        "write_file": lambda context: context.write_file(path, b"new" * 1000),
        "listdir": lambda context: context.listdir(path.parent),
        "copy_file": lambda context: context.copy_file(path, path.parent / "copy"),
    }


async def opened(context: Any, path: Path) -> None:
    fd = await context.open(path)
    await context.close(fd)


@pytest.mark.parametrize("what", ["open", "read_file", "write_file", "listdir", "copy_file"])
@pytest.mark.parametrize("waiting", [0, 0.002])
def test_cancelled_at_each_step_it_leaves_nothing_open(
    variant_asyncio: Any, tmp_path: Path, what: str, waiting: float
) -> None:
    """It is cancelled after each number of iterations of the loop, with and without time for the disk between them."""
    path = tmp_path / "file"
    path.write_bytes(b"old" * 1000)

    async def cancelled_after(context: Any, turns: int) -> bool:
        task = asyncio.ensure_future(steps_of(path)[what](context))
        for _ in range(turns):
            await asyncio.sleep(0)
            if waiting:
                time.sleep(waiting)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return True
        return False

    async def use(context: Any) -> None:
        await steps_of(path)[what](context)
        before = descriptors()
        turns = uncancelled = 0
        while uncancelled < 5 and turns < 400:
            uncancelled = 0 if await cancelled_after(context, turns) else uncancelled + 1
            turns += 1
        deadline = time.monotonic() + 20
        expected = {"file", "copy"} & set(os.listdir(tmp_path)) | {"file"}
        while descriptors() > before or set(os.listdir(tmp_path)) != expected:
            assert time.monotonic() < deadline, f"{descriptors() - before} descriptors, {os.listdir(tmp_path)}"
            await asyncio.sleep(0.01)
        assert path.read_bytes() in (b"old" * 1000, b"new" * 1000)

    using(variant_asyncio, use)


def test_a_cancelled_open_closes_its_descriptor(variant_asyncio: Any, tmp_path: Path) -> None:
    """The open of a FIFO waits for a writer, and returns after it was cancelled."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    async def use(context: Any) -> None:
        await context.stat(fifo)
        before = descriptors()
        opening = asyncio.ensure_future(context.open(fifo))
        await asyncio.sleep(0.02)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        del opening
        writer = os.open(fifo, os.O_RDWR)
        await context.stat(fifo)
        os.close(writer)
        deadline = time.monotonic() + 20
        while descriptors() > before:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    using(variant_asyncio, use)


def test_an_open_that_completed_before_its_cancellation_closes_its_descriptor(
    native_asyncio: Any, path: Path, fd: int
) -> None:
    """Another submission has collected its completion, and its task has not run yet."""

    async def use(context: Any) -> None:
        await context.read(1, fd, 0)
        before = descriptors()
        for _ in range(20):
            opening = asyncio.ensure_future(context.open(path))
            await asyncio.sleep(0)
            time.sleep(0.002)
            await context.read(1, fd, 0)
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
            if not opening.cancelled():
                await context.close(opening.result())
        del opening
        deadline = time.monotonic() + 20
        while descriptors() > before:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    using(native_asyncio, use)


def test_a_cancelled_close_closes(variant_asyncio: Any, path: Path) -> None:
    async def use(context: Any) -> None:
        await opened(context, path)
        before = descriptors()
        for turns in range(5):
            fd = await context.open(path)
            closing = asyncio.ensure_future(context.close(fd))
            for _ in range(turns + 1):
                await asyncio.sleep(0)
            closing.cancel()
            await asyncio.gather(closing, return_exceptions=True)
        deadline = time.monotonic() + 20
        while descriptors() > before:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    using(variant_asyncio, use)


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_an_open_whose_loop_ends_closes_its_descriptor(native_asyncio: Any, path: Path, turns: int) -> None:
    before = descriptors()
    for _ in range(10):
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, details: None)
        context = native_asyncio.AsyncioContext(loop=loop)
        task = loop.create_task(context.open(path))
        for _ in range(turns):
            loop.run_until_complete(asyncio.sleep(0))
        if task.done():
            os.close(task.result())
        context.close()
        loop.close()
        del task, context, loop
    wait_until(lambda: descriptors() <= before)


def test_the_loop_does_not_wait_for_a_slow_file_system(native_asyncio: Any, gate: Gate) -> None:
    """A FUSE file system holds a read; the loop runs on, and the cancelled read leaves nothing open."""

    async def use(context: Any) -> None:
        before = descriptors()
        reading = asyncio.ensure_future(context.read_file(gate.file))
        await asyncio.get_running_loop().run_in_executor(None, gate.holds)
        assert not reading.done()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        gate.go()
        deadline = time.monotonic() + 20
        while descriptors() > before:
            assert time.monotonic() < deadline
            gate.go()
            await asyncio.sleep(0.01)

    using(native_asyncio, use)


def test_whole_files_do_not_starve_other_tasks(native_asyncio: Any, path: Path) -> None:
    """The promise is one millisecond; here the median may be ten."""

    async def use(context: Any) -> None:
        stop = False

        async def reader() -> None:
            while not stop:
                await context.read_file(path)

        reading = asyncio.create_task(reader())
        gaps = []
        for _ in range(200):
            before = time.perf_counter()
            await asyncio.sleep(0)
            gaps.append(time.perf_counter() - before)
        stop = True
        await reading
        assert sorted(gaps)[len(gaps) // 2] < 0.01

    using(native_asyncio, use)


def test_the_package_has_the_type_of_the_entries() -> None:
    assert caio.DirEntry("a", "/a", 1, stat.S_IFDIR >> 12).is_dir()
