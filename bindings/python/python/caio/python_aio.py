"""Implementation "python": operations by Python's own threads, without native code."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from enum import IntEnum, unique
from operator import index
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any, ClassVar

from ._positioned import pread, pwrite
from .abstract import AbstractContext, AbstractOperation

__all__ = ["Context", "OpCode", "Operation"]


@unique
class OpCode(IntEnum):
    """The kind of an operation."""

    READ = 0
    WRITE = 1
    FSYNC = 2
    FDSYNC = 3
    NOOP = -1


class Operation(AbstractOperation):
    """One read, write or sync, to be submitted once."""

    def __init__(
        self,
        fd: int,
        nbytes: int | None,
        offset: int | None,
        opcode: OpCode,
        payload: bytes | None = None,
        priority: int | None = None,
    ) -> None:
        self.opcode = OpCode(opcode)
        self.priority = priority
        #: How many bytes were written.
        self.written = 0
        #: What `get_value` raises.
        self.exception: BaseException | None = None
        self._fd = fd
        self._nbytes = nbytes or 0
        self._offset = offset or 0
        self._payload = payload or b""
        self._data = b""
        self._callback: Callable[[Any], Any] | None = None
        # Held by the submission that claimed it, as several threads may try at the same time.
        self._claim = threading.Lock()

    @classmethod
    def read(cls, nbytes: int, fd: int, offset: int, priority: int = 0) -> Operation:
        return cls(index(fd), index(nbytes), index(offset), OpCode.READ, priority=index(priority))

    @classmethod
    def write(cls, payload_bytes: bytes, fd: int, offset: int, priority: int = 0) -> Operation:
        if not isinstance(payload_bytes, bytes):
            raise ValueError(f"the payload must be bytes, not {type(payload_bytes).__name__}")
        return cls(
            index(fd), len(payload_bytes), index(offset), OpCode.WRITE, payload=payload_bytes, priority=index(priority)
        )

    @classmethod
    def fsync(cls, fd: int, priority: int = 0) -> Operation:
        return cls(index(fd), None, None, OpCode.FSYNC, priority=index(priority))

    @classmethod
    def fdsync(cls, fd: int, priority: int = 0) -> Operation:
        return cls(index(fd), None, None, OpCode.FDSYNC, priority=index(priority))

    def get_value(self) -> bytes | int | None:
        if self.exception is not None:
            raise self.exception
        if self.opcode is OpCode.READ:
            return self._data
        return self.written if self.opcode is OpCode.WRITE else None

    @property
    def fileno(self) -> int:
        return self._fd

    @property
    def offset(self) -> int:
        return self._offset

    @property
    def payload(self) -> memoryview:
        return memoryview(self._payload)

    @property
    def nbytes(self) -> int:
        return self._nbytes

    def set_callback(self, callback: Callable[[Any], Any]) -> bool:
        if not callable(callback):
            raise ValueError(f"{callback!r} is not callable")
        self._callback = callback
        return True

    def _run(self) -> int | None:
        """Performs the operation; returns the callback's argument."""
        try:
            return _WORK[self.opcode](self)
        except BaseException as error:
            self.exception = error
            return None


def _read(operation: Operation) -> int:
    operation._data = pread(operation._fd, operation._nbytes, operation._offset)
    return len(operation._data)


def _write(operation: Operation) -> int:
    operation.written = pwrite(operation._fd, operation._payload, operation._offset)
    return operation.written


def _fsync(operation: Operation) -> None:
    os.fsync(operation._fd)


def _fdsync(operation: Operation) -> None:
    getattr(os, "fdatasync", os.fsync)(operation._fd)


def _noop(operation: Operation) -> None:
    return None


_WORK: dict[OpCode, Callable[[Operation], int | None]] = {
    OpCode.READ: _read,
    OpCode.WRITE: _write,
    OpCode.FSYNC: _fsync,
    OpCode.FDSYNC: _fdsync,
    OpCode.NOOP: _noop,
}


class Pool:
    """Worker threads, started on demand."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._work: SimpleQueue[tuple[Context, Operation] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closed = False

    def put(self, work: tuple[Context, Operation]) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool of the context is closed")
            self._work.put(work)
            if len(self._threads) < self._size and self._work.qsize() > 0:
                self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=_work_loop, args=(self._work,), name="caio-worker", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if not self._threads:
                self._work.get_nowait()
                raise
            return  # The threads that exist do the work.
        self._threads.append(thread)

    def close(self) -> None:
        """Accepts no more work. The threads end after what is queued."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._work.put(None)

    def join(self) -> None:
        """Waits for the threads to end."""
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()


def _work_loop(work: SimpleQueue[tuple[Context, Operation] | None]) -> None:
    while (item := work.get()) is not None:
        _do(*item)
        item = None  # Else the thread would keep the context until its next work.


def _do(context: Context, operation: Operation) -> None:
    result = operation._run()
    context._completed()
    callback = operation._callback
    if callback is None:
        return
    try:
        callback(result)
    except BaseException as error:
        thread = threading.current_thread()
        args = SimpleNamespace(exc_type=type(error), exc_value=error, exc_traceback=error.__traceback__, thread=thread)
        threading.excepthook(args)  # type: ignore[arg-type]


class Context(AbstractContext):
    """Operations by threads of pure Python (implementation "python")."""

    MAX_POOL_SIZE: ClassVar[int] = 128

    def __init__(self, max_requests: int = 32, pool_size: int = 8) -> None:
        if not 0 < pool_size < self.MAX_POOL_SIZE:
            raise ValueError(f"pool_size ({pool_size}) must be between 1 and {self.MAX_POOL_SIZE - 1}")
        if max_requests <= 0:
            raise ValueError(f"max_requests ({max_requests}) must be above 0")
        self._max_requests = max_requests
        self._in_progress = 0
        self._lock = threading.Lock()
        self.pool = Pool(pool_size)

    @property
    def max_requests(self) -> int:
        return self._max_requests

    def submit(self, *aio_operations: Operation) -> int:  # type: ignore[override]
        for operation in aio_operations:
            if not isinstance(operation, Operation):
                raise ValueError(f"{operation!r} is not a caio.python_aio.Operation")
        return sum(self._submit(operation) for operation in aio_operations)

    def _submit(self, operation: Operation) -> bool:
        """False if the operation was submitted before."""
        if not operation._claim.acquire(blocking=False):
            return False
        try:
            self._begin()
            try:
                self.pool.put((self, operation))
            except BaseException:
                self._completed()
                raise
        except BaseException:
            operation._claim.release()
            raise
        return True

    def _begin(self) -> None:
        with self._lock:
            if self._in_progress >= self._max_requests:
                raise RuntimeError(f"{self._max_requests} operations are in flight, the maximum")
            self._in_progress += 1

    def _completed(self) -> None:
        with self._lock:
            self._in_progress -= 1

    def cancel(self, *aio_operations: Operation) -> int:  # type: ignore[override]
        """Does nothing: a running operation is not cancelled. Always 0."""
        return 0

    def close(self) -> None:
        """Accepts no more operations. Those in flight go on."""
        self.pool.close()

    def __del__(self) -> None:
        pool = getattr(self, "pool", None)
        if pool is not None:
            pool.close()
