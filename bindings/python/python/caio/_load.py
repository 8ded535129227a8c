"""Loads the native part, or reports why an implementation that needs it is not available."""

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
    _register_hooks()


def _register_hooks() -> None:
    """Tells the native part's threads when the interpreter ends, and that a forked child does not have them."""
    global _hooks_registered
    if _hooks_registered:
        return
    _hooks_registered = True
    from . import _native

    atexit.register(_native._at_exit)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_native._after_fork)


_hooks_registered = False
