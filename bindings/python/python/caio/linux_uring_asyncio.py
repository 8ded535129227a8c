"""Implementation "uring" for asyncio."""

from __future__ import annotations

from typing import Any

from ._native_asyncio import NativeAsyncioContext
from .linux_uring import SQPOLL_ALLOWED, Context, Operation

__all__ = ["AsyncioContext"]


class AsyncioContext(NativeAsyncioContext):
    __doc__ = NativeAsyncioContext.__doc__

    CONTEXT_CLASS = Context
    OPERATION_CLASS = Operation

    def _create_context(self, max_requests: int, **kwargs: Any) -> Context:
        kwargs.setdefault("sqpoll", SQPOLL_ALLOWED)
        return Context(max_requests=max_requests, **kwargs)
