"""A limit for all of a request: connection, handshake, headers and answer together.

The timeouts of sockets begin anew with every byte, so whoever sends one every few seconds holds a
connection open for as long as they like. Here a timer ends the connection itself. Looking up a
name has the resolver's own limits.
"""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any

import requests
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_here = threading.local()


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
