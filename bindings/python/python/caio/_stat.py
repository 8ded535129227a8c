"""Status of files."""

from __future__ import annotations

import os

Time = tuple[int, int]


def stat_result(
    ids: tuple[int, int, int, int, int, int, int],
    times: tuple[Time, Time, Time],
    block_size: int,
    blocks: int,
    device: int,
) -> os.stat_result:
    """The os.stat_result of these fields. Each time is in seconds and nanoseconds."""
    more: dict[str, int | float] = {"st_blksize": block_size, "st_blocks": blocks, "st_rdev": device}
    for name, (seconds, nanoseconds) in zip(("st_atime", "st_mtime", "st_ctime"), times, strict=True):
        more[name] = seconds + 1e-9 * nanoseconds
        more[f"{name}_ns"] = seconds * 1_000_000_000 + nanoseconds
    return os.stat_result((*ids, *(seconds for seconds, _ in times)), more)
