"""Low-level contexts."""

from __future__ import annotations

import errno
import gc
import os
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import caio
import pytest
from conftest import calls, finish, linux, uring, wait_until, watched


def test_sizes(variant: Any) -> None:
    assert variant.Context().max_requests == (512 if variant.__name__ == "caio.thread_aio" else 32)
    for size in (1, 128, 8192, 32218):
        assert variant.Context(max_requests=size).max_requests == size
    if variant.__name__ == "caio.python_aio":
        for bad in (0, -1):
            with pytest.raises(ValueError, match="max_requests"):
                variant.Context(bad)
    else:
        assert variant.Context(0).max_requests == variant.Context().max_requests


def test_too_large(native: Any) -> None:
    errors = {"caio.thread_aio": ValueError}
    for bad in (10**6, 2**40, -1):
        with pytest.raises(errors.get(native.__name__, SystemError)) as caught:
            native.Context(bad)
        if native.__name__ != "caio.thread_aio":
            assert caught.value.errno in (errno.EAGAIN, errno.EINVAL)  # type: ignore[attr-defined]


def test_unknown_arguments(variant: Any) -> None:
    with pytest.raises(TypeError):
        variant.Context(max_requests=4, nonsense=1)


def test_pool_sizes() -> None:
    assert caio.thread_aio.Context(4, pool_size=3).pool_size == 3
    with pytest.raises(ValueError, match="pool_size"):
        caio.thread_aio.Context(4, pool_size=129)
    for bad in (0, -1, caio.python_aio.Context.MAX_POOL_SIZE):
        with pytest.raises(ValueError, match="pool_size"):
            caio.python_aio.Context(4, pool_size=bad)


def test_read_only(variant: Any) -> None:
    context = variant.Context(4)
    with pytest.raises(AttributeError):
        context.max_requests = 5


def test_nothing_to_submit(variant: Any) -> None:
    assert variant.Context(4).submit() == 0


def test_foreign_objects_claim_nothing(variant: Any, fd: int) -> None:
    context = variant.Context(4)
    other = next(v for v in caio.variants if v is not variant)
    for foreign in (object(), other.Operation.read(1, fd, 0), None):
        read = watched(variant.Operation.read(4, fd, 0))
        with pytest.raises(ValueError if variant.__name__ == "caio.python_aio" else TypeError):
            context.submit(read, foreign)
        assert context.submit(read) == 1
        finish(context, read)
        assert read.get_value() == b"0000"


def test_one_submission_each(variant: Any, fd: int) -> None:
    context, other = variant.Context(4), variant.Context(4)
    read = watched(variant.Operation.read(4, fd, 0))
    assert context.submit(read, read) == 1
    assert other.submit(read) == 0
    finish(context, read)
    assert context.submit(read) == 0
    assert other.submit(read) == 0
    assert calls(read) == [4]


def test_many_operations_at_the_same_time(variant: Any, fd: int) -> None:
    context = variant.Context(64)
    reads = [watched(variant.Operation.read(4, fd, number % 16 * 4096)) for number in range(64)]
    assert context.submit(*reads) == 64
    finish(context, *reads)
    assert [read.get_value() for read in reads] == [os.pread(fd, 4, number % 16 * 4096) for number in range(64)]


def test_an_operation_in_flight_hides_its_memory(native: Any, pipe: tuple[int, int]) -> None:
    context = native.Context(4)
    read = watched(native.Operation.read(4, pipe[0], -1))
    context.submit(read)
    if hasattr(context, "flush"):
        context.flush()
    for question in (read.get_value, lambda: read.payload):
        with pytest.raises(RuntimeError, match="in flight"):
            question()
    assert read.context is context
    os.write(pipe[1], b"data")
    finish(context, read)
    assert read.get_value() == b"data"
    assert read.context is None


def test_done_only_when_handled(polled: Any, fd: int) -> None:
    context = polled.Context(4)
    read = polled.Operation.read(4, fd, 0)
    context.submit(read)
    time.sleep(0.01)  # The operation is complete, its completion not collected.
    with pytest.raises(RuntimeError):
        read.get_value()


