"""Details of the original's surface that programs rely on, implementation by implementation."""

from __future__ import annotations

import os
import threading
from typing import Any

import caio
import pytest
from caio import python_aio, thread_aio
from conftest import calls, finish, linux, uring, wait_until, watched


def test_python_operations_by_hand(fd: int) -> None:
    codes = python_aio.OpCode
    assert [(code.name, code.value) for code in codes] == [
        ("READ", 0),
        ("WRITE", 1),
        ("FSYNC", 2),
        ("FDSYNC", 3),
        ("NOOP", -1),
    ]
    context = python_aio.Context(4)
    read = watched(python_aio.Operation(fd, 4, 4096, codes.READ))
    write = watched(python_aio.Operation(fd, 3, 0, codes.WRITE, payload=b"abc", priority=3))
    nothing = watched(python_aio.Operation(fd, None, None, codes.NOOP))
    assert write.written == 0
    assert context.submit(read, write, nothing) == 3
    finish(context, read, write, nothing)
    assert (read.get_value(), write.get_value(), write.written) == (b"0001", 3, 3)
    assert (nothing.get_value(), calls(nothing)) == (None, [None])


def test_python_counts_operations_in_flight(fd: int) -> None:
    context = python_aio.Context(4)
    read = watched(python_aio.Operation.read(4, fd, 0))
    assert context._in_progress == 0
    context._in_progress = 4
    with pytest.raises(RuntimeError):
        context.submit(read)
    context._in_progress = 0
    assert context.submit(read) == 1
    finish(context, read)
    assert context._in_progress == 0


def test_python_pool_that_is_closed(fd: int) -> None:
    """An operation that a closed pool refuses is unchanged."""
    context = python_aio.Context(4)
    context.pool.close()
    context.pool.join()
    read = watched(python_aio.Operation.read(4, fd, 0))
    with pytest.raises(RuntimeError):
        context.submit(read)
    assert context._in_progress == 0
    other = python_aio.Context(4)
    assert other.submit(read) == 1
    finish(other, read)
    assert read.get_value() == b"0000"


def test_python_hides_memory_in_flight(fd: int) -> None:
    context = python_aio.Context(4, pool_size=1)
    gate = threading.Event()
    first = python_aio.Operation.read(4, fd, 0)
    first.set_callback(lambda result: gate.wait(20))
    waiting = watched(python_aio.Operation.read(4, fd, 0))
    context.submit(first, waiting)
    assert (waiting.get_value(), bytes(waiting.payload), waiting.nbytes) == (b"", b"", 4)
    gate.set()
    finish(context, waiting)
    assert waiting.get_value() == b"0000"


@pytest.mark.parametrize("module", [thread_aio, python_aio])
def test_operations_submitted_before_close_complete(module: Any, fd: int) -> None:
    context = module.Context(64)
    reads = [watched(module.Operation.read(4, fd, 0)) for _ in range(64)]
    assert context.submit(*reads) == 64
    context.close()
    wait_until(lambda: all(calls(read) == [4] for read in reads))


@pytest.mark.parametrize("module", [thread_aio, python_aio])
def test_cancel_takes_anything(module: Any, fd: int) -> None:
    context = module.Context(4)
    assert context.cancel(module.Operation.read(1, fd, 0), module.Operation.fsync(fd)) == 0


def test_a_refused_write_keeps_its_data(native: Any, fd: int, pipe: tuple[int, int]) -> None:
    context = native.Context(1)
    blocked = watched(native.Operation.read(1, pipe[0], -1))
    write = watched(native.Operation.write(b"kept", fd, 0))
    if native.__name__ == "caio.linux_aio":
        assert context.submit(blocked, write) == 1
        assert context.submit(write) == 0
    else:
        with pytest.raises((OverflowError, RuntimeError)):
            context.submit(blocked, write)
    assert bytes(write.payload) == b"kept"
    os.write(pipe[1], b"x")
    finish(context, blocked)
    assert context.submit(write) == 1
    finish(context, write)
    assert os.pread(fd, 4, 0) == b"kept"


@uring
def test_uring_length_limit() -> None:
    with pytest.raises(OverflowError):
        caio.linux_uring.Operation.read(2**32, 0, 0)


@linux
def test_linux_attributes(fd: int) -> None:
    write = watched(caio.linux_aio.Operation.write(b"abc", fd, 0, 5))
    assert write.priority == 5
    context = caio.linux_aio.Context(4)
    context.submit(write)
    finish(context, write)
    assert write.nbytes == 3
