"""What stands before Radicale in tests: hands on, misbehaves, and knows bearer tokens."""

import base64
import http.client
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from threading import Event

from tests.support.oauth import OAuth


@dataclass
class Front:
    """How it behaves just now. `asked` is every (method, path) that came, in order."""

    behind: int
    oauth: OAuth
    port: int = 0
    status: int = 0
    lose: set[str] = field(default_factory=set)
    let_go: Event = field(default_factory=Event)
    hanging: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)

    def behave(self) -> None:
        self.status, self.hanging, self.lose = 0, False, set()
        self.let_go.set()
        self.asked.clear()

    def fail(self, status: int = 500) -> None:
        """Answer everything with that status; nothing reaches the server."""
        self.status = status

    def hang(self) -> None:
        """Take requests and answer nothing, until `behave`; nothing reaches the server."""
        self.let_go = Event()
        self.hanging = True

    def lose_answers(self, *methods: str) -> None:
        """Do what is asked, and break off instead of saying so."""
        self.lose = set(methods)

    def methods(self) -> list[str]:
        return [method for method, _ in self.asked]


class Handler(BaseHTTPRequestHandler):
    """Every method alike: `front` is set by who makes the server."""

    front: Front
    protocol_version = "HTTP/1.1"

    def __getattr__(self, name: str) -> object:
        if name.startswith("do_"):
            return self._handle
        raise AttributeError(name)

    def log_message(self, *args: object) -> None:
        pass

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.front.asked.append((self.command, self.path))
        if self.front.hanging:
            self.front.let_go.wait(60)
            self.close_connection = True
        elif self.front.status:
            self._say(self.front.status, {}, b"broken")
        elif self.path.startswith("/oauth/"):
            answer = self.front.oauth.answer(self.command, self.path, body)
            self._say(answer.status, answer.headers, answer.body)
        else:
            self._hand_on(body)

    def _hand_on(self, body: bytes) -> None:
        headers = {name: value for name, value in self.headers.items() if name != "Connection"}
        given = headers.get("Authorization", "")
        if given.startswith("Bearer "):
            user = self.front.oauth.bearer(given.removeprefix("Bearer "), time.time())
            if user is None:
                self._say(401, {"WWW-Authenticate": "Bearer"}, b"")
                return
            pair = base64.b64encode(f"{user.name}:{user.password}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        self._ask(body, headers)

    def _ask(self, body: bytes, headers: dict[str, str]) -> None:
        http_to_it = http.client.HTTPConnection("127.0.0.1", self.front.behind, timeout=30)
        try:
            http_to_it.request(self.command, self.path, body=body or None, headers=headers)
            answer = http_to_it.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.close_connection = True
            return
        finally:
            http_to_it.close()
        if self.command in self.front.lose:
            self.close_connection = True
            return
        skipped = {"connection", "content-length", "transfer-encoding", "server", "date"}
        kept = {k: v for k, v in answer.getheaders() if k.lower() not in skipped}
        self._say(answer.status, kept, content)

    def _say(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(content)
