"""A client that costs little beside the server: raw keep-alive sockets, one thread each."""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


def milliseconds(seconds: Sequence[float], share: float) -> float:
    """Milliseconds within which this share of them came."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


@dataclass
class Figures:
    """What one run gave: seconds per answer, statuses, and how long it all took."""

    took: float = 0.0
    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.took

    def percentile(self, share: float) -> float:
        """Milliseconds within which this share of the answers came."""
        return milliseconds(self.seconds, share)


class Connection:
    """One keep-alive connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self.socket = socket.create_connection((parts.hostname or "", parts.port or 80), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.left = b""

    def post(self, path: str, body: bytes, headers: str) -> int:
        """Send a POST and read its whole answer; returns the status."""
        self.socket.sendall(
            f"POST {path} HTTP/1.1\r\nHost: {self.host}\r\n{headers}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        return self._answer()

    def get(self, path: str, headers: str = "") -> int:
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\n{headers}\r\n".encode())
        return self._answer()

    def _answer(self) -> int:
        data = self.left
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        head = data[:end].lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        while len(data) < end + 4 + length:
            data += self._more()
        self.left = data[end + 4 + length :]
        return int(head[9:12])

    def _more(self) -> bytes:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data


Request = tuple[str, bytes, str]


def hammer(url: str, *, clients: int, count: int, request: Callable[[int], Request]) -> Figures:
    """Send requests number 0 to count-1 from `clients` connections, each waiting for its answer."""
    numbers = _shared(count)
    figures = Figures()
    guard = threading.Lock()
    gate = threading.Barrier(clients + 1)

    def work() -> None:
        connection = Connection(url)
        mine: list[tuple[int, float]] = []
        gate.wait()
        for number in numbers:
            path, body, headers = request(number)
            started = time.perf_counter()
            status = connection.post(path, body, headers)
            mine.append((status, time.perf_counter() - started))
        with guard:
            figures.seconds += [seconds for _, seconds in mine]
            figures.statuses.update(status for status, _ in mine)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    gate.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    figures.took = time.perf_counter() - started
    return figures


def _shared(count: int) -> Iterator[int]:
    """Numbers that each of many threads may take from (next() of a range iterator is atomic)."""
    return iter(range(count))


def body(value: Any) -> bytes:
    return json.dumps(value).encode()
