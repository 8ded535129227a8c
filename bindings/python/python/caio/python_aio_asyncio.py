"""Implementation "python" for asyncio."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, overload

from ._thread_files import ThreadFileMethods
from .asyncio_base import AsyncioContextBase
from .python_aio import Context, Operation

__all__ = ["AsyncioContext"]


class AsyncioContext(ThreadFileMethods, AsyncioContextBase):
    __doc__ = AsyncioContextBase.__doc__

    CONTEXT_CLASS = Context
    OPERATION_CLASS = Operation

    @overload
    def close(self, fd: None = None) -> None: ...
    @overload
    def close(self, fd: int) -> Coroutine[Any, Any, None]: ...
    def close(self, fd: int | None = None) -> Coroutine[Any, Any, None] | None:
        """Without an argument, closes the context. With a descriptor, returns a coroutine that closes it."""
        if fd is not None:
            return self._close_fd(fd)
        super(ThreadFileMethods, self).close()
        return None
