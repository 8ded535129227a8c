"""Implementation "python" for asyncio."""

from __future__ import annotations

from .asyncio_base import AsyncioContextBase
from .python_aio import Context, Operation

__all__ = ["AsyncioContext"]


class AsyncioContext(AsyncioContextBase):
    __doc__ = AsyncioContextBase.__doc__

    CONTEXT_CLASS = Context
    OPERATION_CLASS = Operation
