"""Chooses the default implementation."""

from __future__ import annotations

import os
import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

#: The module of each name that CAIO_IMPL accepts.
NAMES = {"uring": "linux_uring", "linux": "linux_aio", "thread": "thread_aio", "python": "python_aio"}


def load(module: str) -> tuple[Any, Any]:
    """An implementation and its asyncio side; None if they are not available."""
    try:
        return import_module(f"caio.{module}"), import_module(f"caio.{module}_asyncio")
    except ImportError:
        return None, None


def choose(variants: tuple[ModuleType, ...], variants_asyncio: tuple[ModuleType, ...]) -> tuple[Any, Any, Any]:
    """The default implementation, its asyncio side, and the default AsyncioContext."""
    modules = {module.__name__: index for index, module in enumerate(variants)}
    available = {name: modules[f"caio.{module}"] for name, module in NAMES.items() if f"caio.{module}" in modules}
    named = _from_environment(tuple(available)) if os.environ.get("CAIO_IMPL") else _from_file(available)
    index = available[named] if named else 0
    preferred, preferred_asyncio = variants[index], variants_asyncio[index]
    if named or preferred.__name__ == "caio.python_aio":
        return preferred, preferred_asyncio, preferred_asyncio.AsyncioContext
    from ._auto import auto_class

    return preferred, preferred_asyncio, auto_class(preferred_asyncio)


def _from_environment(available: tuple[str, ...]) -> str | None:
    asked = os.environ["CAIO_IMPL"]
    if asked in available:
        return asked
    warnings.warn(
        f"CAIO_IMPL contains unsupported value {asked!r}. Use one of {available!r}", RuntimeWarning, stacklevel=4
    )
    return None


def _from_file(available: dict[str, int]) -> str | None:
    """The first line of the file that names an available implementation."""
    try:
        lines = Path(__file__).with_name("default_implementation").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    return next((name for name in map(str.strip, lines) if name in available), None)
