"""A context that is dropped, or whose loop ends, while operations are in flight: all of it is freed when they complete.

Each case is forced. A pipe without a writer keeps a read in flight, and the loop stops in the iteration that
cancels the read, so that it never collects the completion. A gated file keeps a read in flight even when cancelled.
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import caio
import pytest
from conftest import NATIVE_ASYNCIO, NATIVE_NAMES, polled, short_name, wait_until
from gate import Gate

__all__ = ["polled"]

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed event loop:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ENDINGS = {
    "dropped": "the read is cancelled, the context dropped, the loop closed",
    "closed": "the read is cancelled, the context closed, the loop closed",
    "cancelled_after_close": "the context is closed, then the read cancelled, the loop closed",
    "loop_closed_first": "the read is cancelled, the loop closed, the context dropped",
    "loop_stopped": "the read is cancelled, the context dropped, the loop never run again, but kept",
    "waiting": "a task still waits for the read when the loop is closed",
    "loop_forgotten": "a task still waits for the read; the loop is dropped, and was never closed",
}


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def abandon(module: Any, ending: str, fd: int, started: Callable[[], None]) -> tuple[list[weakref.ref[Any]], Any]:
    """Starts a read and ends as `ending` says. Returns what has to be freed, and a loop to close later."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, details: None)
    context = module.AsyncioContext(loop=loop)
    coroutine = context.read(4096, fd, -1 if started is turn else 0)
    parts = {"context": context, "task": asyncio.ensure_future(coroutine, loop=loop)}
    freed = [weakref.ref(part) for part in (context, context.context, coroutine)]
    if ending != "loop_stopped":
        freed.append(weakref.ref(loop))
    del context, coroutine
    loop.run_until_complete(turn_twice())
    started()

    def end() -> None:
        if ending == "cancelled_after_close":
            parts["context"].close()
        if ending not in ("waiting", "loop_forgotten"):
            parts["task"].cancel()
        if ending == "closed":
            parts["context"].close()
        if ending != "loop_closed_first":
            parts.clear()
        loop.stop()

    loop.call_soon(end)
    loop.run_forever()
    if ending == "loop_stopped":
        loop.run_until_complete(turn_twice())  # The task ends.
    elif ending != "loop_forgotten":
        loop.close()
    parts.clear()
    return freed, loop if ending == "loop_stopped" else None


def turn() -> None:
    """A read of a pipe is in flight after two iterations of the loop."""


async def turn_twice() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def all_freed(references: list[weakref.ref[Any]]) -> bool:
    gc.collect()
    return all(reference() is None for reference in references)


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_abandoned_context_is_freed(native_asyncio: Any, ending: str, pipe: tuple[int, int]) -> None:
    before = descriptors()
    for _ in range(3):
        freed, loop = abandon(native_asyncio, ending, pipe[0], turn)
        wait_until(lambda freed=freed: all_freed(freed))  # type: ignore[misc]
        if loop:
            loop.close()
    wait_until(lambda: descriptors() == before)


