"""The interface of all low-level implementations."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any


class AbstractContext(abc.ABC):
    """Submits operations."""

    @property
    def max_requests(self) -> int:
        """How many operations may be in flight at the same time."""
        raise NotImplementedError

    def submit(self, *aio_operations: AbstractOperation) -> int:
        """Submits operations; returns how many were accepted."""
        raise NotImplementedError(aio_operations)

    def cancel(self, *aio_operations: AbstractOperation) -> int:
        """Cancels operations."""
        raise NotImplementedError(aio_operations)


class AbstractOperation(abc.ABC):
    """One read, write or sync, to be submitted once."""

    @classmethod
    @abc.abstractmethod
    def read(cls, nbytes: int, fd: int, offset: int, priority: int = 0) -> AbstractOperation:
        """Reads up to ``nbytes`` bytes at ``offset``."""

    @classmethod
    @abc.abstractmethod
    def write(cls, payload_bytes: bytes, fd: int, offset: int, priority: int = 0) -> AbstractOperation:
        """Writes ``payload_bytes`` at ``offset``."""

    @classmethod
    @abc.abstractmethod
    def fsync(cls, fd: int, priority: int = 0) -> AbstractOperation:
        """fsync(2)."""

    @classmethod
    @abc.abstractmethod
    def fdsync(cls, fd: int, priority: int = 0) -> AbstractOperation:
        """fdatasync(2)."""

    @abc.abstractmethod
    def get_value(self) -> bytes | int | None:
        """The bytes read, the number of bytes written, or None. Raises an exception if the operation failed."""

    @property
    @abc.abstractmethod
    def fileno(self) -> int:
        """The file descriptor."""

    @property
    @abc.abstractmethod
    def offset(self) -> int:
        """The position in the file."""

    @property
    @abc.abstractmethod
    def payload(self) -> bytes | memoryview | None:
        """The memory read into or written from."""

    @property
    @abc.abstractmethod
    def nbytes(self) -> int:
        """The number of bytes."""

    @abc.abstractmethod
    def set_callback(self, callback: Callable[[int], Any]) -> bool:
        """Calls ``callback`` with the number of bytes when the operation completes."""
