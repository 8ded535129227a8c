"""Low-level completions: poll, process_events, flush, cancel."""

from __future__ import annotations

import os
import select
import threading
import time
from pathlib import Path
from typing import Any

import caio
import pytest
from conftest import calls, finish, linux, uring, wait_until, watched


def test_poll(polled: Any, fd: int) -> None:
    context = polled.Context(4)
    with pytest.raises(BlockingIOError):
        context.poll()
    read = watched(polled.Operation.read(1, fd, 0))
    context.submit(read)
    if hasattr(context, "flush"):
        context.flush()
    else:
        assert select.select([context.fileno], [], [], 20)[0]
    assert context.poll() > 0
    context.process_events()
    finish(context, read)


def test_poll_then_process(polled: Any, pipe: tuple[int, int]) -> None:
    """An event loop's callback does the same."""
    context = polled.Context(4)
    read = watched(polled.Operation.read(1, pipe[0], -1))
    context.submit(read)
    if hasattr(context, "flush"):
        assert context.flush() == 0
    assert not select.select([context.fileno], [], [], 0)[0]
    os.write(pipe[1], b"x")
    assert select.select([context.fileno], [], [], 20)[0]
    assert context.poll() == 1
    assert not select.select([context.fileno], [], [], 0)[0]
    assert context.process_events() == 1
    assert calls(read) == [1]


def test_process_events_arguments(polled: Any) -> None:
    context = polled.Context(4)
    with pytest.raises(ValueError, match="min_requests"):
        context.process_events(1, 2)
    with pytest.raises(TypeError):
        context.process_events(timeout=0.5)
    if polled.__name__ == "caio.linux_aio":
        with pytest.raises(OverflowError):
            context.process_events(2**20 + 1)
    assert context.process_events(0, 0, 0) == 0
    assert context.process_events(max_requests=512, min_requests=0, timeout=0) == 0


def test_process_events_at_most(polled: Any, fd: int) -> None:
    context = polled.Context(8)
    reads = [watched(polled.Operation.read(1, fd, 0)) for _ in range(6)]
    context.submit(*reads)
    done = 0
    if polled.__name__ == "caio.linux_uring":
        done = context.flush()
    rounds = 0
    while done < 6:
        now = context.process_events(2, 1, 5)
        assert now <= 2
        done += now
        assert sum(len(calls(read)) for read in reads) == done
        rounds += 1
    assert polled.__name__ == "caio.linux_uring" or rounds >= 3


def test_process_events_timeout(polled: Any) -> None:
    context = polled.Context(4)
    started = time.monotonic()
    assert context.process_events(4, 1, 1) == 0
    assert 0.9 < time.monotonic() - started < 10
    started = time.monotonic()
    assert context.process_events(4, 0, 5) == 0
    assert context.process_events(4, 1, 0) == 0
    assert time.monotonic() - started < 3


def test_waiting_for_ever_releases_the_gil_and_is_woken(polled: Any, fd: int) -> None:
    context = polled.Context(4)
    result: list[int] = []
    thread = threading.Thread(target=lambda: result.append(context.process_events(4, 1, -1)))
    thread.start()
    status = Path(f"/proc/self/task/{thread.native_id}/stat")
    wait_until(lambda: status.read_text().rsplit(")", 1)[1].split()[0] == "S")
    read = watched(polled.Operation.read(1, fd, 0))
    context.submit(read)
    if hasattr(context, "flush"):
        context.flush()
    thread.join(20)
    assert not thread.is_alive()
    assert result == [1]
    assert calls(read) == [1]


@pytest.mark.usefixtures("patient")
def test_other_threads_run_while_one_waits(polled: Any, pipe: tuple[int, int]) -> None:
    """The thread that writes can run only because the waiting thread releases the GIL."""
    context = polled.Context(4)
    read = watched(polled.Operation.read(1, pipe[0], -1))
    context.submit(read)
    if hasattr(context, "flush"):
        context.flush()
    order: list[str] = []
    begin = threading.Event()

    def other() -> None:
        begin.wait()
        order.append("other")
        os.write(pipe[1], b"x")

    thread = threading.Thread(target=other)
    thread.start()
    order.append("before")
    begin.set()
    done = context.process_events(1, 1, 20)
    order.append("after")
    thread.join()
    assert (done, order) == (1, ["before", "other", "after"])


