"""The asyncio side of the native implementations; the work is done in Rust."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from typing import Any, cast, overload

from ._files import FileMethods, PathLike, Record, _folder
from ._native import LoopContext, OperationCoroutine
from ._thread_files import LinksInThread, OpenInThread, SendInThread, StatInThread, copy, records, send
from .asyncio_base import AsyncioContextBase, _current_loop

#: Bytes of a file that its first chain reads at most. Most files are smaller.
_FIRST_READ = (64 << 10) + 1
#: Operations of the chain that replaces a file.
_LONGEST_CHAIN = 8
#: Bytes of a directory that one call reads.
_ENTRIES = 1 << 16


if sys.platform == "linux":

    class _SystemMethods: ...

elif sys.platform == "win32":

    class _SystemMethods(OpenInThread, StatInThread, LinksInThread, SendInThread):
        """Descriptors are those of the C runtime, which only the module ``os`` makes. Sockets are not descriptors."""

        @overload
        def close(self, fd: None = None) -> None: ...
        @overload
        def close(self, fd: int) -> Coroutine[Any, Any, None]: ...
        def close(self, fd: int | None = None) -> Coroutine[Any, Any, None] | None:
            """Without an argument, closes the context. With a descriptor, returns a coroutine that closes it."""
            return LoopContext.close(cast(Any, self)) if fd is None else self._close_fd(fd)

else:

    class _SystemMethods(StatInThread):
        """An os.stat_result of this system has more fields than the library's."""


class NativeAsyncioContext(_SystemMethods, LoopContext, FileMethods, AsyncioContextBase):  # type: ignore[misc]
    """Operations on files for one event loop.

    Cached reads complete immediately. A task that only makes cached reads still lets the loop run at least once in
    a millisecond. The context belongs to one loop and one process. With ``deferred``, the operations of one iteration
    of the loop are submitted together after it: on kernel AIO, and on io_uring without a submission thread.
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
        self._lists, self._copies, self._sends = self._abilities()
        self._has_room_for_chains: bool = self.context.max_requests >= _LONGEST_CHAIN

    @property
    def semaphore(self) -> asyncio.BoundedSemaphore:  # type: ignore[override]
        """How many more operations fit into ``max_requests``. Others queue by themselves; do not acquire it."""
        limit: int = self.context.max_requests
        view = asyncio.BoundedSemaphore(limit)
        view._value = max(0, limit - self._unfinished)
        return view

    async def read_file(self, path: PathLike) -> bytes:
        """Returns the content of a file."""
        if not self._has_room_for_chains:
            return await super().read_file(path)
        room = _FIRST_READ
        while len(data := await self._read_whole(path, room)) == room:
            room = max((await self.stat(path)).st_size, 4 * room) + 1
        return data

    async def _replace_file(self, path: Any, temporary: Any, data: bytes, sync: bool, mode: int) -> None:
        if self._has_room_for_chains:
            # A directory of Windows cannot be synced.
            folder = _folder(path) if sync and sys.platform != "win32" else None
            await self._replace_whole(path, temporary, data, sync, folder, mode)
        else:
            await super()._replace_file(path, temporary, data, sync, mode)

    async def _read_directory(self, path: PathLike) -> list[Record]:
        if not self._lists:
            return await self.loop.run_in_executor(None, records, path)
        if self._has_room_for_chains:
            all_of_it = await self._list_whole(path, _ENTRIES)
            if all_of_it is not None:
                return all_of_it
        fd = await self.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            found: list[Record] = []
            while more := await self._entries(fd, _ENTRIES):
                found += more
        finally:
            await self.close(fd)
        return found

    async def _send_some(self, target: int, fd: int, offset: int, count: int) -> int:
        if self._sends:
            return await self._send_natively(target, fd, offset, count)
        return await self.loop.run_in_executor(None, send, target, fd, offset, count)

    async def _copy_range(self, source: int, target: int, offset: int, count: int) -> int:
        if self._copies:
            return await self._copy_natively(source, target, offset, count)
        return await self.loop.run_in_executor(None, copy, source, target, offset, count)

    async def chain(self, *requests: Coroutine[Any, Any, Any]) -> list[Any]:
        """Performs operations of this context one after the other, without an iteration of the loop between them.

        Each starts only when the one before has succeeded in full (a short read or write has not). Returns
        the list of their values. If one fails, those after it are not performed, and its exception is raised. If one
        is short, those after it fail with an OperationError of errno ECANCELED.
        """
        members = [request for request in requests if isinstance(request, OperationCoroutine)]
        if len(members) != len(requests):
            raise ValueError("the members of a chain must be coroutines of this context's read(), write() and so on")
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
