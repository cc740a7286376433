"""A limit for all of a request: connection, handshake, headers and answer together.

The timeouts of sockets begin anew with every byte, so whoever sends one every few seconds holds a
connection open for as long as they like. Here a timer ends the connection itself. Looking up a
name has no connection to end: that is left behind (`within`).
"""

import queue
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

import requests
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_here = threading.local()
T = TypeVar("T")


class TookTooLong(Exception):
    """What was asked for did not come in time."""


def within(seconds: float, work: Callable[[], T]) -> T:
    """What `work` returns or raises, done in a thread of its own; raises TookTooLong after so long.

    What is not done by then goes on by itself and concerns nobody: for work that ends some time.
    """
    done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:
            done.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = done.get(timeout=seconds)
    except queue.Empty:
        raise TookTooLong from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


class Deadline:
    """Within it, whatever this thread connects by a `watched` session ends after `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.has_passed = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._around: Deadline | None = None
        self._timer = threading.Timer(max(0.0, seconds), self._cut)
        self._timer.daemon = True

    def __enter__(self) -> "Deadline":
        self._around = getattr(_here, "deadline", None)
        _here.deadline = self
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None
    ) -> None:
        _here.deadline = self._around
        self._timer.cancel()
        with self._lock:
            for each in self._sockets:
                each.close()
            self._sockets = []

    def watch(self, connected: socket.socket) -> None:
        """A copy of it, since TLS takes the socket itself over; they end together."""
        with self._lock:
            self._sockets.append(connected.dup())
            if self.has_passed:
                self._end()

    def _cut(self) -> None:
        with self._lock:
            self.has_passed = True
            self._end()

    def _end(self) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def watched(session: requests.Session) -> requests.Session:
    """The session, with connections that a Deadline can end."""
    for adapter in session.adapters.values():
        adapter.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}  # type: ignore[attr-defined]
    return session


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _noted(super()._new_conn())


class _SecureConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _noted(super()._new_conn())


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def _noted(connected: socket.socket) -> socket.socket:
    deadline: Deadline | None = getattr(_here, "deadline", None)
    if deadline is not None:
        deadline.watch(connected)
    return connected
