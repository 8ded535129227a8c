"""Operations on files by the event loop's threads, for the implementation without native code."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from ._files import FileMethods, PathLike, Record
from ._positioned import pread

_T = TypeVar("_T")

_PIECE = 1 << 20


class _Calls(FileMethods):
    async def _call(self, function: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
        return await self.loop.run_in_executor(None, partial(function, *args, **kwargs))


class OpenInThread(_Calls):
    async def open(
        self, path: PathLike, flags: int = os.O_RDONLY, mode: int = 0o666, *, dir_fd: int | None = None
    ) -> int:
        """Opens a file, as os.open(); returns the descriptor. If it is cancelled, no descriptor stays open."""
        opening = _Opening()
        try:
            return await self._call(opening.run, path, flags, mode, dir_fd)
        except asyncio.CancelledError:
            opening.give_up()
            raise

    async def _close_fd(self, fd: int) -> None:
        """Goes on when it is cancelled."""
        await asyncio.shield(self.loop.run_in_executor(None, os.close, fd))


class StatInThread(_Calls):
    async def stat(
        self, path: PathLike | int, *, dir_fd: int | None = None, follow_symlinks: bool = True
    ) -> os.stat_result:
        """Returns the os.stat_result of a path or a descriptor."""
        if isinstance(path, int):
            return await self._call(os.fstat, path)
        return await self._call(os.stat, path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)


class LinksInThread(_Calls):
    async def readlink(self, path: PathLike, *, dir_fd: int | None = None) -> str:
        """Returns what a symbolic link says."""
        return os.fsdecode(await self._call(os.readlink, path, dir_fd=dir_fd))


class SendInThread(_Calls):
    async def sendfile(self, sock: socket.socket | int, fd: int, offset: int = 0, count: int | None = None) -> int:
        """Sends a file, or ``count`` bytes of it, to a socket or a pipe; returns how many bytes were sent."""
        if hasattr(os, "sendfile") or isinstance(sock, int):
            return await super().sendfile(sock, fd, offset, count)
        sent = 0
        while count is None or sent < count:
            most = _PIECE if count is None else min(_PIECE, count - sent)
            data = await self._call(pread, fd, most, offset + sent)
            if not data:
                break
            if sock.gettimeout() == 0:
                await self.loop.sock_sendall(sock, data)
            else:
                await self._call(sock.sendall, data)
            sent += len(data)
        return sent


class ThreadFileMethods(OpenInThread, StatInThread, LinksInThread, SendInThread):
    """Each operation is a call of the module ``os`` in a thread."""

    async def rename(
        self, src: PathLike, dst: PathLike, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        """Renames a file; replaces another of the new name."""
        await self._call(os.replace, src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    async def unlink(self, path: PathLike, *, dir_fd: int | None = None) -> None:
        """Removes a file."""
        await self._call(os.unlink, path, dir_fd=dir_fd)

    async def rmdir(self, path: PathLike, *, dir_fd: int | None = None) -> None:
        """Removes an empty directory."""
        await self._call(os.rmdir, path, dir_fd=dir_fd)

    async def mkdir(self, path: PathLike, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        """Creates a directory."""
        await self._call(os.mkdir, path, mode, dir_fd=dir_fd)

    async def truncate(self, fd: int, size: int) -> None:
        """Changes the size of a file."""
        await self._call(os.ftruncate, fd, size)

    async def readinto(self, buffer: Any, fd: int, offset: int, priority: int = 0) -> int:
        """Reads into a writable buffer; returns how many bytes were read."""
        with memoryview(buffer) as given:
            if given.readonly or not given.c_contiguous:
                raise BufferError("the buffer is read-only, or has gaps")
        with memoryview(buffer).cast("B") as view:
            data: bytes = await self.read(len(view), fd, offset, priority)
            view[: len(data)] = data
        return len(data)

    async def _read_directory(self, path: PathLike) -> list[Record]:
        return await self._call(records, path)

    async def _copy_range(self, source: int, target: int, offset: int, count: int) -> int:
        return await self._call(copy, source, target, offset, count)

    async def _send_some(self, target: int, fd: int, offset: int, count: int) -> int:
        return await self._call(send, target, fd, offset, count)


class _Opening:
    """Opens a file in a thread, and closes it if nothing wants it any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fd: int | None = None
        self._wanted = True

    def run(self, path: PathLike, flags: int, mode: int, dir_fd: int | None) -> int:
        # Without O_BINARY, Windows changes the ends of lines.
        fd = os.open(path, flags | getattr(os, "O_BINARY", 0), mode, dir_fd=dir_fd)
        with self._lock:
            self._fd = fd
            if not self._wanted:
                os.close(fd)
        return fd

    def give_up(self) -> None:
        with self._lock:
            self._wanted = False
            if self._fd is not None:
                os.close(self._fd)


def records(path: PathLike) -> list[Record]:
    """The entries of a directory."""

    def kind(entry: os.DirEntry[Any]) -> int:
        return entry.stat(follow_symlinks=False).st_mode >> 12

    with os.scandir(path) as entries:
        return [(os.fsdecode(entry.name), entry.inode(), kind(entry)) for entry in entries]


def send(target: int, fd: int, offset: int, count: int) -> int:
    """Sends what fits."""
    if hasattr(os, "sendfile"):
        sent: int = os.sendfile(target, fd, offset, count)
        return sent
    return os.write(target, pread(fd, min(count, _PIECE), offset))


def copy(source: int, target: int, offset: int, count: int) -> int:
    """Copies to the current position of the target."""
    data = memoryview(pread(source, min(count, _PIECE), offset))
    copied = 0
    while copied < len(data):
        copied += os.write(target, data[copied:])
    return copied
