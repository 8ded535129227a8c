"""Counters of a context, and what is available."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Probe", "Stats", "probe"]


@dataclass(frozen=True)
class Stats:
    """Counters since a context was created."""

    implementation: str
    #: Accepted, completion not collected yet.
    in_flight: int
    submitted: int
    completed: int
    cancelled: int
    #: Completed immediately, inside the submission.
    done_inline: int
    #: Completed by io_uring or kernel AIO.
    done_native: int
    #: Completed by a worker thread.
    done_worker: int
    #: Retried on another path.
    retried: int


class Probe(NamedTuple):
    """Whether an implementation is available now, and the reason."""

    available: bool
    reason: str


def probe() -> dict[str, Probe]:
    """Checks what is available now: each name that CAIO_IMPL accepts, and "auto", which AsyncioContext uses."""
    try:
        from . import _native
    except ImportError as error:
        missing = Probe(False, f"the package's native part cannot be loaded: {error}")
        found = dict.fromkeys(("auto", "uring", "linux", "thread"), missing)
    else:
        backends = {"auto": 0, "uring": 1, "linux": 2, "thread": 3}
        found = {name: Probe(*_native._probe(number)) for name, number in backends.items()}
    found["python"] = Probe(True, "pure Python works everywhere")
    return found
