"""A subscriber: a real HTTP server that does by the path what a receiver may do.

The address says what it does: `/ok/…`, `/500/…`, `/410/…`, `/redirect/…`, `/drip/…`, `/close/…`,
`/large/…`, `/hang/…` until it is told to go on. What came is kept, in order.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest


@dataclass(frozen=True)
class Came:
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """Addresses of one test; `came` is what arrived at them."""

    root: str
    box: list[Came]
    name: str = field(default_factory=lambda: uuid4().hex[:8])
    _go_on: threading.Event = field(default_factory=threading.Event)
    _hangs: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def url(self, does: str, name: str = "") -> str:
        return f"{self.root}/{does}/{self.name}/{name}"

    def came(self, does: str = "", name: str = "") -> list[Came]:
        return [
            each
            for each in list(self.box)
            if f"/{self.name}/{name}" in each.path and each.path.startswith(f"/{does}")
        ]

    def hang(self) -> None:
        """In the server's thread: until the test lets it go on."""
        self._hangs.release()
        self._go_on.wait(30)

    def wait_until_one_hangs(self) -> None:
        assert self._hangs.acquire(timeout=30)

    def go_on(self) -> None:
        self._go_on.set()


class _Handler(BaseHTTPRequestHandler):
    box: list[Came] = []
    receivers: dict[str, Receiver] = {}

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        _Handler.box.append(Came(self.path, headers, body))
        _, does, name, *_ = self.path.split("/")
        getattr(self, f"_{does}", self._status)(_Handler.receivers[name])

    def _status(self, receiver: Receiver) -> None:
        self._answer(int(self.path.split("/")[1]))

    def _ok(self, receiver: Receiver) -> None:
        self._answer(200, b"thank you")

    def _redirect(self, receiver: Receiver) -> None:
        self._answer(307, headers={"Location": receiver.url("ok", "redirected")})

    def _busy(self, receiver: Receiver) -> None:
        self._answer(503, headers={"Retry-After": "1800"})

    def _large(self, receiver: Receiver) -> None:
        self._answer(200, b"x" * 200_000)

    def _odd(self, receiver: Receiver) -> None:
        self._answer(200, b"a\0b\xff")

    def _hang(self, receiver: Receiver) -> None:
        receiver.hang()
        self._answer(200)

    def _drip(self, receiver: Receiver) -> None:
        for _ in range(200):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n" if _ == 0 else b"x-drip: 1\r\n")
            self.wfile.flush()
            time.sleep(0.02)

    def _close(self, receiver: Receiver) -> None:
        self.close_connection = True

    def _answer(self, status: int, body: bytes = b"", headers: Any = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # whoever asked has gone
            super().handle()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="session")
def _receiving() -> Iterator[str]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    http.daemon_threads = True
    serving = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


@pytest.fixture
def receiver(_receiving: str) -> Iterator[Receiver]:
    """Addresses that only this test uses, of one server for the session."""
    made = Receiver(_receiving, _Handler.box)
    _Handler.receivers[made.name] = made
    yield made
    made.go_on()
