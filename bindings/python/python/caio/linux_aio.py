"""Implementation "linux": operations through the kernel's AIO."""

from __future__ import annotations

from ._load import require

require("caio.linux_aio", 2)

from ._native import LinuxContext as Context  # noqa: E402
from ._native import LinuxOperation as Operation  # noqa: E402

__all__ = ["Context", "Operation"]
