"""What the native implementations can do that the original could not."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import caio
import pytest
from conftest import run

HERE = Path(__file__).parent.parent


def test_cached_reads_do_not_visit_the_loop(native_asyncio: Any, fd: int) -> None:
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

        # More than once, as on a busy machine the loop may be due in between.
        found = [await turns_during_reads() for _ in range(20)]
        assert 0 in found
        assert context.stats().done_inline == 3 * 20
        context.close()

    run(main)


@pytest.mark.parametrize("tasks", [1, 3, 100])
def test_cached_reads_let_others_run(native_asyncio: Any, fd: int, tasks: int) -> None:
    """The loop turns at least once in a millisecond; here the median of many turns has to."""

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
        end = last + 0.5
        while last < end:
            await asyncio.sleep(0)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now
        stop = True
        await asyncio.gather(*running)
        assert sorted(gaps)[len(gaps) // 2] < 0.001 * (1 if tasks < 100 else 5)
        assert len(gaps) > 50
        assert sum(reads) > 10 * len(gaps)
        assert min(reads) * 20 > sum(reads) / tasks, "each gets its share"
        context.close()

    run(main)


def test_one_wake_up_for_many(native_asyncio: Any, pipe: tuple[int, int]) -> None:
    """Reads that are blocked on a pipe become complete together."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        context = native_asyncio.AsyncioContext()
        tasks = [asyncio.create_task(context.read(1, pipe[0], -1)) for _ in range(100)]
        await asyncio.sleep(0.05)
        assert context.stats().in_flight == 100
        order: list[str] = []
        for task in tasks:
            task.add_done_callback(lambda task: order.append("done"))
        os.write(pipe[1], b"x" * 100)
        while context.stats().completed < 100:
            time.sleep(0.001)
        loop.call_soon(order.append, "turn")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert order.count("done") == 100 or order.count("turn") <= 1
        assert await asyncio.gather(*tasks) == [b"x"] * 100
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
    """Any number is accepted; those that ioprio_set(2) knows are handed to the kernel."""

    async def main() -> None:
        context = native_asyncio.AsyncioContext()
        for priority in (0, 1, 7, (2 << 13) | 4, 3 << 13):
            assert await context.read(4, fd, 0, priority) == b"0000"
            assert await context.write(b"0000", fd, 0, priority) == 4
        context.close()

    run(main)


def test_priorities_reach_the_kernel(tmp_path: Path) -> None:
    """A cold read through kernel AIO or io_uring carries it: seen with strace."""
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


def test_default_context_is_the_best_of_now(fd: int) -> None:
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


# --- loops, processes, threads ---


def test_another_loop_is_a_clear_error(native_asyncio: Any, fd: int) -> None:
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
    """KeyboardInterrupt in one task: the others go on when the loop does."""
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
    """asyncio's tasks in pure Python ask more of a future."""
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


# --- other loops ---


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


@pytest.mark.parametrize("name", ["uring", "linux", "thread", "python"])
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


# --- the end of the interpreter ---

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
    """Again and again, as what could go wrong is a race (CAIO_TEST_EXITS: how often; else 10 times each)."""
    path = tmp_path / "file"
    path.write_bytes(bytes(65536))
    program = f"import asyncio, os, caio\nfd = os.open({str(path)!r}, os.O_RDWR)\n" + AT_EXIT[kind]
    for _ in range(int(os.environ.get("CAIO_TEST_EXITS", "10"))):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (0, "begun"), done.stderr
        assert "Traceback" not in done.stderr or "Task was destroyed" in done.stderr


# --- the disk ---


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
    """Large writes and syncs to a real disk: a heartbeat goes on meanwhile."""

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


@pytest.mark.parametrize("name", ["uring", "linux", "thread", "python"])
def test_a_program_of_the_original(name: str, tmp_path: Path) -> None:
    """Written as its users write: the loop asked for first, the context kept, no close."""
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