def test_a_callback_finds_no_event_of_its_own_batch(polled: Any, pipe: tuple[int, int]) -> None:
    """One call collects all events that it handles before it runs the first callback."""
    context = polled.Context(128)
    seen: list[int] = []
    reads = [polled.Operation.read(1, pipe[0], -1) for _ in range(100)]
    for read in reads:
        read.set_callback(lambda result: seen.append(context.process_events()))
    assert context.submit(*reads) == 100
    if hasattr(context, "flush"):
        context.flush()
    os.write(pipe[1], b"x" * 100)
    wait_until(lambda: context.stats().completed == 100)
    assert context.process_events() == 100
    assert seen == [0] * 100


def test_process_events_inside_a_callback(polled: Any, fd: int) -> None:
    context = polled.Context(4)
    seen: list[int] = []
    read = polled.Operation.read(1, fd, 0)
    read.set_callback(lambda result: seen.append(context.process_events()))
    context.submit(read)
    if hasattr(context, "flush"):
        context.flush()
    if not seen:
        context.process_events(1, 1, 5)
    assert seen == [0]


@uring
def test_flush(fd: int) -> None:
    context = caio.linux_uring.Context(8)
    assert context.flush() == 0
    reads = [watched(caio.linux_uring.Operation.read(4, fd, 0)) for _ in range(8)]
    assert context.submit(*reads) == 8
    assert all(calls(read) == [] for read in reads), "submit alone must not start operations"
    assert context.process_events(8, 0, 0) == 0
    flushed = context.flush()
    finish(context, *reads)
    assert flushed <= 8
    assert all(read.get_value() == b"0000" for read in reads)


@uring
def test_flush_from_another_thread(fd: int) -> None:
    context = caio.linux_uring.Context(8)
    read = watched(caio.linux_uring.Operation.read(4, fd, 0))
    context.submit(read)
    thread = threading.Thread(target=lambda: finish(context, read))
    thread.start()
    thread.join(20)
    assert calls(read) == [4]


@uring
def test_uring_failures_call_back_with_errno(pipe: tuple[int, int]) -> None:
    context = caio.linux_uring.Context(8)
    read = watched(caio.linux_uring.Operation.read(4, pipe[0], 0xFFFF_FFFF_FFFF_FFFF))
    context.submit(read)
    context.flush()
    assert context.cancel(read) == 0
    finish(context, read)
    assert calls(read) == [-125]
    with pytest.raises(SystemError):
        read.get_value()


@uring
def test_uring_cancel_never_raises(fd: int, pipe: tuple[int, int]) -> None:
    context, other = caio.linux_uring.Context(8), caio.linux_uring.Context(8)
    read = watched(caio.linux_uring.Operation.read(4, pipe[0], -1))
    context.submit(read)
    context.flush()
    assert other.cancel(read) == 0
    other.process_events()
    context.process_events()
    assert calls(read) == [], "another context must not cancel it"
    os.write(pipe[1], b"data")
    finish(context, read)
    context.poll()
    with pytest.raises(BlockingIOError):
        context.poll()
    assert context.cancel(read) == 0
    assert context.poll() > 0
    assert context.process_events(max_requests=1, min_requests=1, timeout=0) == 0
    assert context.cancel(caio.linux_uring.Operation.read(1, fd, 0)) == 0
    for bad in ((), (1,)):
        with pytest.raises(TypeError):
            context.cancel(*bad)


@uring
def test_sqpoll() -> None:
    assert caio.linux_uring.Context(4).sqpoll == 0
    assert isinstance(caio.linux_uring.SQPOLL_ALLOWED, bool)
    assert caio.linux_uring.Context(4, sqpoll=1).sqpoll == int(caio.linux_uring.SQPOLL_ALLOWED)


@linux
def test_linux_cancel(fd: int, pipe: tuple[int, int]) -> None:
    context, other = caio.linux_aio.Context(4), caio.linux_aio.Context(4)
    read = watched(caio.linux_aio.Operation.read(4, pipe[0], -1))
    context.submit(read)
    with pytest.raises(ValueError, match="EINVAL"):
        other.cancel(read)
    assert context.cancel(read) == 0
    finish(context, read)
    with pytest.raises(ValueError, match="EINVAL"):
        context.cancel(read)
