"""The CalDAV client: through our session, its errors two, bounded."""

import socketserver
import threading
import time

import pytest
from django.test import override_settings

from bookings.calendars import client
from bookings.models import CalendarConnection
from config.kernel.outbound import AddressRefused
from tests.support.radicale import Radicale

EVENT = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nBEGIN:VEVENT\r\nUID:{uid}\r\n"
    "DTSTAMP:20300101T000000Z\r\nDTSTART:20300101T090000Z\r\nDTEND:20300101T100000Z\r\n"
    "SUMMARY:Lunch\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


@pytest.fixture
def connection(radicale: Radicale) -> CalendarConnection:
    """Not in the database: the client needs no row."""
    user = radicale.user()
    return CalendarConnection(
        kind="caldav", name="Room", url=user.calendar(), username=user.name, password=user.password
    )


def test_opens_a_calendar(radicale: Radicale, connection: CalendarConnection) -> None:
    radicale.users[connection.username].put(connection.url + "a.ics", EVENT.format(uid="a"))
    with client.opened(connection) as calendar:
        (event,) = calendar.events()
        assert event.icalendar_component["uid"] == "a"


@pytest.mark.parametrize("status", [500, 503, 404, 302, 403])
def test_every_bad_answer_is_unavailable(
    radicale: Radicale, connection: CalendarConnection, status: int
) -> None:
    radicale.front.fail(status)
    with pytest.raises(client.CalendarUnavailable), client.opened(connection) as calendar:
        calendar.get_objects_by_sync_token(sync_token="")


def test_a_calendar_that_hangs_is_unavailable(
    radicale: Radicale, connection: CalendarConnection
) -> None:
    radicale.front.hang()
    with (
        pytest.raises(client.CalendarUnavailable, match="too long"),
        client.opened(connection, timeout_seconds=0.2) as calendar,
    ):
        calendar.events()


def test_a_wrong_password_needs_consent(
    radicale: Radicale, connection: CalendarConnection, db: None
) -> None:
    connection.password = "wrong"
    with pytest.raises(client.NeedsConsent), client.opened(connection) as calendar:
        calendar.events()


@override_settings(OUTBOUND_PRIVATE_ADDRESSES=False)
def test_private_addresses_and_plain_http_are_refused(connection: CalendarConnection) -> None:
    with pytest.raises(client.CalendarUnavailable), client.opened(connection) as calendar:
        calendar.events()
    connection.url = connection.url.replace("http://", "https://")
    with pytest.raises(AddressRefused), client.opened(connection) as calendar:
        calendar.events()


def test_a_large_answer_is_refused(
    connection: CalendarConnection, radicale: Radicale, monkeypatch: pytest.MonkeyPatch
) -> None:
    radicale.users[connection.username].put(connection.url + "a.ics", EVENT.format(uid="a"))
    monkeypatch.setattr(client, "MAX_BYTES", 100)
    with pytest.raises(client.CalendarUnavailable), client.opened(connection) as calendar:
        calendar.events()


def test_an_answer_whose_headers_drip_is_cut_off() -> None:
    """Every byte begins the socket's own timeout anew."""
    cut = threading.Event()

    class Drips(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(b"HTTP/1.1 207 Multi-Status\r\nX-Drip: ")
            try:
                for _ in range(200):
                    self.request.sendall(b"x")
                    time.sleep(0.05)
            except OSError:
                cut.set()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Drips) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        with (
            pytest.raises(client.CalendarUnavailable),
            client.at(url, client.Credentials(), within_seconds=0.3) as opened,
        ):
            opened.request(url, "PROPFIND")
        assert cut.wait(5)
        server.shutdown()


def test_what_was_kept_under_another_key_is_sent_to_nobody(
    radicale: Radicale, connection: CalendarConnection
) -> None:
    connection.password = "gAAAAABn" + "x" * 100
    radicale.front.asked.clear()
    with pytest.raises(client.CalendarUnavailable, match="not our key"), client.opened(connection):
        pass
    assert radicale.front.asked == []
