"""Implementation "thread": operations by native worker threads."""

from __future__ import annotations

from ._load import require

require("caio.thread_aio", 3)

from ._native import ThreadContext as Context  # noqa: E402
from ._native import ThreadOperation as Operation  # noqa: E402

__all__ = ["Context", "Operation"]
