"""Whole files and directories, made of the operations that each implementation has."""

from __future__ import annotations

import abc
import asyncio
import os
import selectors
import shutil
import socket
import stat
import sys
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from ._errors import BadDescriptorError, OperationError

PathLike = str | bytes | os.PathLike[str] | os.PathLike[bytes]
#: Name, inode and type (DT_*) of an entry.
Record = tuple[str, int, int]

#: How many bytes one call copies or sends at most.
_PIECE = 1 << 30
_UNKNOWN = 0


class DirEntry(NamedTuple):
    """An entry of a directory. Symbolic links are not followed."""

    name: Any
    path: Any
    inode: int
    #: DT_* of readdir(3).
    type: int

    def __fspath__(self) -> Any:
        return self.path

    def is_dir(self) -> bool:
        return self.type == stat.S_IFDIR >> 12

    def is_file(self) -> bool:
        return self.type == stat.S_IFREG >> 12

    def is_symlink(self) -> bool:
        return self.type == stat.S_IFLNK >> 12


class FileMethods(abc.ABC):
    """Files and directories by their paths."""

    loop: asyncio.AbstractEventLoop
    # Each implementation has these.
    read: Any
    write: Any
    fsync: Any
    open: Any
    close: Any
    stat: Any
    rename: Any
    unlink: Any
    truncate: Any

    @abc.abstractmethod
    def _read_directory(self, path: PathLike) -> Awaitable[list[Record]]: ...

    @abc.abstractmethod
    def _copy_range(self, source: int, target: int, offset: int, count: int) -> Awaitable[int]: ...

    @abc.abstractmethod
    def _send_some(self, target: int, fd: int, offset: int, count: int) -> Awaitable[int]: ...

    async def read_file(self, path: PathLike) -> bytes:
        """Returns the content of a file."""
        with _named(path):
            return await self._read_file(path)

    async def _read_file(self, path: PathLike) -> bytes:
        fd = await self.open(path)
        try:
            size = (await self.stat(fd)).st_size
            pieces = [await self.read(size + 1, fd, 0)]
            offset = len(pieces[0])
            while pieces[-1] and offset != size:
                pieces.append(await self.read(max(offset, 1 << 16), fd, offset))
                offset += len(pieces[-1])
        finally:
            await self.close(fd)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def write_file(self, path: PathLike, data: Any, sync: bool = True, *, mode: int = 0o666) -> None:
        """Replaces a file, or creates it: at each moment it has the whole old or the whole new content.

        With ``sync``, this holds after a crash of the system too. The new file has ``mode``, less the umask. If the
        path is a symbolic link, the new file replaces the link.
        """
        name: Any = os.fspath(path)
        with _named(path):
            await self._replace_file(name, _temporary(name), bytes(data), sync, mode)

    async def _replace_file(self, path: Any, temporary: Any, data: bytes, sync: bool, mode: int) -> None:
        fd = await self._create(temporary, mode)
        try:
            try:
                await self._write_all(fd, data)
                if sync:
                    await self.fsync(fd)
            finally:
                await self.close(fd)
            await self.rename(temporary, path)
        except BaseException:
            with suppress(FileNotFoundError):
                await self.unlink(temporary)
            raise
        if sync:
            await self._sync_directory(_folder(path))

    async def _create(self, path: str | bytes, mode: int) -> int:
        """Creates a file. If it is cancelled, no file stays."""
        opening = asyncio.ensure_future(self.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            await asyncio.wait([opening])
            if opening.exception() is None:
                await self.close(opening.result())
                await self.unlink(path)
            raise

    async def _write_all(self, fd: int, data: bytes) -> None:
        offset = 0
        while offset < len(data):
            offset += await self.write(data[offset:] if offset else data, fd, offset)

    async def _sync_directory(self, path: str | bytes) -> None:
        if sys.platform == "win32":
            return  # A directory cannot be opened.
        fd = await self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            await self.fsync(fd)
        finally:
            await self.close(fd)

    async def listdir(self, path: PathLike = ".") -> list[Any]:
        """Returns the names in a directory, without ``.`` and ``..``."""
        name: Any = os.fspath(path)
        names = [record[0] for record in await self._read_directory(name)]
        return [os.fsencode(each) for each in names] if isinstance(name, bytes) else names

    async def scandir(self, path: PathLike = ".") -> list[DirEntry]:
        """Returns the entries of a directory, with their types."""
        folder: Any = os.fspath(path)
        entries = []
        for name, inode, kind in await self._read_directory(folder):
            own = os.fsencode(name) if isinstance(folder, bytes) else name
            full = os.path.join(folder, own)
            known = kind if kind != _UNKNOWN else (await self.stat(full, follow_symlinks=False)).st_mode >> 12
            entries.append(DirEntry(own, full, inode, known))
        return entries

    async def copy_file(self, src: PathLike, dst: PathLike) -> int:
        """Copies the content of a file; returns its length. A new file gets the permissions of the old one.

        The kernel copies if it can, or shares the blocks on file systems that support this.
        """
        source = await self.open(src)
        try:
            old = await self.stat(source)
            target = await self.open(dst, os.O_WRONLY | os.O_CREAT, stat.S_IMODE(old.st_mode))
            try:
                if os.path.samestat(old, await self.stat(target)):
                    raise shutil.SameFileError(f"{src!r} and {dst!r} are the same file")
                await self.truncate(target, 0)
                offset = 0
                while copied := await self._copy_range(source, target, offset, _PIECE):
                    offset += copied
                return offset
            finally:
                await self.close(target)
        finally:
            await self.close(source)

    async def sendfile(self, sock: socket.socket | int, fd: int, offset: int = 0, count: int | None = None) -> int:
        """Sends a file, or ``count`` bytes of it, to a socket or a pipe; returns how many bytes were sent."""
        target = sock if isinstance(sock, int) else sock.fileno()
        sent = 0
        while count is None or sent < count:
            most = _PIECE if count is None else min(_PIECE, count - sent)
            try:
                moved = await self._send_some(target, fd, offset + sent, most)
            except BlockingIOError:
                await self._writable(target)
                continue
            if moved == 0:
                break
            sent += moved
        return sent

    async def _writable(self, fd: int) -> None:
        ready = asyncio.Event()
        try:
            self.loop.add_writer(fd, ready.set)
        except NotImplementedError:
            await self.loop.run_in_executor(None, _wait_to_write, fd)
            return
        try:
            await ready.wait()
        finally:
            self.loop.remove_writer(fd)


def _wait_to_write(fd: int) -> None:
    """Waits at most a second: the thread cannot be cancelled."""
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_WRITE)
        selector.select(1)


@contextmanager
def _named(path: PathLike) -> Iterator[None]:
    """Turns the failure of a read, a write or a sync into the exception of the module ``os``, with the file's name."""
    try:
        yield
    except (OperationError, BadDescriptorError) as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


def _folder(path: Any) -> Any:
    return os.path.dirname(path) or (b"." if isinstance(path, bytes) else ".")


def _temporary(path: Any) -> Any:
    """A new name in the same directory."""
    suffix = f".{os.urandom(6).hex()}.tmp"
    if isinstance(path, bytes):
        return path + suffix.encode()
    return path + suffix
