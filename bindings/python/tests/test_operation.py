"""Operations, before and after their submission."""

from __future__ import annotations

import errno
import gc
import os
import sys
import weakref
from typing import Any

import pytest
from caio import python_aio
from conftest import calls, finish, pread, watched


def test_no_public_constructor(native: Any) -> None:
    with pytest.raises(TypeError):
        native.Operation()


@pytest.mark.parametrize("kind", ["read", "write"])
@pytest.mark.parametrize(
    "bad",
    [{"fd": "0"}, {"offset": "0"}, {"priority": "0"}, {"fd": 1.5}, {"fd": None}, {"offset": None}, {"priority": None}],
)
def test_arguments_must_be_integers(variant: Any, kind: str, bad: dict[str, Any]) -> None:
    arguments = {"fd": 0, "offset": 0, "priority": 0} | bad
    first = 1 if kind == "read" else b"x"
    before = len(gc.get_objects())
    for _ in range(500):
        with pytest.raises(TypeError):
            getattr(variant.Operation, kind)(first, **arguments)
    gc.collect()
    assert len(gc.get_objects()) < before + 400


def test_a_length_must_be_an_integer(variant: Any) -> None:
    for bad in ("1", 1.5, b"1", None):
        with pytest.raises(TypeError):
            variant.Operation.read(bad, 0, 0)


def test_a_payload_that_is_not_bytes(variant: Any) -> None:
    for bad in (bytearray(b"payload"), memoryview(b"payload"), "payload".upper(), [b"payload"]):
        references = sys.getrefcount(bad)
        with pytest.raises(ValueError, match="bytes"):
            variant.Operation.write(bad, 0, 0)
        assert sys.getrefcount(bad) == references


def test_bytes_subclass(variant: Any, fd: int) -> None:
    class Special(bytes):
        pass

    context = variant.Context(4)
    write = watched(variant.Operation.write(Special(b"special"), fd, 0))
    context.submit(write)
    finish(context, write)
    assert pread(fd, 7, 0) == b"special"


def test_absurd_length(native: Any) -> None:
    with pytest.raises(OverflowError if native.__name__ == "caio.linux_uring" else MemoryError):
        native.Operation.read(2**62, 0, 0)
    for bad in (-1, 2**63):
        with pytest.raises(OverflowError):
            native.Operation.read(bad, 0, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="needs os.pread, which refuses it")
def test_python_fails_an_absurd_length_at_completion(fd: int) -> None:
    context = python_aio.Context(4)
    read = watched(python_aio.Operation.read(2**62, fd, 0))
    assert context.submit(read) == 1
    finish(context, read)
    assert calls(read) == [None]
    with pytest.raises((OverflowError, MemoryError)):
        read.get_value()


def test_a_descriptor_out_of_range_is_refused(native: Any) -> None:
    """Cut off to 32 bits, the number would be another file's."""
    kind = native.Operation
    for bad in (2**32, -(2**31) - 1):
        for make in (
            lambda fd: kind.read(1, fd, 0),
            lambda fd: kind.write(b"x", fd, 0),
            kind.fsync,
            kind.fdsync,
        ):
            with pytest.raises(OverflowError, match=r"fd|large"):
                make(bad)


def test_offsets(native: Any) -> None:
    uring = native.__name__ == "caio.linux_uring"
    assert native.Operation.read(1, 0, -1) is not None
    for large in (2**63, 2**64 - 1):
        if uring:
            assert native.Operation.read(1, 0, large).offset == large
        else:
            with pytest.raises(OverflowError):
                native.Operation.read(1, 0, large)
    with pytest.raises(OverflowError):
        native.Operation.read(1, 0, 2**64)


def test_attributes(variant: Any, fd: int) -> None:
    read = variant.Operation.read(nbytes=10, fd=fd, offset=20, priority=0)
    assert (read.fileno, read.offset, read.nbytes) == (fd, 20, 10)
    write = variant.Operation.write(payload_bytes=b"abc", fd=fd, offset=5, priority=0)
    assert (write.fileno, write.offset, write.nbytes) == (fd, 5, 3)
    assert bytes(write.payload) == b"abc"
    for sync in (variant.Operation.fsync(fd=fd, priority=0), variant.Operation.fdsync(fd)):
        assert (sync.fileno, sync.offset, sync.nbytes) == (fd, 0, 0)
        assert not sync.payload
    for name in ("fileno", "offset", "nbytes", "payload"):
        with pytest.raises(AttributeError):
            setattr(read, name, 1)
    assert isinstance(repr(read), str)


def test_a_fresh_read_shows_zeros(native: Any, fd: int) -> None:
    read = native.Operation.read(10, fd, 0)
    payload = read.payload
    assert bytes(payload) == bytes(10)
    assert isinstance(payload, bytes if native.__name__ == "caio.linux_uring" else memoryview)
    context = native.Context(4)
    watched(read)
    context.submit(read)
    finish(context, read)
    assert bytes(payload) == bytes(10), "a payload that the program has must not change"


def test_read(variant: Any, fd: int) -> None:
    context = variant.Context(4)
    read = watched(variant.Operation.read(100, fd, 4096))
    assert context.submit(read) == 1
    finish(context, read)
    wanted = pread(fd, 100, 4096)
    assert read.get_value() == wanted
    assert type(read.get_value()) is bytes
    assert calls(read) == [100]
    assert read.nbytes == 100


