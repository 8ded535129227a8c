"""Contexts and operations that threads share."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import calls, finish, wait_until, watched


def test_threads_share_a_context(variant: Any, fd: int) -> None:
    """32 threads submit; each operation is claimed and called back once."""
    context = variant.Context(8192)
    all_reads: list[Any] = []

    def submit() -> None:
        for _ in range(50):
            read = watched(variant.Operation.read(4, fd, 0))
            all_reads.append(read)
            assert context.submit(read) == 1

    threads = [threading.Thread(target=submit) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    finish(context, *all_reads)
    assert all(calls(read) == [4] for read in all_reads)


def test_threads_compete_for_operations(variant: Any, fd: int) -> None:
    """32 threads with a context each submit the same operations: each is claimed and called back once."""
    contexts = [variant.Context(256) for _ in range(32)]
    reads = [watched(variant.Operation.read(4, fd, 0)) for _ in range(200)]
    claimed: list[int] = []
    barrier = threading.Barrier(32)

    def submit(context: Any) -> None:
        barrier.wait()
        claimed.append(sum(context.submit(read) for read in reads))

    threads = [threading.Thread(target=submit, args=(context,)) for context in contexts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(claimed) == 200
    for context in contexts:
        mine = (
            [read for read in reads if getattr(read, "context", None) is context] if hasattr(context, "flush") else []
        )
        if mine:
            finish(context, *mine)
    wait_until(lambda: drain(contexts) or all(calls(read) == [4] for read in reads))


def drain(contexts: list[Any]) -> bool:
    for context in contexts:
        if hasattr(context, "process_events"):
            context.process_events()
    return False


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads switch as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
def test_32_threads_submit_cancel_and_collect(native: Any, fd: int) -> None:
    """Each accepted operation of one context calls back once, cancelled or not."""
    context = native.Context(4096)
    ends = os.pipe()
    failures: list[BaseException] = []
    accepted: list[Any] = []
    barrier = threading.Barrier(32)

    def body(number: int) -> None:
        try:
            barrier.wait()
            for turn in range(30):
                blocked = turn % 3 == 0 and native.__name__ != "caio.thread_aio"
                read = native.Operation.read(1, ends[0] if blocked else fd, -1 if blocked else 0)
                assert context.submit(watched(read)) == 1
                accepted.append(read)
                assert context.submit(read) == 0, "an operation is claimed once"
                if hasattr(context, "flush") and number % 2:
                    context.flush()
                try:
                    context.cancel(read)
                except ValueError:
                    assert native.__name__ == "caio.linux_aio", "only linux_aio reports that it was complete"
                if hasattr(context, "process_events"):
                    context.process_events()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=body, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    if hasattr(context, "flush"):
        context.flush()
        for read in accepted:
            context.cancel(read)
    os.write(ends[1], bytes(len(accepted)))
    finish(context, *accepted)
    assert len(accepted) == 32 * 30
    assert all(len(calls(read)) == 1 for read in accepted)
    for end in ends:
        os.close(end)


@pytest.mark.usefixtures("patient")
def test_others_run_under_load(native: Any, tmp_path: Path) -> None:
    """Large cached reads: another thread gets the GIL while they are submitted and collected."""
    path = tmp_path / "large"
    path.write_bytes(bytes(16 << 20))
    fd = os.open(path, os.O_RDONLY)
    context = native.Context(16)
    counted = 0
    stop = False

    def count() -> None:
        nonlocal counted
        while not stop:
            counted += 1
            time.sleep(0)

    thread = threading.Thread(target=count)
    thread.start()
    rounds = []
    for _ in range(10):
        before = counted
        reads = [watched(native.Operation.read(16 << 20, fd, 0)) for _ in range(3)]
        assert context.submit(*reads) == 3
        finish(context, *reads)
        rounds.append(counted - before)
        assert all(calls(read) == [16 << 20] for read in reads)
    stop = True
    thread.join()
    assert max(rounds) > 0, rounds
    os.close(fd)


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="a free-threaded interpreter")
def test_importing_the_package_does_not_enable_the_gil() -> None:
    program = "import sys, caio, caio._native; sys.exit(sys._is_gil_enabled())"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
