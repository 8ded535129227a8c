"""Implementation "linux" for asyncio."""

from __future__ import annotations

from ._native_asyncio import NativeAsyncioContext
from .linux_aio import Context, Operation

__all__ = ["AsyncioContext"]


class AsyncioContext(NativeAsyncioContext):
    __doc__ = NativeAsyncioContext.__doc__

    CONTEXT_CLASS = Context
    OPERATION_CLASS = Operation