def test_a_full_read_hands_out_one_object(native: Any, fd: int) -> None:
    context = native.Context(4)
    read = watched(native.Operation.read(4096, fd, 0))
    context.submit(read)
    finish(context, read)
    assert read.get_value() is read.get_value()
    if native.__name__ == "caio.linux_uring":
        assert read.payload is read.get_value()


def test_short_read(variant: Any, fd: int) -> None:
    context = variant.Context(4)
    read = watched(variant.Operation.read(1000, fd, 65536 - 10))
    context.submit(read)
    finish(context, read)
    assert read.get_value() == pread(fd, 1000, 65536 - 10)
    assert calls(read) == [10]
    if variant.__name__ == "caio.linux_uring":
        assert read.payload == read.get_value() + bytes(990)
    if variant.__name__ != "caio.python_aio":
        assert read.nbytes == 10


def test_read_at_the_end(variant: Any, fd: int) -> None:
    context = variant.Context(4)
    for offset, nbytes in ((65536, 10), (10**9, 10), (0, 0)):
        read = watched(variant.Operation.read(nbytes, fd, offset))
        context.submit(read)
        finish(context, read)
        assert read.get_value() == b""


def test_small_reads_have_objects_of_their_own(variant: Any, fd: int) -> None:
    """CPython shares short bytes objects; a read must not change them."""
    context = variant.Context(4)
    for nbytes in (1, 2, 3):
        read = watched(variant.Operation.read(nbytes, fd, 4))
        context.submit(read)
        finish(context, read)
        assert read.get_value() == pread(fd, nbytes, 4)
    assert [bytes([n])[0] for n in range(256)] == list(range(256))


def test_write(variant: Any, fd: int) -> None:
    context = variant.Context(4)
    payload = os.urandom(5000)
    references = sys.getrefcount(payload)
    write = watched(variant.Operation.write(payload, fd, 3))
    assert context.submit(write) == 1
    finish(context, write)
    assert write.get_value() == 5000
    assert calls(write) == [5000]
    assert pread(fd, 5000, 3) == payload
    if variant.__name__ == "caio.thread_aio":
        assert write.payload is None
    else:
        assert bytes(write.payload) == payload
    operation = weakref.ref(write)
    calls(write).clear()
    write.set_callback(print)
    del write
    gc.collect()
    assert operation() is None
    assert sys.getrefcount(payload) == references


@pytest.mark.parametrize("kind", ["fsync", "fdsync"])
def test_sync_yields_none(variant: Any, fd: int, kind: str) -> None:
    context = variant.Context(4)
    sync = watched(getattr(variant.Operation, kind)(fd))
    context.submit(sync)
    finish(context, sync)
    references = sys.getrefcount(None)
    for _ in range(200):
        assert sync.get_value() is None
    assert abs(sys.getrefcount(None) - references) < 100
    assert calls(sync) == [None if variant.__name__ == "caio.python_aio" else 0]


def test_failure(variant: Any, pipe: tuple[int, int]) -> None:
    """A read of a pipe at an offset fails when it completes."""
    if variant is python_aio and sys.platform == "win32":
        pytest.skip("os.lseek fails with EINVAL there")
    context = variant.Context(4)
    read = watched(variant.Operation.read(10, pipe[0], 5))
    assert context.submit(read) == 1
    finish(context, read)
    name = variant.__name__.removeprefix("caio.")
    called_with = {"linux_uring": -29, "linux_aio": 2**64 - 29, "thread_aio": -1, "python_aio": None}
    with pytest.raises(OSError if name == "python_aio" else SystemError, match=os.strerror(errno.ESPIPE)) as caught:
        read.get_value()
    assert caught.value.errno == errno.ESPIPE  # type: ignore[attr-defined]
    assert calls(read) == [called_with[name]]
    assert read.nbytes == {"linux_uring": 10, "linux_aio": -29, "thread_aio": -1, "python_aio": 10}[name]
    if hasattr(read, "error"):
        assert (read.error, read.result) == (29, called_with[name])


def test_a_failed_read_shows_no_memory(native: Any, pipe: tuple[int, int]) -> None:
    """Its buffer was never filled; it must not show this process's memory."""
    context = native.Context(4)
    read = watched(native.Operation.read(50000, pipe[0], 5))
    context.submit(read)
    finish(context, read)
    assert bytes(read.payload) == bytes(50000)
    with pytest.raises(SystemError):
        read.get_value()


def test_callback_must_be_callable(variant: Any) -> None:
    read = variant.Operation.read(1, 0, 0)
    assert read.set_callback(print) is True
    assert read.set_callback(callback=print) is True
    for bad in (None, 1, "print"):
        with pytest.raises(ValueError, match="callable"):
            read.set_callback(bad)


def test_callbacks_replace_each_other(variant: Any, fd: int) -> None:
    context = variant.Context(4)
    read = variant.Operation.read(1, fd, 0)
    first: list[int] = []
    read.set_callback(first.append)
    watched(read)
    context.submit(read)
    finish(context, read)
    assert first == []
    assert calls(read) == [1]


def test_cycle_with_callback_needs_the_collector(variant: Any) -> None:
    gc.collect()
    gc.disable()
    try:
        read = variant.Operation.read(1, 0, 0)
        reference = weakref.ref(read)

        def callback(result: int, read: Any = read) -> None: ...

        read.set_callback(callback)
        del read, callback
        assert reference() is not None
        gc.collect()
        assert reference() is None
    finally:
        gc.enable()


def test_hash_is_identity(variant: Any) -> None:
    one, other = (variant.Operation.read(1, 0, 0) for _ in range(2))
    assert len({one, other, one}) == 2
    assert one != other
    assert gc.is_tracked(one)
