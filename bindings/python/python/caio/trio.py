"""Operations on files for trio, on the low level of the preferred implementation."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import trio

from . import preferred

__all__ = ["TrioContext"]


class TrioContext:
    """``async with TrioContext() as context: data = await context.read(nbytes, fd, offset)``.

    The arguments are those of the preferred implementation's Context. When a task is cancelled, it waits
    for its operation in a shield, as memory and descriptor stay in use. It cancels one on a pipe or socket first.
    """

    def __init__(self, max_requests: int = 512, **kwargs: Any) -> None:
        self._context: Any = preferred.Context(max_requests=max_requests, **kwargs)
        self._limit = trio.CapacityLimiter(max_requests)
        self._scope = trio.CancelScope()
        self._in_flight = 0
        self._closed = False
        self._token: trio.lowlevel.TrioToken | None = None

    async def __aenter__(self) -> TrioContext:
        self._token = trio.lowlevel.current_trio_token()
        if hasattr(self._context, "process_events"):
            trio.lowlevel.spawn_system_task(self._watch, name="caio")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._closed = True
        self._stop_if_idle()

    def _stop_if_idle(self) -> None:
        """Tasks outside the ``async with`` may still wait for operations, whose completions `_watch` handles."""
        if self._closed and self._in_flight == 0:
            self._scope.cancel()

    async def _watch(self) -> None:
        with self._scope:
            while True:
                await trio.lowlevel.wait_readable(self._context.fileno)
                self._context.process_events()

    async def submit(self, operation: Any) -> Any:
        """Performs an operation of the preferred implementation; returns its value."""
        if self._token is None:
            raise RuntimeError("use the context in an `async with`")
        if self._closed:
            raise RuntimeError("the context is closed")
        token, done = self._token, trio.Event()

        def complete(_result: Any) -> None:
            if trio.lowlevel.in_trio_run():
                done.set()
            else:
                token.run_sync_soon(done.set)

        operation.set_callback(complete)
        self._in_flight += 1
        try:
            async with self._limit:
                self._start(operation)
                await self._wait(operation, done)
        finally:
            self._in_flight -= 1
            self._stop_if_idle()
        return operation.get_value()

    def _start(self, operation: Any) -> None:
        self._context.submit(operation)
        if hasattr(self._context, "flush"):
            self._context.flush()

    async def _wait(self, operation: Any, done: trio.Event) -> None:
        try:
            await done.wait()
        except trio.Cancelled:
            self._cancel(operation)
            with trio.CancelScope(shield=True):
                await done.wait()
            raise

    def _cancel(self, operation: Any) -> None:
        try:
            self._context.cancel(operation)
        except ValueError:
            pass  # It is complete already.

    async def read(self, nbytes: int, fd: int, offset: int, priority: int = 0) -> bytes:
        """Reads up to ``nbytes`` bytes at ``offset``."""
        data: bytes = await self.submit(preferred.Operation.read(nbytes, fd, offset, priority))
        return data

    async def write(self, payload: bytes, fd: int, offset: int, priority: int = 0) -> int:
        """Writes ``payload`` at ``offset``; returns how many bytes that were."""
        written: int = await self.submit(preferred.Operation.write(payload, fd, offset, priority))
        return written

    async def fsync(self, fd: int) -> None:
        """fsync(2)."""
        await self.submit(preferred.Operation.fsync(fd))

    async def fdsync(self, fd: int) -> None:
        """fdatasync(2)."""
        await self.submit(preferred.Operation.fdsync(fd))
