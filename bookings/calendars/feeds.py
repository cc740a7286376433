"""A calendar at an address: one file, fetched whole, unless the server says that it is the same."""

from bookings.calendars import recurring
from bookings.calendars.delta import Delta, Item
from bookings.models import CalendarConnection
from config.kernel import outbound

MAX_BYTES = 8 * 1024 * 1024
_REDIRECTS = 3


class AddressFailed(outbound.OutsideError):
    """The address answered with something else than a calendar."""

    code = "calendar_unavailable"


def fetch(connection: CalendarConnection, *, timeout_seconds: float) -> Delta:
    """What is at the address now; nothing new where its entity tag is the one that we know.

    Raises OutsideError: no answer, too much, too slow, another status than 200, or no calendar.
    """
    headers = {"Accept": "text/calendar, */*;q=0.5"}
    if connection.etag:
        headers["If-None-Match"] = connection.etag
    answer = outbound.fetch(
        "GET",
        connection.url,
        headers=headers,
        timeout_seconds=timeout_seconds,
        max_bytes=MAX_BYTES,
        redirects=_REDIRECTS,
    )
    if answer.status == 304 and connection.etag:
        return Delta(unchanged=True, etag=connection.etag)
    if answer.status != 200:
        raise AddressFailed(f"The address answers {answer.status}.")
    data = answer.content.decode("utf-8-sig", errors="replace").replace("\0", "")
    try:
        recurring.read(data)
    except recurring.Unreadable as error:
        raise AddressFailed("What is at the address is not a calendar.") from error
    etag = answer.headers.get("ETag", "")
    return Delta(items=[Item("", data=data)], complete=True, etag=etag if len(etag) <= 500 else "")
