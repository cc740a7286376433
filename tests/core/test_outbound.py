"""Addresses that others choose: nothing private is reached, and no answer is endless."""

import gzip
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from requests_hardened import ip_filter

from config.kernel import outbound
from config.kernel.errors import InvalidInput

TWICE = gzip.compress(gzip.compress(b"x" * 1000))


class Server(BaseHTTPRequestHandler):
    """Answers by the path: a redirect, a lot, a drip, or what was sent."""

    seen: list[str] = []
    dripped = 0

    def do_GET(self) -> None:
        Server.seen.append(self.path)
        if self.path == "/drip-headers":
            for _ in range(100):
                self.wfile.write(b"HTTP/1.1 200 OK\r\n" if _ == 0 else b"X-A: b\r\n")
                self.wfile.flush()
                Server.dripped += 1
                time.sleep(0.05)
            return
        if self.path in {"/large-redirect", "/packed"}:
            self._answer_badly()
            return
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        if self.path == "/large":
            self.wfile.write(b"x" * 5000)
        elif self.path == "/drip":
            for _ in range(100):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.05)
        else:
            self.wfile.write(b"here")

    def _answer_badly(self) -> None:
        is_packed = self.path == "/packed"
        self.send_response(200 if is_packed else 302)
        name, value = ("Content-Encoding", "gzip, gzip") if is_packed else ("Location", "/a")
        self.send_header(name, value)
        self.end_headers()
        self.wfile.write(TWICE if is_packed else b"x" * 5000)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Server.seen, Server.dripped = [], 0
    http = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


@pytest.fixture
def guarded(settings) -> None:
    settings.OUTBOUND_PRIVATE_ADDRESSES = False


def test_answers_are_read_to_their_end(server: str) -> None:
    answer = outbound.fetch("GET", f"{server}/a")
    assert (answer.status, answer.content, answer.url) == (200, b"here", f"{server}/a")


def test_a_redirect_is_an_answer_unless_it_is_to_be_followed(server: str) -> None:
    assert outbound.fetch("GET", f"{server}/to/a").status == 302
    assert outbound.fetch("GET", f"{server}/to/to/a", redirects=2).content == b"here"
    with pytest.raises(outbound.OutsideError):
        outbound.fetch("GET", f"{server}/to/to/a", redirects=1)


def test_too_much_and_too_slow_are_given_up(server: str) -> None:
    with pytest.raises(outbound.OutsideError, match="too large"):
        outbound.fetch("GET", f"{server}/large", max_bytes=4000)
    with pytest.raises(outbound.OutsideError, match="too long"):
        outbound.fetch("GET", f"{server}/drip", timeout_seconds=0.3)


def test_a_redirect_is_read_within_limits_too(server: str) -> None:
    """requests would read all of it, and unpack it, before it looks whether to follow."""
    for redirects in (0, 2):
        with pytest.raises(outbound.AnswerTooLarge) as refused:
            outbound.fetch("GET", f"{server}/large-redirect", max_bytes=4000, redirects=redirects)
        assert refused.value.answer.status == 302
    assert Server.seen == ["/large-redirect"] * 2


def test_what_is_packed_several_times_stays_packed(server: str) -> None:
    """A few thousand bytes, packed five times, would keep a thread busy for hours."""
    assert outbound.fetch("GET", f"{server}/packed").content == TWICE