def test_full(native: Any, pipe: tuple[int, int]) -> None:
    """A refused operation can be submitted again."""
    context = native.Context(2)
    reads = [watched(native.Operation.read(1, pipe[0], -1)) for _ in range(3)]
    if native.__name__ == "caio.linux_aio":
        assert context.submit(*reads) == 2
    else:
        errors = {"caio.linux_uring": OverflowError, "caio.thread_aio": RuntimeError}
        with pytest.raises(errors[native.__name__], match="queue") as caught:
            context.submit(*reads)
        assert native.__name__ != "caio.thread_aio" or "queue full" in str(caught.value)
    os.write(pipe[1], b"abc")
    finish(context, *reads[:2])
    assert reads[2].nbytes == 1
    assert context.submit(reads[2]) == 1
    finish(context, reads[2])
    assert sorted(read.get_value() for read in reads) == [b"a", b"b", b"c"]


@linux
def test_linux_refuses_bad_descriptors_at_submission(fd: int, tmp_path: Any) -> None:
    context = caio.linux_aio.Context(4)
    number = os.open(tmp_path / "later", os.O_RDWR | os.O_CREAT)
    os.close(number)
    write = watched(caio.linux_aio.Operation.write(b"x", number, 0))
    with pytest.raises(ValueError, match="EBADF"):
        context.submit(write)
    assert os.open(tmp_path / "later", os.O_RDWR) == number
    assert context.submit(write) == 1
    finish(context, write)
    os.close(number)


@linux
def test_linux_refuses_descriptors_of_another_mode_at_submission(fd: int, path: Path) -> None:
    """io_submit(2) does the same. The operations before the bad one stay submitted."""
    kind = caio.linux_aio.Operation
    reading, writing, nowhere = (os.open(path, mode) for mode in (os.O_RDONLY, os.O_WRONLY, os.O_PATH))
    for bad in (
        kind.write(b"x", reading, 0),
        kind.read(1, writing, 0),
        kind.read(1, nowhere, 0),
        kind.fsync(nowhere),
    ):
        context = caio.linux_aio.Context(4)
        with pytest.raises(ValueError, match="EBADF"):
            context.submit(bad)
        good = watched(kind.read(4, fd, 0))
        assert context.submit(good, bad) == 1
        finish(context, good)
        assert good.get_value() == b"0000"
    for number in (reading, writing, nowhere):
        os.close(number)


def test_bad_descriptor_at_completion(variant: Any) -> None:
    if variant.__name__ == "caio.linux_aio":
        pytest.skip("refused at submission")
    context = variant.Context(4)
    read = watched(variant.Operation.read(1, 9999, 0))
    assert context.submit(read) == 1
    finish(context, read)
    with pytest.raises((SystemError, OSError), match="Bad file descriptor"):
        read.get_value()


def test_a_raising_callback_does_not_stop_others(variant: Any, fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: seen.append(args.exc_type))
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(args.exc_type))
    context = variant.Context(8)

    def fail(result: int) -> None:
        raise ZeroDivisionError

    bad = variant.Operation.read(1, fd, 0)
    bad.set_callback(fail)
    good = [watched(variant.Operation.read(1, fd, 0)) for _ in range(3)]
    context.submit(bad, *good)
    finish(context, *good)
    wait_until(lambda: seen == [ZeroDivisionError])


def test_callback_threads(variant: Any, fd: int) -> None:
    context = variant.Context(4)
    threads: list[int] = []
    read = variant.Operation.read(1, fd, 0)
    read.set_callback(lambda result: threads.append(threading.get_ident()))
    other = watched(variant.Operation.read(1, fd, 0))
    context.submit(read, other)
    finish(context, other)
    wait_until(lambda: bool(threads))
    polls = hasattr(context, "process_events")
    assert (threads == [threading.get_ident()]) is polls


