"""Operations as coroutines, for implementations whose callbacks run in another thread."""

from __future__ import annotations

import abc
import asyncio
import weakref
from collections import deque
from collections.abc import Coroutine
from functools import partial
from types import TracebackType
from typing import Any, ClassVar

from .abstract import AbstractContext, AbstractOperation

ContextType = type[AbstractContext]
OperationType = type[AbstractOperation]


class AsyncioContextBase(abc.ABC):
    """Operations on files for one event loop.

    ``max_requests`` and ``loop`` have defaults, even when they are 0 or None. Other arguments go to the context.
    ``deferred`` is accepted for compatibility, and has no effect here.
    """

    MAX_REQUESTS_DEFAULT: ClassVar[int] = 512
    CONTEXT_CLASS: ClassVar[Any]
    OPERATION_CLASS: ClassVar[Any]

    loop: asyncio.AbstractEventLoop
    context: Any
    semaphore: asyncio.BoundedSemaphore
    deferred: bool

    def __init__(
        self,
        max_requests: int | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        deferred: bool = False,
        **kwargs: Any,
    ) -> None:
        self.loop = loop or _current_loop()
        self.deferred = deferred
        limit = max_requests or self.MAX_REQUESTS_DEFAULT
        self.semaphore = asyncio.BoundedSemaphore(limit)
        self._complete: deque[asyncio.Future[None]] = deque()
        self._scheduled = False
        self.context = self._create_context(limit, **kwargs)

    def _create_context(self, max_requests: int, **kwargs: Any) -> Any:
        return self.CONTEXT_CLASS(max_requests=max_requests, **kwargs)

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Accepts no more operations. Those in flight go on."""
        close = getattr(self.context, "close", None)
        if close is not None:
            close()

    async def submit(self, op: Any) -> Any:
        """Performs an operation; returns its value."""
        if not isinstance(op, self.OPERATION_CLASS):
            raise ValueError(f"{op!r} is not a {self.OPERATION_CLASS.__module__}.Operation")
        await self.semaphore.acquire()
        future = self.loop.create_future()
        op.set_callback(partial(self._on_complete, future))
        try:
            if self.context.submit(op) != 1:
                raise RuntimeError(f"{op!r} was submitted before")
        except BaseException:
            self.semaphore.release()
            raise
        await future
        return op.get_value()

    def _on_complete(self, future: asyncio.Future[None], _result: Any) -> None:
        """Called in any thread. One callback of the loop wakes all tasks whose operations are complete by then."""
        self._complete.append(future)
        if not self._scheduled:
            self._scheduled = True
            try:
                # Weak, as the loop may never run again.
                self.loop.call_soon_threadsafe(_wake, weakref.ref(self))
            except RuntimeError:
                self._complete.clear()  # The loop is closed: no task waits.

    def _wake(self) -> None:
        # Cleared first: a future that is appended after the loop below schedules another call.
        self._scheduled = False
        while self._complete:
            future = self._complete.popleft()
            self.semaphore.release()
            if not future.done():
                future.set_result(None)

    def read(self, nbytes: int, fd: int, offset: int, priority: int = 0) -> Coroutine[Any, Any, bytes]:
        """Reads up to ``nbytes`` bytes at ``offset``."""
        return self.submit(self.OPERATION_CLASS.read(nbytes, fd, offset, priority))

    def write(self, payload: bytes, fd: int, offset: int, priority: int = 0) -> Coroutine[Any, Any, int]:
        """Writes ``payload`` at ``offset``; returns how many bytes were written."""
        return self.submit(self.OPERATION_CLASS.write(payload, fd, offset, priority))

    def fsync(self, fd: int) -> Coroutine[Any, Any, None]:
        """fsync(2)."""
        return self.submit(self.OPERATION_CLASS.fsync(fd))

    def fdsync(self, fd: int) -> Coroutine[Any, Any, None]:
        """fdatasync(2)."""
        return self.submit(self.OPERATION_CLASS.fdsync(fd))


def _wake(reference: weakref.ref[AsyncioContextBase]) -> None:
    context = reference()
    if context is not None:
        context._wake()


def _current_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.get_event_loop()
