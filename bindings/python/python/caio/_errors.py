"""Exceptions: those that the native implementations have always raised, which are OSErrors with an errno too."""

from __future__ import annotations

import errno as errnos

__all__ = ["BadDescriptorError", "ContextError", "OperationError", "OperationTimeoutError"]


class _WithErrno(OSError):
    """Its text is the system's, without the number."""

    def __str__(self) -> str:
        return str(self.args[0])


class OperationError(SystemError, _WithErrno):
    """An operation failed; ``errno`` says how."""


class OperationTimeoutError(OperationError, TimeoutError):
    """An operation's timeout stopped it."""


class BadDescriptorError(ValueError, _WithErrno):
    """linux_aio was given a descriptor that is not open, or not for what was asked."""


class ContextError(SystemError, OSError):
    """A context cannot be made; ``errno`` says why."""


def failure(linux: bool, errno: int, text: str) -> Exception:
    """The exception for an operation that ended with ``errno``."""
    error: _WithErrno
    if linux and errno == errnos.EBADF:
        error = BadDescriptorError(f"{text}: the operation's file descriptor is not open for it [EBADF]")
    elif errno == errnos.ETIMEDOUT:
        error = OperationTimeoutError(text)
    else:
        error = OperationError(text)
    error.errno = errno
    error.strerror = text
    return error


def no_context(errno: int, text: str) -> Exception:
    """The exception for a context that cannot be made."""
    error = ContextError(errno, text)
    error.errno = errno
    error.strerror = text
    return error