def test_blocked_callbacks_do_not_hold_up_others(fd: int) -> None:
    context = caio.thread_aio.Context(16, pool_size=4)
    gate = threading.Event()
    blocked = [caio.thread_aio.Operation.read(1, fd, 0) for _ in range(3)]
    for read in blocked:
        read.set_callback(lambda result: gate.wait(20))
    free = [watched(caio.thread_aio.Operation.read(1, fd, 0)) for _ in range(8)]
    context.submit(*blocked)
    context.submit(*free)
    finish(context, *free)
    gate.set()


def test_references(native: Any, fd: int) -> None:
    """In flight, operation and context have one reference more. Then the context is freed without the collector."""
    gc.collect()
    gc.disable()
    try:
        context = native.Context(4)
        read = native.Operation.read(4, fd, 0)
        before = sys.getrefcount(read), sys.getrefcount(context)
        context.submit(read)
        if native.__name__ != "caio.thread_aio":
            assert (sys.getrefcount(read), sys.getrefcount(context)) == (before[0] + 1, before[1] + 1)
        if hasattr(context, "flush"):
            context.flush()
        if hasattr(context, "process_events"):
            context.process_events(1, 1, 5)
        wait_until(lambda: (sys.getrefcount(read), sys.getrefcount(context)) == before)  # noqa: F821
        reference = weakref.ref(context)
        del context
        assert reference() is None
        assert read.get_value() == b"0000"
    finally:
        gc.enable()


def test_dropped_thread_context_runs_all_callbacks(fd: int) -> None:
    for module in (caio.thread_aio, caio.python_aio):
        context = module.Context(64)
        done: list[int] = []
        for _ in range(64):
            read = module.Operation.read(1, fd, 0)
            read.set_callback(done.append)
            assert context.submit(read) == 1
        del context, read
        wait_until(lambda done=done: len(done) == 64)


def data_size() -> int:
    """KiB of private memory of this process."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmData"))


def test_last_reference_dropped_in_a_callback(fd: int) -> None:
    before = data_size()
    for module in (caio.thread_aio, caio.python_aio):
        for _ in range(50):
            context = [module.Context(60000)]
            reference = weakref.ref(context[0])
            submitted = threading.Event()
            read = module.Operation.read(1, fd, 0)

            def drop(result: int, context: list[Any] = context, submitted: threading.Event = submitted) -> None:
                submitted.wait()
                context.clear()

            read.set_callback(drop)
            context[0].submit(read)
            submitted.set()
            wait_until(lambda reference=reference: reference() is None)
    assert data_size() - before < 100 * 1024


@uring
def test_dropped_uring_context_runs_no_callbacks(fd: int) -> None:
    context = caio.linux_uring.Context(4)
    done: list[int] = []
    read = caio.linux_uring.Operation.read(1, fd, 0)
    read.set_callback(done.append)
    context.submit(read)
    reference = weakref.ref(context)
    del context, read
    gc.collect()
    assert reference() is None
    assert done == []


def test_close() -> None:
    for module in (caio.thread_aio, caio.python_aio):
        context = module.Context(4)
        assert context.cancel() == 0
        context.close()
        context.close()
        read = module.Operation.read(1, 0, 0)
        with pytest.raises(RuntimeError):
            context.submit(read)


def test_attributes_that_contexts_do_not_have(variant: Any) -> None:
    assert not hasattr(variant.Context, "__enter__")
    assert hasattr(variant.Context, "close") is (variant in (caio.thread_aio, caio.python_aio))


def test_native_classes_cannot_be_subclassed(native: Any) -> None:
    for base in (native.Context, native.Operation):
        with pytest.raises(TypeError):
            type("Mine", (base,), {})
    assert not issubclass(native.Context, caio.AbstractContext)
    assert not issubclass(native.Operation, caio.AbstractOperation)
    assert issubclass(caio.python_aio.Context, caio.AbstractContext)
    assert issubclass(caio.python_aio.Operation, caio.AbstractOperation)
