"""Shared fixtures and helpers. Tests run on every implementation that this machine has."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import caio
import pytest
from gate import Gate, build

uring = pytest.mark.skipif(caio.linux_uring is None, reason="needs io_uring")
linux = pytest.mark.skipif(caio.linux_aio is None, reason="needs kernel AIO")
#: What CAIO_IMPL accepts, for tests that start a program.
NATIVE_NAMES = [pytest.param("uring", marks=uring), pytest.param("linux", marks=linux), "thread"]
NAMES = [*NATIVE_NAMES, "python"]


async def _reads_inline() -> bool:
    async with caio.AsyncioContext() as context:
        with open(__file__, "rb") as file:
            file.read()
            await context.read(16, file.fileno(), 0)
            return caio.thread_aio is not None and context.stats().done_inline > 0


cached = pytest.mark.skipif(not asyncio.run(_reads_inline()), reason="needs a system with preadv2(2)")

#: The numbers of io_setup(2), io_destroy(2) and io_submit(2) in this process, which on x86-64 may be one of 32 bits.
KERNEL_AIO = {
    ("x86_64", True): (206, 207, 209),
    ("x86_64", False): (245, 246, 248),
    ("i686", False): (245, 246, 248),
    ("aarch64", True): (0, 1, 2),
}.get((platform.machine(), sys.maxsize > 1 << 32))

#: Runs the full form of tests that take minutes.
LONG = bool(os.environ.get("CAIO_TEST_LONG"))


def short_name(module: Any) -> str:
    return str(module.__name__.removeprefix("caio.").removesuffix("_asyncio"))


@pytest.fixture(params=caio.variants, ids=short_name)
def variant(request: pytest.FixtureRequest) -> Any:
    """A low-level module."""
    return request.param


@pytest.fixture(params=[v for v in caio.variants if v.__name__ != "caio.python_aio"], ids=short_name)
def native(request: pytest.FixtureRequest) -> Any:
    """A native low-level module."""
    return request.param


@pytest.fixture(params=caio.variants_asyncio, ids=short_name)
def variant_asyncio(request: pytest.FixtureRequest) -> Any:
    """An asyncio module."""
    return request.param


@pytest.fixture(params=[v for v in (caio.linux_uring, caio.linux_aio) if v], ids=lambda v: v.__name__)
def polled(request: pytest.FixtureRequest) -> Any:
    """A module whose users handle completions themselves."""
    return request.param


NATIVE_ASYNCIO = [v for v in caio.variants_asyncio if "python" not in v.__name__]


@pytest.fixture(params=[*NATIVE_ASYNCIO, caio], ids=[*map(short_name, NATIVE_ASYNCIO), "auto"])
def native_asyncio(request: pytest.FixtureRequest) -> Any:
    """A module with a native AsyncioContext, `caio` included."""
    return request.param


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of 64 KiB. Each block of 4 KiB begins with its number."""
    path = tmp_path / "file"
    filling = (bytes(range(256)) * 16)[4:]
    path.write_bytes(b"".join(b"%04d" % number + filling for number in range(16)))
    return path


@pytest.fixture
def fd(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    yield fd
    os.close(fd)


def pread(fd: int, size: int, offset: int) -> bytes:
    """os.pread, which Windows has not."""
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, size)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            pass


@pytest.fixture(scope="session")
def gate_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("gate"))


@pytest.fixture
def gate(gate_program: Path, tmp_path: Path) -> Iterator[Gate]:
    gate = Gate(gate_program, tmp_path / "mounted")
    yield gate
    gate.close()
    assert not gate.patience_lost, "the loop, or a test, waited for the file"


@pytest.fixture
def patient() -> Iterator[None]:
    """A thread keeps the GIL until it releases it itself."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(before)


def finish(context: Any, *operations: Any, seconds: float = 20) -> None:
    """Handles completions until these operations are complete."""
    deadline = time.monotonic() + seconds
    while not all(is_done(operation) for operation in operations):
        assert time.monotonic() < deadline, "the operations are not complete"
        if hasattr(context, "flush"):
            context.flush()
        if hasattr(context, "process_events"):
            context.process_events(max_requests=512, min_requests=1, timeout=1)
        else:
            time.sleep(0.001)


def is_done(operation: Any) -> bool:
    """Only for operations from `watched`."""
    return bool(operations_done.get(id(operation)))


operations_done: dict[int, list[Any]] = {}


def watched(operation: Any) -> Any:
    """Records the arguments of the operation's callback for `calls(operation)`."""
    log: list[Any] = []
    operations_done[id(operation)] = log
    operation.set_callback(log.append)
    return operation


def calls(operation: Any) -> list[Any]:
    return operations_done[id(operation)]


def run(main: Callable[[], Coroutine[Any, Any, Any]], seconds: float = 60) -> Any:
    """Runs a coroutine function in a new loop, and checks that the loop's exception handler was not called."""
    complaints: list[Any] = []

    async def guarded() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        return await asyncio.wait_for(main(), seconds)

    result = asyncio.run(guarded())
    assert not complaints
    return result


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.001)
