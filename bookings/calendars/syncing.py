"""A CalDAV calendar's changes since the last time (RFC 6578), or all of it where that is not known.

With a sync token the server tells what changed. Where it refuses the token, all is listed anew and
compared by entity tags; where it knows no tokens at all, that is how it is always read.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape

from caldav.lib import error as caldav_errors
from icalendar import Calendar

from bookings.calendars import client
from bookings.calendars.delta import Delta, Item
from bookings.models import CalendarConnection

MOST_ITEMS = 20_000
_MOST_PAGES = 200
_AT_ONCE = 100
_DAV, _CAL = "{DAV:}", "{urn:ietf:params:xml:ns:caldav}"
_NS = 'xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"'
_SYNC = (
    f"<d:sync-collection {_NS}><d:sync-token>{{token}}</d:sync-token>"
    "<d:sync-level>1</d:sync-level><d:prop><d:getetag/></d:prop></d:sync-collection>"
)
_LIST = f"<d:propfind {_NS}><d:prop><d:getetag/><d:resourcetype/></d:prop></d:propfind>"
_GET = (
    f"<c:calendar-multiget {_NS}><d:prop><d:getetag/><c:calendar-data/></d:prop>"
    "{hrefs}</c:calendar-multiget>"
)
# A token that is refused: by the RFC 403, and what servers answer besides.
_REFUSES_TOKEN = {400, 403, 404, 409, 410, 412, 501, 507}
_KNOWS_NO_TOKENS = {400, 403, 404, 405, 415, 422, 500, 501}


class _Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass
class _Listed:
    """Entity tags by href, hrefs that are gone, and the next token."""

    etags: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    token: str = ""
    complete: bool = True


def fetch(
    connection: CalendarConnection, *, known: Mapping[str, str], timeout_seconds: float
) -> Delta:
    """What is new since the connection's sync token; `known` are our entity tags by href.

    Raises CalendarUnavailable and NeedsConsent. `timeout_seconds` is for all of it together.
    """
    until = time.monotonic() + timeout_seconds
    with client.opened(
        connection, timeout_seconds=timeout_seconds, within_seconds=timeout_seconds
    ) as calendar:
        listed = _listed(calendar, connection.sync_token, until)
        if len(listed.etags) > MOST_ITEMS:
            raise client.CalendarUnavailable(f"It has more than {MOST_ITEMS} entries.")
        new = [href for href, etag in listed.etags.items() if not etag or known.get(href) != etag]
        items = list(_got(calendar, new, until))
    had = {item.href for item in items}
    gone = (listed.gone | (set(new) - had)) & set(known)
    if listed.complete:
        gone |= set(known) - set(listed.etags)
    return Delta(
        items=items,
        gone=sorted(gone),
        unchanged=not items and not gone,
        sync_token=listed.token,
    )


def _listed(calendar: Any, token: str, until: float) -> _Listed:
    if token:
        try:
            return _since(calendar, token, until)
        except _Refused as refused:
            if refused.status not in _REFUSES_TOKEN:
                raise _unavailable(refused) from None
    try:
        return _since(calendar, "", until)
    except _Refused as refused:
        if refused.status not in _KNOWS_NO_TOKENS:
            raise _unavailable(refused) from None
    try:
        return _all(calendar, until)
    except _Refused as refused:
        raise _unavailable(refused) from None


def _since(calendar: Any, token: str, until: float) -> _Listed:
    """What a sync-collection report says, page after page."""
    listed = _Listed(complete=not token)
    here = _path(str(calendar.url))
    for _ in range(_MOST_PAGES):
        tree = _asked(calendar, "REPORT", _SYNC.format(token=escape(token)), "0", until)
        if not tree.findtext(f"{_DAV}sync-token"):
            raise _Refused(501)  # it answered something else than what was asked
        is_cut = False
        for href, found in _answers(tree):
            if _path(href).rstrip("/") == here.rstrip("/"):
                is_cut = is_cut or _status(found) == 507
            elif _status(found) == 404:
                listed.gone.add(_path(href))
                listed.etags.pop(_path(href), None)
            else:
                listed.etags[_path(href)] = found.findtext(f".//{_DAV}getetag") or ""
                listed.gone.discard(_path(href))
        listed.token = token = tree.findtext(f"{_DAV}sync-token") or ""
        if not is_cut:
            return listed
    raise client.CalendarUnavailable("It has no end.")


def _all(calendar: Any, until: float) -> _Listed:
    """Every file and its entity tag, from a server that keeps no tokens."""
    tree = _asked(calendar, "PROPFIND", _LIST, "1", until)
    listed = _Listed()
    for href, found in _answers(tree):
        if found.find(f".//{_DAV}resourcetype/{_DAV}collection") is None:
            listed.etags[_path(href)] = found.findtext(f".//{_DAV}getetag") or ""
    return listed


def _got(calendar: Any, hrefs: list[str], until: float) -> Iterator[Item]:
    """The files themselves, a hundred at a time; one that went meanwhile is left out."""
    for first in range(0, len(hrefs), _AT_ONCE):
        named = "".join(
            f"<d:href>{escape(href)}</d:href>" for href in hrefs[first : first + _AT_ONCE]
        )
        try:
            tree = _asked(calendar, "REPORT", _GET.format(hrefs=named), "1", until)
        except _Refused as refused:
            raise _unavailable(refused) from None
        for href, found in _answers(tree):
            data = found.findtext(f".//{_CAL}calendar-data")
            if data:
                etag = found.findtext(f".//{_DAV}getetag") or ""
                yield Item(_path(href), uid_of(data), etag[:500], data.replace("\0", ""))


def uid_of(data: str) -> str:
    """The UID of a file's event; empty where there is none, or it cannot be read."""
    try:
        found = Calendar.from_ical(data).walk("VEVENT")
    except Exception:  # malformed: it is counted where it is read for what is busy
        return ""
    return str(found[0].get("UID", ""))[:1000] if found else ""


def _asked(calendar: Any, method: str, body: str, depth: str, until: float) -> Any:
    """One request and its multistatus. Raises _Refused with the status of another answer."""
    left = until - time.monotonic()
    if left <= 0:
        raise client.CalendarUnavailable("It took too long.")
    davclient = calendar.client
    davclient.timeout = left
    headers = {"Depth": depth, "Content-Type": 'application/xml; charset="utf-8"'}
    body = f'<?xml version="1.0" encoding="utf-8"?>{body}'
    try:
        answer = davclient.request(str(calendar.url), method, body, headers)
    except caldav_errors.AuthorizationError as error:
        if error.status == 403:
            raise _Refused(403) from None
        raise
    if answer.status != 207 or answer.tree is None:
        raise _Refused(answer.status)
    return answer.tree


def _answers(tree: Any) -> Iterable[tuple[str, Any]]:
    for found in tree.iter(f"{_DAV}response"):
        href = found.findtext(f"{_DAV}href")
        if href:
            yield href.strip(), found


def _status(found: Any) -> int:
    """The status of a response as a whole; 200 where each property has its own."""
    words = (found.findtext(f"{_DAV}status") or "HTTP/1.1 200").split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 200


def _path(href: str) -> str:
    return unquote(urlsplit(href).path)


def _unavailable(refused: _Refused) -> client.CalendarUnavailable:
    return client.CalendarUnavailable(
        f"The calendar answers {refused.status}.", status=refused.status
    )
