"""The asyncio side of the native implementations; the work is done in Rust."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from ._native import LoopContext, OperationCoroutine
from .asyncio_base import AsyncioContextBase, _current_loop


class NativeAsyncioContext(LoopContext, AsyncioContextBase):
    """An event loop's way to operations on files.

    What the page cache has is returned at once; a task that lives on that still lets the loop run at least once in
    a millisecond. The context belongs to one loop and one process. With ``deferred``, what one turn of the loop asks
    for is submitted together after it, by io_uring without a submission thread and kernel AIO.
    """

    def __init__(
        self,
        max_requests: int | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        deferred: bool = False,
        **kwargs: Any,
    ) -> None:
        self.loop = loop or _current_loop()
        self.deferred = deferred
        self.context = self._create_context(max_requests or self.MAX_REQUESTS_DEFAULT, **kwargs)
        self._open(self.context, self.loop, bool(deferred))

    @property
    def semaphore(self) -> asyncio.BoundedSemaphore:  # type: ignore[override]
        """What is free of ``max_requests``. Requests wait by themselves; nobody needs to acquire it."""
        limit: int = self.context.max_requests
        view = asyncio.BoundedSemaphore(limit)
        view._value = max(0, limit - self._unfinished)
        return view

    async def chain(self, *requests: Coroutine[Any, Any, Any]) -> list[Any]:
        """Does requests of this context one after the other, without a trip to the loop between them.

        Each starts only when the one before has succeeded in full (a short read or write has not). The result is
        the list of their values. If one fails, those behind it are not done, and its exception is raised; one that
        was only short stops those behind it with an OperationError of errno ECANCELED.
        """
        members = [request for request in requests if isinstance(request, OperationCoroutine)]
        if len(members) != len(requests):
            raise ValueError("the members of a chain are what read(), write() and so on of this context return")
        if not members:
            return []
        self._start_chain(members)
        results: list[Any] = []
        failure: BaseException | None = None
        for member in members:
            try:
                results.append(await member)
            except Exception as error:
                failure = failure or error
            except BaseException:
                for other in members:
                    other.close()
                raise
        if failure is not None:
            raise failure
        return results
