"""What the implementations can tell about themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Probe", "Stats", "probe"]


@dataclass(frozen=True)
class Stats:
    """Counters since a context was made."""

    implementation: str
    #: Accepted, and not yet collected, now.
    in_flight: int
    submitted: int
    completed: int
    cancelled: int
    #: Finished at once, inside the submission.
    done_inline: int
    #: Finished by io_uring or kernel AIO.
    done_native: int
    #: Finished by a worker thread.
    done_worker: int
    #: Sent a second way after the first said that it cannot.
    retried: int


class Probe(NamedTuple):
    """Whether an implementation can be had at this moment, and why."""

    available: bool
    reason: str


def probe() -> dict[str, Probe]:
    """Asks the kernel what works now: for each name that CAIO_IMPL knows, and for "auto", which AsyncioContext uses."""
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
