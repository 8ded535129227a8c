"""pread(2) and pwrite(2), also where the system has neither."""

from __future__ import annotations

import os
import threading

__all__ = ["pread", "pwrite"]

#: Held while the current position of a file is changed.
_lock = threading.Lock()


def _pread(fd: int, count: int, offset: int) -> bytes:
    with _lock:
        before = os.lseek(fd, 0, os.SEEK_CUR)
        try:
            os.lseek(fd, offset, os.SEEK_SET)
            return os.read(fd, count)
        finally:
            os.lseek(fd, before, os.SEEK_SET)


def _pwrite(fd: int, data: bytes, offset: int) -> int:
    with _lock:
        before = os.lseek(fd, 0, os.SEEK_CUR)
        try:
            os.lseek(fd, offset, os.SEEK_SET)
            return os.write(fd, data)
        finally:
            os.lseek(fd, before, os.SEEK_SET)


pread = getattr(os, "pread", _pread)
pwrite = getattr(os, "pwrite", _pwrite)
