"""A real HTTP server for an ICS address, and calendars connected to it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bookings.calendars import reading
from bookings.models import Block, CalendarConnection, ConnectedResource, Resource


class Feed:
    """What the address answers: `body` with `etag`, or `status`; it may hang until `let_go`."""

    def __init__(self) -> None:
        self.body, self.etag, self.status, self.location = b"", "", 200, ""
        self.asked: list[dict[str, str]] = []
        self.answering = threading.Event()
        self.answering.set()
        self.url = ""

    def holds(self, *events: str) -> None:
        """A calendar with these events; its entity tag changes with it."""
        framed = "".join(f"BEGIN:VEVENT\r\n{each}\r\nEND:VEVENT\r\n" for each in events)
        head = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n"
        self.body = f"{head}{framed}END:VCALENDAR\r\n".encode()
        self.etag = f'"{abs(hash(self.body))}"'

    def busy(self, *windows: tuple[datetime, datetime]) -> None:
        self.holds(*(at(start, end) for start, end in windows))

    def hang(self) -> None:
        self.answering.clear()


def at(start: datetime, end: datetime, uid: str = "", more: str = "") -> str:
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    uid = uid or f"{start:%Y%m%dT%H%M}"
    lines = [f"UID:{uid}", f"DTSTART:{start:%Y%m%dT%H%M%SZ}", f"DTEND:{end:%Y%m%dT%H%M%SZ}", more]
    return "\r\n".join(line for line in lines if line)


@contextmanager
def serving() -> Iterator[Feed]:
    feed = Feed()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            feed.asked.append(dict(self.headers))
            feed.answering.wait(30)
            same = feed.etag and self.headers.get("If-None-Match") == feed.etag
            self.send_response(304 if same and feed.status == 200 else feed.status)
            if feed.etag:
                self.send_header("ETag", feed.etag)
            if feed.location:
                self.send_header("Location", feed.location)
            self.end_headers()
            if not same:
                self.wfile.write(feed.body)

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    feed.url = f"http://127.0.0.1:{http.server_port}/calendar.ics"
    try:
        yield feed
    finally:
        feed.answering.set()
        http.shutdown()
        http.server_close()


def connected(room: Resource, url: str, **options: Any) -> CalendarConnection:
    """An ICS address whose busy times block the room."""
    connection = CalendarConnection.objects.create(
        workspace=room.workspace, name="Ana's calendar", kind="ics", url=url, **options
    )
    ConnectedResource.objects.create(connection=connection, resource=room, reads=True, writes=False)
    return connection


def aged(connection: CalendarConnection, seconds: int = 3600) -> None:
    """As if it had been read so long ago, and may be read again."""
    CalendarConnection.objects.filter(pk=connection.pk).update(next_read_at=None)
    connection.refresh_from_db()
    if connection.read_at:
        connection.read_at -= timedelta(seconds=seconds)
        connection.save(update_fields=["read_at"])


def read(connection: CalendarConnection, **options: Any) -> bool:
    done = reading.read(connection.pk, **options)
    connection.refresh_from_db()
    return done


def blocks(room: Resource) -> list[tuple[datetime, datetime]]:
    mine = Block.objects.filter(resource=room, kind="calendar").order_by("during")
    return [(each.during.lower, each.during.upper) for each in mine]
