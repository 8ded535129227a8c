"""Asynchronous file I/O for asyncio.

Most programs need ``AsyncioContext``. The implementations are the modules ``linux_uring``, ``linux_aio``,
``thread_aio`` and ``python_aio``, each with its ``..._asyncio``. One that is not available is None. To choose the
default, set the environment variable CAIO_IMPL (``uring``, ``linux``, ``thread``, ``python``), or write one of these
names into the file ``default_implementation`` in this package's folder. Without either, the best available is the
default.
"""

from __future__ import annotations

from ._choice import choose, load
from ._errors import BadDescriptorError, ContextError, OperationError, OperationTimeoutError
from ._files import DirEntry
from ._info import Probe, Stats, probe
from ._version import __author__, __version__
from .abstract import AbstractContext, AbstractOperation

linux_uring, linux_uring_asyncio = load("linux_uring")
linux_aio, linux_aio_asyncio = load("linux_aio")
thread_aio, thread_aio_asyncio = load("thread_aio")

from . import python_aio, python_aio_asyncio  # noqa: E402

variants = tuple(filter(None, (linux_uring, linux_aio, thread_aio, python_aio)))
variants_asyncio = tuple(filter(None, (linux_uring_asyncio, linux_aio_asyncio, thread_aio_asyncio, python_aio_asyncio)))

preferred, preferred_asyncio, AsyncioContext = choose(variants, variants_asyncio)
Context = preferred.Context
Operation = preferred.Operation

__all__ = [
    "AbstractContext",
    "AbstractOperation",
    "AsyncioContext",
    "BadDescriptorError",
    "Context",
    "ContextError",
    "DirEntry",
    "Operation",
    "OperationError",
    "OperationTimeoutError",
    "Probe",
    "Stats",
    "__author__",
    "__version__",
    "preferred",
    "preferred_asyncio",
    "probe",
    "variants",
    "variants_asyncio",
]
