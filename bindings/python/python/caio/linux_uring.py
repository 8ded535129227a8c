"""Implementation "uring": operations through io_uring."""

from __future__ import annotations

from ._load import require

require("caio.linux_uring", 1)

from ._native import UringContext as Context  # noqa: E402
from ._native import UringOperation as Operation  # noqa: E402
from ._native import _sqpoll_allowed  # noqa: E402

__all__ = ["SQPOLL_ALLOWED", "Context", "Operation"]

#: Whether the kernel gives this process a submission thread.
SQPOLL_ALLOWED: bool = _sqpoll_allowed()
