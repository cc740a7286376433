"""Requests to addresses that somebody else has chosen: subscribers' endpoints, calendars, feeds.

Whoever chooses an address could choose one inside our own network, at once, by a redirect or by a
name that means another address later (SSRF). So every connection resolves its name, refuses what is
not public and connects to the very address that was looked at; redirects are followed only where a
caller asks for it, each looked at anew; and an answer is bounded in size and time.

`OUTBOUND_PRIVATE_ADDRESSES` lets private addresses through, for one machine and for tests.
"""

import ipaddress
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
from django.conf import settings
from requests.structures import CaseInsensitiveDict
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter import InvalidIPAddress, filter_host
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from urllib3.exceptions import HTTPError

from config.kernel.deadlines import Deadline, TookTooLong, watched, within
from config.kernel.errors import DomainError, InvalidInput

USER_AGENT = "Surehold"
MAX_BYTES = 1024 * 1024
CONNECT_SECONDS = 3.0
LOOKUP_SECONDS = 5.0  # a resolver's own limits may be half a minute
_REDIRECTS = {301, 302, 303, 307, 308}
_CHUNK = 64 * 1024


class OutsideError(DomainError):
    """Something outside could not be reached, or did not answer as it should."""

    code = "outside_unavailable"
    status = 502
    detail = "The other side did not answer."


class AddressRefused(OutsideError):
    """The address leads to where no request of ours may go."""

    code = "address_refused"
    status = 422
    detail = "This address is private or cannot be used."


class AnswerTooLarge(OutsideError):
    """It answered with more than was to be read; `answer` is what was, up to there."""

    detail = "The answer is too large."

    def __init__(self, answer: "Fetched") -> None:
        super().__init__()
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer, read to its end. `url` is where it came from, after redirects."""

    status: int
    headers: CaseInsensitiveDict
    content: bytes
    url: str

    @property
    def text(self) -> str:
        """The content as UTF-8, whatever it is; for people to read."""
        return self.content.decode("utf-8", errors="replace")


def session(*, timeout_seconds: float = 10.0) -> requests.Session:
    """A session that refuses private addresses and follows no redirect. No proxy of the environment
    is used, since a proxy would do the resolving."""
    made = _Session(
        Config(
            ip_filter_enable=not settings.OUTBOUND_PRIVATE_ADDRESSES,
            ip_filter_allow_loopback_ips=False,
            never_redirect=True,
            default_timeout=(CONNECT_SECONDS, timeout_seconds),
            user_agent_override=USER_AGENT,
        )
    )
    made.trust_env = False
    if not settings.OUTBOUND_PRIVATE_ADDRESSES:
        made.mount("http://", _Filtering(is_https_proto=False))
        made.mount("https://", _Filtering(is_https_proto=True))
    made.hooks["response"].append(_packed_once)
    return watched(made)


def fetch(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_seconds: float = 10.0,
    max_bytes: int = MAX_BYTES,
    redirects: int = 0,
) -> Fetched:
    """One request and its whole answer, whatever its status, within `timeout_seconds` in all.

    Raises AddressRefused, AnswerTooLarge, and OutsideError for no answer, one that is too slow, and
    one redirect more than `redirects`.
    """
    until = time.monotonic() + timeout_seconds
    # One for all of it: a redirect may be answered on the connection of the request before.
    with session(timeout_seconds=timeout_seconds) as http, Deadline(timeout_seconds) as deadline:
        for _ in range(redirects + 1):
            answer = _once(http, method, url, headers or {}, body, until, max_bytes, deadline)
            if answer.status not in _REDIRECTS or redirects == 0:
                return answer
            url = urljoin(url, answer.headers.get("Location", ""))
    raise OutsideError("It redirects too often.")


def check_url(url: str, field: str = "url") -> str:
    """The address, if a request could go there now. Raises InvalidInput, naming the field.

    For a good message when it is entered; what counts is that every request looks again.
    """
    parts = _parts(url, field)
    if settings.OUTBOUND_PRIVATE_ADDRESSES:
        return url
    if parts.scheme != "https":
        raise InvalidInput("This must start with https://.", field=field)
    try:
        _looked_up(parts.hostname or "", parts.port or 443)
    except InvalidIPAddress:
        raise InvalidInput("This address is a private one.", field=field) from None
    except (requests.RequestException, OSError, UnicodeError):
        raise InvalidInput("There is no such host.", field=field) from None
    return url


def _parts(url: str, field: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port_is_a_number = parts.port is None or parts.port > 0
    except ValueError:
        raise InvalidInput("This is not an address.", field=field) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_a_number:
        raise InvalidInput("This is not an address that starts with https://.", field=field)
    if parts.username is not None or parts.password is not None:
        raise InvalidInput("Leave the name and the password out of the address.", field=field)
    return parts


class _Session(HTTPSession):
    """Knows of no redirects: `fetch` follows them itself. Before one, requests reads the whole of
    an answer, without any limit, also where it is told not to follow."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class _Filtering(IPFilterAdapter):
    """Looks names up, and refuses what they mean, within `LOOKUP_SECONDS`."""

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:
        look_up = super().build_connection_pool_key_attributes
        try:
            host, pool = within(LOOKUP_SECONDS, lambda: look_up(*args, **kwargs))
        except TookTooLong:
            raise requests.ConnectTimeout("The name was not found in time.") from None
        _refuse_odd(host["host"])
        return host, pool