def test_a_name_server_that_does_not_answer_is_not_waited_for(
    guarded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    monkeypatch.setattr(outbound, "LOOKUP_SECONDS", 0.05)
    monkeypatch.setattr(ip_filter.socket, "getaddrinfo", lambda *_, **__: answers.wait(30))
    try:
        with pytest.raises(outbound.OutsideError, match="too long"):
            outbound.fetch("GET", "https://slow.example/")
        with pytest.raises(InvalidInput, match="no such host"):
            outbound.check_url("https://slow.example/")
    finally:
        answers.set()


def test_what_is_too_large_is_known_up_to_there(server: str) -> None:
    with pytest.raises(outbound.AnswerTooLarge) as refused:
        outbound.fetch("GET", f"{server}/large", max_bytes=4000)
    assert (refused.value.answer.status, refused.value.answer.content) == (200, b"x" * 4000)


def test_headers_that_drip_meet_the_limit_as_well(server: str) -> None:
    """Each byte comes long before the socket's own timeout, which begins anew with each."""
    with pytest.raises(outbound.OutsideError, match="too long"):
        outbound.fetch("GET", f"{server}/drip-headers", timeout_seconds=0.3)


def test_headers_that_drip_after_a_redirect_on_the_same_connection_do_too(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "protocol_version", "HTTP/1.1")  # connections are kept
    with pytest.raises(outbound.OutsideError, match="too long"):
        outbound.fetch("GET", f"{server}/to/drip-headers", timeout_seconds=0.3, redirects=1)
    assert Server.seen == ["/to/drip-headers", "/drip-headers"]
    assert Server.dripped < 100, "nobody listened to all of it"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.1.2.3", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]",
     "192.168.0.1", "100.64.0.1", "0.0.0.0", "2130706433", "[fd00::1]", "[fe80::1]",
     "[fec0::1]", "[::127.0.0.1]", "[::ffff:0:10.0.0.1]", "[64:ff9b::10.0.0.1]", "[2002:a00:1::]"],
)  # fmt: skip
def test_private_addresses_are_refused(guarded: None, host: str) -> None:
    with pytest.raises(outbound.AddressRefused):
        outbound.fetch("GET", f"http://{host}:1/")
    with pytest.raises(InvalidInput):
        outbound.check_url(f"https://{host}/")


def test_nothing_arrives_where_it_is_refused(guarded: None, server: str) -> None:
    with pytest.raises(outbound.AddressRefused):
        outbound.fetch("GET", f"{server}/a")
    assert Server.seen == []


def test_a_redirect_into_the_network_is_refused(
    guarded: None, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first address counts as public here, as its name would; where it leads to does not."""
    port = server.rpartition(":")[2]
    real = ip_filter.get_ip_address

    def resolve(hostname: str, at: int, allow_loopback: bool):  # type: ignore[no-untyped-def]
        return real("127.0.0.1" if hostname == "public.example" else hostname, at,
                    allow_loopback or hostname == "public.example")  # fmt: skip

    monkeypatch.setattr(ip_filter, "get_ip_address", resolve)
    start = f"http://public.example:{port}"
    assert outbound.fetch("GET", f"{start}/a").content == b"here"
    Server.seen = []
    monkeypatch.setattr(outbound, "urljoin", lambda _, to: f"{server}{to}")
    with pytest.raises(outbound.AddressRefused):
        outbound.fetch("GET", f"{start}/to/a", redirects=3)
    assert Server.seen == ["/to/a"]


def test_a_name_that_moves_is_looked_at_at_every_request(
    guarded: None, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counted as public when it was entered; now it means this machine."""
    answers = iter([("93.184.215.14", 443), ("127.0.0.1", 443)])
    monkeypatch.setattr(
        ip_filter.socket,
        "getaddrinfo",
        lambda *_, **__: [(2, 1, 6, "", next(answers))],
    )
    outbound.check_url("https://moving.example/")
    with pytest.raises(outbound.AddressRefused):
        outbound.fetch("GET", "https://moving.example/")


@pytest.mark.parametrize(
    "url", ["ftp://a.example/", "https://", "https://a:b@c.example/", "https://a.example:99999/",
            "javascript:alert(1)", "", "//a.example/", "https://[::1/"],
)  # fmt: skip
def test_what_is_no_address_is_refused_by_name(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        outbound.check_url(url, field="address")
    assert refused.value.field == "address"


def test_only_https_in_production(guarded: None) -> None:
    with pytest.raises(InvalidInput, match="https"):
        outbound.check_url("http://93.184.215.14/")


def test_a_proxy_of_the_environment_is_not_used(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would look names up itself, and reach what we refuse."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert outbound.fetch("GET", f"{server}/a").status == 200
    assert isinstance(outbound.session(), requests.Session)
