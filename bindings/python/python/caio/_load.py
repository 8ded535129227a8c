"""Loads the native part, or says why an implementation that needs it cannot be had."""

from __future__ import annotations

import atexit
import os


def require(module: str, backend: int) -> None:
    """Raises ImportError unless libcaio's backend works."""
    try:
        from . import _native
    except ImportError as error:
        raise ImportError(f"{module} needs the package's native part, which cannot be loaded: {error}") from error
    available, reason = _native._probe(backend)
    if not available:
        raise ImportError(f"{module} is not available: {reason}")
    _look_after_threads()


def _look_after_threads() -> None:
    """Threads of the native part leave the interpreter alone when it ends, and are forgotten by a forked child."""
    global _looked_after
    if _looked_after:
        return
    _looked_after = True
    from . import _native

    atexit.register(_native._at_exit)
    os.register_at_fork(after_in_child=_native._after_fork)


_looked_after = False