def _looked_up(host: str, port: int) -> None:
    try:
        _refuse_odd(within(LOOKUP_SECONDS, lambda: filter_host(host, port, allow_loopback=False)))
    except TookTooLong:
        raise requests.ConnectTimeout("The name was not found in time.") from None


def _refuse_odd(host: str) -> None:
    """What the filter lets through: the IPv6 that was once for sites, and what wraps IPv4."""
    address = ipaddress.ip_address(host.strip("[]"))
    if address.is_reserved or getattr(address, "is_site_local", False):
        raise InvalidIPAddress(address)


def _packed_once(answer: requests.Response, **_: Any) -> requests.Response:
    """What was packed several times over stays packed. Each layer multiplies by a thousand what a
    few bytes cost to unpack, in one call that no deadline ends; nobody is asked for such a thing.
    """
    if "," in answer.raw.headers.get("Content-Encoding", ""):
        del answer.raw.headers["Content-Encoding"]
    return answer


def _once(
    http: requests.Session,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    until: float,
    max_bytes: int,
    deadline: Deadline,
) -> Fetched:
    left = until - time.monotonic()
    if left <= 0:
        raise OutsideError("It took too long.")
    try:
        with http.request(
            method,
            url,
            headers=dict(headers),
            data=body,
            stream=True,
            timeout=(min(CONNECT_SECONDS, left), left),
        ) as response:
            content = _read(response, until, max_bytes)
            answer = Fetched(response.status_code, response.headers, content[:max_bytes], url)
    except InvalidIPAddress:
        raise AddressRefused from None
    except requests.Timeout:
        raise OutsideError("It took too long.") from None
    except (requests.RequestException, HTTPError, OSError, UnicodeError, ValueError) as error:
        if deadline.has_passed:
            raise OutsideError("It took too long.") from None
        raise OutsideError(f"It could not be reached ({type(error).__name__}).") from error
    if deadline.has_passed:  # what was cut off may look like an end
        raise OutsideError("It took too long.")
    if len(content) > max_bytes:
        raise AnswerTooLarge(answer)
    return answer


def _read(response: requests.Response, until: float, max_bytes: int) -> bytes:
    """Piece by piece as it comes, so that a slow drip meets the deadline as well. What goes beyond
    `max_bytes` by a piece is the caller's to refuse."""
    content = b""
    while piece := response.raw.read1(_CHUNK, decode_content=True):
        content += piece
        if len(content) > max_bytes:
            break
        if time.monotonic() > until:
            raise OutsideError("It took too long.")
    return content
