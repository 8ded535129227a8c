"""A FUSE file system that holds each read, write and sync until the test releases it."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "tests" / "c" / "fuse_gate.c"
CANNOT_MOUNT = 77
WHAT = "files that hold their reads and writes"


def build(folder: Path) -> Path:
    """The program that serves it."""
    if not SOURCE.exists():
        pytest.skip(f"{WHAT} needs the repository, for {SOURCE.name}")
    if not shutil.which("cc"):
        pytest.skip(f"{WHAT} needs gcc")
    program = folder / "fuse_gate"
    subprocess.run(["cc", "-O1", "-o", program, SOURCE], check=True)
    return program


class Gate:
    """A mounted file system with a file `gated`."""

    def __init__(self, program: Path, folder: Path) -> None:
        folder.mkdir()
        self.file = folder / "gated"
        self.patience_lost = False
        self._server = subprocess.Popen([program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._report() != "ready\n":
            assert self._server.wait() == CANNOT_MOUNT
            pytest.skip(f"{WHAT} needs FUSE (/dev/fuse and the right to mount)")
        self._closing = threading.Event()
        self._watchdog = threading.Thread(target=self._watch)
        self._watchdog.start()

    def _report(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline()

    def _watch(self) -> None:
        """Ends a test that waits for the file instead of releasing it."""
        self._closing.wait(60)
        while not self._closing.wait(0.1):
            self.patience_lost = True
            self.go()

    def holds(self) -> None:
        """Waits until one more request is held."""
        assert self._report() == "held\n"

    def go(self) -> None:
        """Releases what is held now. Later requests are held."""
        assert self._server.stdin is not None
        self._server.stdin.write("go\n")
        self._server.stdin.flush()

    def refuse(self) -> None:
        """Fails what is held now with EOPNOTSUPP."""
        assert self._server.stdin is not None
        self._server.stdin.write("refuse\n")
        self._server.stdin.flush()

    def close(self) -> None:
        self._closing.set()
        self._watchdog.join()
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()
