"""pread(2) and pwrite(2), also where the system has neither."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["pread", "pwrite"]

#: Held while the current position of a file is changed.
_lock = threading.Lock()


@contextmanager
def _at(fd: int, offset: int) -> Iterator[None]:
    with _lock:
        before = os.lseek(fd, 0, os.SEEK_CUR)
        try:
            os.lseek(fd, offset, os.SEEK_SET)
            yield
        finally:
            os.lseek(fd, before, os.SEEK_SET)


def _pread(fd: int, count: int, offset: int) -> bytes:
    with _at(fd, offset):
        return os.read(fd, count)


def _pwrite(fd: int, data: bytes, offset: int) -> int:
    with _at(fd, offset):
        return os.write(fd, data)


pread = getattr(os, "pread", _pread)
pwrite = getattr(os, "pwrite", _pwrite)
