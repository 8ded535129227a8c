"""Waits for the events of a context where the loop has no ``add_reader``: asyncio's proactor loop, on Windows."""

from __future__ import annotations

import asyncio
import selectors
import socket
import threading
import weakref
from collections.abc import Callable
from typing import Any

Callback = Callable[[], object]


def start(loop: asyncio.AbstractEventLoop, pollable: int, callback: Callback) -> weakref.ref[Any]:
    """Has the loop call back whenever events are pending. Only the loop, or a thread, holds what it returns.

    ``pollable`` is the context's event of a proactor loop, else its descriptor.
    """
    proactor = getattr(loop, "_proactor", None)
    watcher = (
        _ThreadWatcher(loop, pollable, callback) if proactor is None else _HandleWatcher(proactor, pollable, callback)
    )
    return weakref.ref(watcher)


class _HandleWatcher:
    """Windows tells the proactor when the event is signalled, which it stays while completions are pending."""

    def __init__(self, proactor: Any, handle: int, callback: Callback) -> None:
        self._proactor = proactor
        self._handle = handle
        self._callback: Callback | None = callback
        self._wait()

    def _wait(self) -> None:
        self._waiting = self._proactor.wait_for_handle(self._handle)
        self._waiting.add_done_callback(self._signalled)

    def _signalled(self, waiting: asyncio.Future[bool]) -> None:
        if self._callback is None or waiting.cancelled():
            self._callback = None
            return
        try:
            self._callback()
        finally:
            # The callback may have called stop().
            if self._callback is not None:
                self._wait()

    def stop(self) -> None:
        self._callback = None
        self._waiting.cancel()


class _ThreadWatcher:
    """A thread waits for the descriptor, for loops that are neither."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int, callback: Callback) -> None:
        self._loop = loop
        self._fd = fd
        self._callback: Callback | None = callback
        self._here, self._there = socket.socketpair()
        threading.Thread(target=self._run, name="caio-watch", daemon=True).start()

    def _run(self) -> None:
        with self._there, selectors.DefaultSelector() as selector:
            selector.register(self._there, selectors.EVENT_READ)
            while self._wait(selector, self._fd) and self._ask_loop():
                # The descriptor stays readable until the loop has called back.
                if not self._wait(selector) or not self._there.recv(1):
                    break
        self._callback = None
        self._here.close()

    def _wait(self, selector: selectors.BaseSelector, fd: int | None = None) -> bool:
        """Waits for the loop or a descriptor; false if the loop is closed or needs no events.

        Closing the loop wakes no waiter.
        """
        if fd is not None:
            selector.register(fd, selectors.EVENT_READ)
        while not (ready := selector.select(1)):
            if self._loop.is_closed():
                return False
        if fd is None:
            return True
        selector.unregister(fd)
        return all(key.fd == fd for key, _ in ready)

    def _ask_loop(self) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._signalled)
        except RuntimeError:
            return False  # The loop is closed.
        return True

    def _signalled(self) -> None:
        if self._callback is None:
            return
        try:
            self._callback()
        finally:
            if self._callback is not None:
                self._here.send(b"1")

    def stop(self) -> None:
        self._callback = None
        self._here.close()
