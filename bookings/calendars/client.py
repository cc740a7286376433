"""CalDAV, by the caldav library on a session of ours.

The library brings a session of its own, follows redirects and looks up servers in DNS. Here every
request goes through `config.kernel.outbound`: private addresses are refused, redirects are not
followed, an answer is bounded in size and time, and nothing but https carries a password.
Whatever goes wrong is one of two things: the calendar is unavailable, or it needs consent.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import requests
from caldav.collection import Calendar
from caldav.davclient import DAVClient
from caldav.lib import error as caldav_errors
from django.conf import settings
from lxml import etree  # type: ignore[import-untyped]
from requests.auth import AuthBase, HTTPBasicAuth
from requests_hardened.ip_filter import InvalidIPAddress

from bookings.models import CalendarConnection
from config.kernel import outbound
from config.kernel.deadlines import Deadline

TIMEOUT_SECONDS = 10.0
# For all requests of one piece of work together, however slowly each answer drips: less than the
# lease of whoever writes.
WITHIN_SECONDS = 60.0
# How what was encrypted begins: where the key is another, the field gives it as it stands.
_CIPHERTEXT = "gAAAAA"
MAX_BYTES = 8 * 1024 * 1024


class CalendarUnavailable(outbound.OutsideError):
    """The calendar did not answer, or not as it should; to be tried again."""

    code = "calendar_unavailable"
    detail = "The calendar does not answer."

    def __init__(self, detail: str = "", *, status: int | None = None) -> None:
        super().__init__(detail or self.detail)
        self.answered = status


class NeedsConsent(outbound.OutsideError):
    """Our credentials are refused: somebody has to connect the calendar again."""

    code = "calendar_needs_consent"
    detail = "The calendar refuses our credentials; connect it again."


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and an app password."""

    username: str = ""
    password: str = ""

    def auth(self) -> AuthBase:
        return HTTPBasicAuth(self.username, self.password)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Bearer tokens: the one that is good now, and another when that is refused."""

    access: Callable[[], str]
    renew: Callable[[str], str]

    def auth(self) -> AuthBase:
        return _Bearer(self)


def credentials(connection: CalendarConnection) -> Credentials | Tokens:
    """A connection's own. Raises NeedsConsent when there are none, and CalendarUnavailable where
    they cannot be read: with the right key back, it goes on by itself."""
    if connection.state in {connection.State.DISCONNECTED, connection.State.WAITING}:
        raise NeedsConsent("This calendar is not connected.")
    secrets = (connection.password, connection.refresh_token, connection.access_token)
    if any((secret or "").startswith(_CIPHERTEXT) for secret in secrets):
        raise CalendarUnavailable("What its password was kept under is not our key. Enter it anew.")
    if connection.kind == CalendarConnection.Kind.GOOGLE:
        from bookings.calendars import google

        return google.tokens(connection)
    return Credentials(connection.username, connection.password or "")


@contextmanager
def opened(
    connection: CalendarConnection,
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
    within_seconds: float = WITHIN_SECONDS,
) -> Iterator[Calendar]:
    """The connection's calendar, `calendar.client` being its client. No request is made yet.

    Within the block, errors come as CalendarUnavailable and NeedsConsent.
    """
    given = credentials(connection)
    with at(
        connection.url, given, timeout_seconds=timeout_seconds, within_seconds=within_seconds
    ) as made:
        yield made.calendar(url=connection.url)


@contextmanager
def at(
    url: str,
    given: Credentials | Tokens,
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
    within_seconds: float = WITHIN_SECONDS,
) -> Iterator[DAVClient]:
    """A client for that address; for what is not connected yet."""
    with errors(), Deadline(within_seconds) as deadline, DAVClient(
        url=url, auth=given.auth(), timeout=timeout_seconds,  # type: ignore[arg-type]
        enable_rfc6764=False, rate_limit_handle=False,
    ) as client:  # fmt: skip
        client.session = session(timeout_seconds)
        yield client
        if deadline.has_passed:  # what was cut off may look like an end
            raise requests.Timeout


@contextmanager
def errors() -> Iterator[None]:
    """Whatever libraries raise, as one of ours."""
    try:
        yield
    except InvalidIPAddress:
        raise outbound.AddressRefused from None
    except caldav_errors.AuthorizationError as error:
        if error.status == 401:
            raise NeedsConsent from None
        raise CalendarUnavailable("The calendar forbids it.", status=error.status) from None
    except caldav_errors.DAVError as error:
        raise CalendarUnavailable(f"It answered with an error ({_name(error)}).") from error
    except requests.Timeout:
        raise CalendarUnavailable("It took too long.") from None
    except (requests.RequestException, OSError, etree.LxmlError) as error:
        raise CalendarUnavailable(f"It could not be reached ({_name(error)}).") from error
    except (ValueError, KeyError, AttributeError, TypeError, AssertionError) as error:
        # The library's way of meeting an answer that is no CalDAV.
        raise CalendarUnavailable(f"It did not answer as CalDAV does ({_name(error)}).") from error


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind one of ours, where there was one."""
    cause = error.__cause__
    return getattr(error, "answered", None) or getattr(cause, "status", None)


def absolute(calendar_url: str, href: str) -> str:
    """An href from an answer as an address at the calendar's server."""
    return urljoin(calendar_url, href)


def _name(error: BaseException) -> str:
    return type(error).__name__


class _Bearer(AuthBase):
    """Carries the access token; refused, it is renewed once and the request sent again."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.token = ""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        self.token = self.tokens.access()
        request.headers["Authorization"] = f"Bearer {self.token}"
        request.register_hook("response", self._renewed)
        return request

    def _renewed(self, answer: requests.Response, **options: Any) -> requests.Response:
        if answer.status_code != 401:
            return answer
        answer.close()
        again = answer.request.copy()
        again.headers["Authorization"] = f"Bearer {self.tokens.renew(self.token)}"
        second: requests.Response = answer.connection.send(again, **options)
        second.request = again
        return second


class _OnlyHttps(requests.adapters.HTTPAdapter):
    """Refuses plain http, to which a server's own links may lead."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        raise requests.exceptions.InvalidSchema("only https")


def session(timeout_seconds: float) -> requests.Session:
    made = outbound.session(timeout_seconds=timeout_seconds)
    if not settings.OUTBOUND_PRIVATE_ADDRESSES:
        made.mount("http://", _OnlyHttps())
    made.hooks["response"].append(lambda answer, **_: _bounded(answer, timeout_seconds))
    return made


def _bounded(answer: requests.Response, timeout_seconds: float) -> requests.Response:
    """Read the whole answer here, within bounds, before the session would without any."""
    until = time.monotonic() + timeout_seconds
    content = b""
    while piece := answer.raw.read1(64 * 1024, decode_content=True):
        content += piece
        if len(content) > MAX_BYTES:
            raise requests.exceptions.ContentDecodingError("the answer is too large")
        if time.monotonic() > until:
            raise requests.Timeout("the answer drips")
    answer._content, answer._content_consumed = content, True
    return answer