@pytest.fixture(params=[*caio.variants_asyncio, caio], ids=[*map(short_name, caio.variants_asyncio), "auto"])
def any_asyncio(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_abandoned_operation_keeps_its_memory_until_it_completes(any_asyncio: Any, ending: str, gate: Gate) -> None:
    before = descriptors()
    fd = os.open(gate.file, os.O_RDONLY)
    freed, loop = abandon(any_asyncio, ending, fd, gate.holds)
    gc.collect()
    if any_asyncio is not caio.python_aio_asyncio:
        kept = 1 + (3 if loop else 0)
        assert descriptors() > before + kept, "the context was freed while the kernel could write to its memory"
    closing = threading.Thread(target=os.close, args=(fd,))
    closing.start()

    def let_go() -> bool:
        gate.go()
        return not closing.is_alive() and all_freed(freed)

    wait_until(let_go)
    if loop:
        loop.close()
    wait_until(lambda: descriptors() == before)


@pytest.mark.parametrize("module", NATIVE_ASYNCIO, ids=short_name)
def test_uvloop_abandons_a_context(module: Any, pipe: tuple[int, int]) -> None:
    uvloop = pytest.importorskip("uvloop")
    uvloop.new_event_loop().close()  # It keeps descriptors of its own.
    before = descriptors()
    for _ in range(3):
        loop = uvloop.new_event_loop()
        context = module.AsyncioContext(loop=loop)
        task = asyncio.ensure_future(context.read(1, pipe[0], -1), loop=loop)
        freed = [weakref.ref(context), weakref.ref(context.context)]
        loop.run_until_complete(turn_twice())
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
        del context, task, loop
        wait_until(lambda freed=freed: all_freed(freed))  # type: ignore[misc]
    wait_until(lambda: descriptors() == before)


def test_tasks_that_wait_still_get_their_results_after_close(native_asyncio: Any, pipe: tuple[int, int]) -> None:
    """A closed context gives its operations back to no thread while the loop has a task for them."""

    async def main() -> None:
        context = native_asyncio.AsyncioContext(max_requests=1)
        given_up = asyncio.ensure_future(context.read(1, pipe[0], -1))
        queued = asyncio.ensure_future(context.read(1, pipe[0], -1))
        await turn_twice()
        given_up.cancel()
        context.close()
        os.write(pipe[1], b"xy")
        assert await queued in (b"x", b"y")

    asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize("events", ["in_flight", "polled"])
def test_an_abandoned_low_level_context_is_freed(polled: Any, events: str, pipe: tuple[int, int]) -> None:
    """Its completions can no longer be collected. Callbacks do not run."""
    before = descriptors()
    called: list[int] = []
    context = polled.Context(8)
    operation = polled.Operation.read(1, pipe[0], 2**64 - 1 if polled is caio.linux_uring else -1)
    operation.set_callback(called.append)
    assert context.submit(operation) == 1
    if hasattr(context, "flush"):
        context.flush()
    if events == "polled":
        os.write(pipe[1], b"x")
        while not poll(context):
            os.sched_yield()
    freed = [weakref.ref(context), weakref.ref(operation)]
    del context, operation
    wait_until(lambda: all_freed(freed))
    wait_until(lambda: descriptors() == before)
    assert not called


def poll(context: Any) -> int:
    try:
        return int(context.poll())
    except BlockingIOError:
        return 0


def test_a_forked_child_frees_what_the_parent_has_in_flight(native_asyncio: Any, pipe: tuple[int, int]) -> None:
    before = descriptors()
    loop = asyncio.new_event_loop()
    context = native_asyncio.AsyncioContext(loop=loop)
    task = asyncio.ensure_future(context.read(1, pipe[0], -1), loop=loop)
    loop.run_until_complete(turn_twice())
    child = os.fork()
    if child == 0:
        status = 1
        try:
            freed = [weakref.ref(context.context), weakref.ref(context)]
            context.close()
            loop.close()
            del context, task, loop
            status = 0 if all_freed(freed) and descriptors() == before else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    task.cancel()
    context.close()
    loop.close()
    del context, task, loop
    # The cancelled read completes on a thread; the next test counts descriptors.
    wait_until(lambda: descriptors() == before)


AT_EXIT = {
    "asyncio": """
async def main():
    context = module.AsyncioContext()
    task = asyncio.ensure_future(context.read(4096, fd, 0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    os.read(0, 1)
    task.cancel()
asyncio.run(main())
""",
    "low_level": """
context = module.Context(8)
operation = module.Operation.read(4096, fd, 0)
context.submit(operation)
getattr(context, "flush", int)()
os.read(0, 1)
del context, operation
""",
}


@pytest.mark.parametrize("level", AT_EXIT)
@pytest.mark.parametrize("name", ["linux_uring", "linux_aio", "thread_aio"])
def test_exit_does_not_wait_for_an_abandoned_operation(name: str, level: str, gate: Gate) -> None:
    """The file is released only after the interpreter has ended."""
    module = f"caio.{name}_asyncio" if level == "asyncio" else f"caio.{name}"
    if getattr(caio, name) is None:
        pytest.skip(f"needs {name}")
    program = (
        f"import asyncio, os, {module} as module\nfd = os.open({str(gate.file)!r}, os.O_RDONLY)\n" + AT_EXIT[level]
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    gate.holds()
    assert process.stdin is not None
    process.stdin.write(b"x")
    process.stdin.flush()
    try:
        # Empty once the kernel ends the process, which then waits for the file to close.
        wait_until(lambda: Path(f"/proc/{process.pid}/cmdline").read_bytes() == b"")
    finally:
        wait_until(lambda: bool(gate.go()) or process.poll() is not None)
    _, complaints = process.communicate()
    assert (process.returncode, complaints) == (0, b"")


@pytest.mark.parametrize("name", NATIVE_NAMES)
def test_trio_context_ends_while_another_task_waits(name: str, tmp_path: Path) -> None:
    pytest.importorskip("trio")
    program = """
import os, trio
from caio.trio import TrioContext

async def main():
    ends = os.pipe()
    results = []

    async def read():
        results.append(await context.read(1, ends[0], -1))

    async with trio.open_nursery() as nursery:
        async with TrioContext() as context:
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
        os.write(ends[1], b"x")
    assert results == [b"x"]
    try:
        await read()
    except RuntimeError as error:
        assert "closed" in str(error)
    else:
        raise AssertionError

import trio.testing
trio.run(main)
"""
    environment = os.environ | {"CAIO_IMPL": name}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
