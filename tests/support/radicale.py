"""A real CalDAV server for tests: Radicale, with a front before it that can misbehave.

`radicale.address` is the front's: what tests connect to. It hands everything on, unless it is told
to answer 500, to hang, to lose answers, or the server behind it is stopped. It also stands in for
Google's side of OAuth 2: `Authorization: Bearer` is mapped to a user, and tokens are had, refreshed
and revoked at `/oauth/…` (tests/support/oauth.py).
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote
from uuid import uuid4

import pytest
import requests
from icalendar import Calendar, Event

from config.embedded import ports
from config.embedded.run import Run
from tests.servers import servers
from tests.support.oauth import OAuth
from tests.support.radicale_front import Front, Handler

_MKCALENDAR = (
    '<?xml version="1.0"?><c:mkcalendar xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">'
    "<d:set><d:prop><d:displayname>{name}</d:displayname></d:prop></d:set></c:mkcalendar>"
)


@dataclass
class Found:
    """One event as it stands on the server."""

    href: str
    etag: str
    event: Event

    @property
    def uid(self) -> str:
        return str(self.event["uid"])

    @property
    def status(self) -> str:
        return str(self.event.get("status", ""))


@dataclass
class User:
    """Somebody with an account there, and what another client of theirs would do."""

    server: "Radicale"
    name: str
    password: str

    def calendar(self, name: str = "events") -> str:
        """Make a calendar; its address, past the front's misbehaviour only when it behaves."""
        path = f"/{self.name}/{name}/"
        answer = self.asked("MKCALENDAR", path, data=_MKCALENDAR.format(name=name).encode())
        assert answer.status_code == 201, answer.text
        return self.server.address + path

    def asked(self, method: str, path: str, **options: object) -> requests.Response:
        """A bare request to the server itself, beside the front. `path` may be an address."""
        path = path.removeprefix(self.server.address)
        return requests.request(
            method,
            self.server.behind + path,
            auth=(self.name, self.password),
            timeout=20,
            **options,  # type: ignore[arg-type]
        )

    def events(self, calendar: str) -> list[Found]:
        """Everything in that calendar, by start."""
        folder = self.server.stored(calendar)
        paths = [path for path in folder.iterdir() if path.suffix == ".ics"]
        found = [self.event(f"{calendar}{path.name}") for path in paths]
        present = [one for one in found if one is not None]
        return sorted(present, key=lambda one: str(one.event["dtstart"].dt))

    def event(self, href: str) -> Found | None:
        answer = self.asked("GET", href)
        if answer.status_code == 404:
            return None
        parsed = Calendar.from_ical(answer.content)
        (event,) = parsed.walk("VEVENT")[:1]
        assert isinstance(event, Event)
        return Found(href, answer.headers["ETag"], event)

    def put(self, href: str, ics: bytes | str) -> str:
        """Write a file as another client would; its new entity tag."""
        data = ics.encode() if isinstance(ics, str) else ics
        headers = {"Content-Type": "text/calendar; charset=utf-8"}
        answer = self.asked("PUT", href, data=data, headers=headers)
        assert answer.status_code in {201, 204}, answer.text
        return str(answer.headers.get("ETag", ""))

    def delete(self, href: str) -> None:
        assert self.asked("DELETE", href).status_code in {200, 204}


@dataclass
class Radicale:
    """The server process, which ends with the run, and the front before it."""

    run: Run
    folder: Path
    port: int
    front: Front
    oauth: OAuth
    process: subprocess.Popen[bytes] | None = None
    users: dict[str, User] = field(default_factory=dict)

    @property
    def behind(self) -> str:
        """The server itself: it can be stopped, and does not misbehave otherwise."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.front.port}"

    def user(self, name: str = "") -> User:
        """A new user with a password, known at once."""
        user = User(self, name or f"user-{uuid4().hex[:8]}", f"secret-{uuid4().hex}")
        self.users[user.name] = user
        lines = [f"{known.name}:{known.password}\n" for known in self.users.values()]
        (self.folder / "users").write_text("".join(lines))
        return user

    def stored(self, calendar: str) -> Path:
        """The folder in which the server keeps a calendar."""
        path = calendar.removeprefix(self.address).removeprefix(self.behind)
        path = unquote(path).strip("/")
        return self.folder / "collections" / "collection-root" / path

    # --- what goes wrong ------------------------------------------------------------------------

    def stop(self) -> None:
        """The server is gone: connections break off."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def start(self) -> None:
        """It is back, on the same port, with everything it had."""
        if self.process is not None:
            return
        self.process = subprocess.Popen(
            self.run.guarded(_command(self)), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=(self.folder / "log").open("ab"),
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while not _answers(self.behind):
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, "Radicale did not start"
            time.sleep(0.02)

    def heal(self) -> None:
        """The server runs and the front behaves."""
        self.front.behave()
        self.oauth.reset()
        self.start()


def _command(server: Radicale) -> list[str]:
    return [
        sys.executable, "-m", "radicale", "--config", "",
        "--server-hosts", f"127.0.0.1:{server.port}",
        "--server-max-connections", "50",
        "--storage-filesystem-folder", str(server.folder / "collections"),
        "--auth-type", "htpasswd",
        "--auth-htpasswd-filename", str(server.folder / "users"),
        "--auth-htpasswd-encryption", "plain",
        "--auth-delay", "0",
        "--web-type", "none",
        "--logging-level", "warning",
    ]  # fmt: skip


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).status_code < 500
    except requests.RequestException:
        return False


def _front(port: int) -> tuple[Front, OAuth, ThreadingHTTPServer]:
    oauth = OAuth()
    front = Front(behind=port, oauth=oauth)

    class Bound(Handler):
        pass

    Bound.front = front
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
    server.daemon_threads = True
    front.port = server.server_address[1]
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return front, oauth, server


@contextmanager
def serving(run: Run) -> Iterator[Radicale]:
    """A server and its front, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="surehold-radicale-"))
    (folder / "users").touch()
    port = ports.choose(None, frozenset())
    front, oauth, listening = _front(port)
    server = Radicale(run, folder, port, front, oauth)
    oauth.users = server.users
    try:
        server.start()
        yield server
    finally:
        listening.shutdown()
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def radicale_server() -> Iterator[Radicale]:
    """One server for the session; `radicale` is how tests have it."""
    with serving(servers().run) as server:
        yield server


@pytest.fixture
def radicale(radicale_server: Radicale) -> Iterator[Radicale]:
    """The server, running and behaving at the beginning of each test."""
    radicale_server.heal()
    yield radicale_server
    radicale_server.heal()
