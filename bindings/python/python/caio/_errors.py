"""The exceptions of the original's native implementations, which are also OSErrors with an errno."""

from __future__ import annotations

import errno as errnos

__all__ = ["BadDescriptorError", "ContextError", "OperationError", "OperationTimeoutError"]


class _WithErrno(OSError):
    """Its text is the system's, without the errno."""

    def __str__(self) -> str:
        return str(self.args[0])


class OperationError(SystemError, _WithErrno):
    """An operation failed with ``errno``."""


class OperationTimeoutError(OperationError, TimeoutError):
    """An operation's timeout expired."""


class BadDescriptorError(ValueError, _WithErrno):
    """linux_aio got a descriptor that is not open, or not open for the operation."""


class ContextError(SystemError, OSError):
    """A context cannot be created; ``errno`` has the reason."""


def failure(linux: bool, errno: int, text: str) -> Exception:
    """The exception of an operation that failed with ``errno``."""
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
    """The exception when a context cannot be created."""
    error = ContextError(errno, text)
    error.errno = errno
    error.strerror = text
    return error
