"""Connecting calendars and letting go of them. Called by the admin; nothing here renders.

A connection is saved first, waiting; only then is its server asked, outside of any transaction.
"""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import unquote, urljoin, urlsplit
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet

from bookings import lock_objects
from bookings.calendars import client, google, writing
from bookings.models import CalendarConnection, CalendarEvent, ConnectedResource
from config.kernel import clock, effects, outbound
from config.kernel.deadlines import Deadline
from config.kernel.errors import InvalidInput

CHECK = "bookings.check_calendar"
LEAVE = "bookings.leave_calendar"
# So long a calendar that is being disconnected is asked to forget our events, if it is away.
LEAVING = timedelta(days=1)
_PROPFIND = (
    '<?xml version="1.0"?><d:propfind xmlns:d="DAV:"><d:prop><d:current-user-principal/></d:prop>'
    "</d:propfind>"
)
_REDIRECTS = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """One calendar of an account."""

    url: str
    name: str


def calendars_of(connection: CalendarConnection) -> list[Choice]:
    """The calendars that an address, a name and an app password lead to.

    Raises InvalidInput for an address that cannot be used, NeedsConsent for a refused password,
    CalendarUnavailable for a server that does not answer as CalDAV does.
    """
    outbound.check_url(connection.url)
    given = client.Credentials(connection.username, connection.password or "")
    url = _answering(connection.url, given)
    with client.at(url, given) as opened:
        found = opened.get_calendars()
        choices = [
            Choice(client.absolute(url, str(each.url)), str(each.get_display_name() or ""))
            for each in found
        ]
    if not choices:
        raise client.CalendarUnavailable("There is no calendar at this address.")
    return [Choice(each.url, each.name or _last_part(each.url)) for each in choices]


def connect_caldav(connection: CalendarConnection, choice: Choice) -> None:
    """This calendar it is. What is booked from now on appears in it soon. Raises InvalidInput while
    our events stand in another that was connected before."""
    outbound.check_url(choice.url)
    refuse_elsewhere(connection, choice.url)
    _connected(connection, url=choice.url)


def connect_google(
    connection: CalendarConnection, *, code: str, verifier: str, redirect_uri: str
) -> None:
    """The owner has said yes at Google's. Raises NeedsConsent and CalendarUnavailable."""
    google.take_code(connection, code=code, verifier=verifier, redirect_uri=redirect_uri)
    _connected(connection, url=google.calendar_url(connection.username))


def _connected(connection: CalendarConnection, *, url: str) -> None:
    """Nothing that went wrong before counts any more. Elsewhere, nothing has been written yet."""
    with transaction.atomic():
        if url != connection.url:
            CalendarEvent.objects.filter(connection=connection).delete()
        CalendarConnection.objects.filter(pk=connection.pk).update(
            url=url, state="connected", write_failing_since=None, write_error="",
            write_retry_at=None, write_attempts=0, check_error="", check_due_at=clock.now(),
            disconnected_at=None, leaving_since=None,
        )  # fmt: skip
        effects.kick(CHECK, str(connection.pk))
    connection.refresh_from_db()


def refuse_elsewhere(connection: CalendarConnection, url: str) -> None:
    """Raises InvalidInput where connecting that address would leave our events behind in the
    calendar that is connected now: nobody would move or remove them any more."""
    if _place(url) != _place(connection.url) and _standing(connection.pk).exists():
        raise InvalidInput(
            "Our events stand in the calendar that is connected now. Disconnect it first: they are "
            "removed from it. Then connect the other.",
            field="url",
        )


def _place(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.netloc, unquote(parts.path).rstrip("/")


def look_again(connection_id: UUID) -> None:
    """Have it compared soon: its resources have changed, or somebody asks."""
    CalendarConnection.objects.filter(pk=connection_id).update(check_due_at=clock.now())
    effects.kick(CHECK, str(connection_id))


# --- Letting go -----------------------------------------------------------------------------------


def disconnect(connection_id: UUID) -> None:
    """No resource is connected with it any more; our events to come are removed from it, then the
    consent is taken back and the credentials are forgotten (`leave`)."""
    served = ConnectedResource.objects.filter(connection=connection_id)
    with transaction.atomic():
        list(lock_objects.lock_resources(served.values_list("resource_id", flat=True)))
        rows = CalendarConnection.objects.select_for_update(no_key=True).exclude(
            state__in=["leaving", "disconnected"]
        )
        connection = rows.filter(pk=connection_id).first()
        if connection is None:
            return
        connection.resources.all().delete()
        is_reached = connection.state == "connected" and connection.kind != "ics"
        connection.state = "leaving"
        connection.leaving_since = clock.now() - (timedelta(0) if is_reached else LEAVING)
        connection.write_retry_at = None
        connection.save(update_fields=["state", "leaving_since", "write_retry_at"])
        _standing(connection.pk).update(
            wanted_version=F("wanted_version") + 1, due_at=clock.now(), outside_kind=""
        )
        effects.kick(LEAVE, str(connection_id))


def leave(connection_id: UUID) -> bool:
    """Remove what still stands there, and let go once nothing does; say whether it is done.

    A calendar that stays away is let go after a day: what stands there then is left behind.
    """
    connection = CalendarConnection.objects.filter(pk=connection_id, state="leaving").first()
    if connection is None or connection.leaving_since is None:
        return False
    until = connection.leaving_since + LEAVING
    if clock.now() < until:
        for event_id in _standing(connection_id).values_list("pk", flat=True):
            writing.write(event_id)
        if _standing(connection_id).exists() or not _revoked(connection):
            return False
    else:
        _revoked(connection)
    _forget(connection)
    return True


def leaving() -> QuerySet[CalendarConnection]:
    return CalendarConnection.objects.filter(state="leaving")


def _standing(connection_id: UUID) -> QuerySet[CalendarEvent]:
    """Events to come that stand there, or may. What is past stays as it was."""
    return CalendarEvent.objects.filter(
        ~Q(written="") | ~Q(sent=[]), connection=connection_id, line__ends_at__gt=clock.now()
    )


def _revoked(connection: CalendarConnection) -> bool:
    """At Google's a consent is the account's: it is kept while another calendar needs it. A second
    calendar of an account has a name of its own, so that whoever has another is asked to keep it.
    """
    if connection.kind != "google":
        return True
    others = CalendarConnection.objects.filter(
        Q(username=connection.username)
        | Q(workspace=connection.workspace_id, owner=connection.owner_id),
        kind="google",
    )
    if others.exclude(pk=connection.pk).exclude(state="disconnected").exists():
        return True
    try:
        google.revoke(connection)
    except outbound.OutsideError:
        return False
    return True


def _forget(connection: CalendarConnection) -> None:
    """What was read of it and written to it as well: connected anew, it is as if for the first
    time, and what stands there still is found then."""
    connection.items.all().delete()
    CalendarEvent.objects.filter(connection=connection).delete()
    CalendarConnection.objects.filter(pk=connection.pk).update(
        state="disconnected", disconnected_at=clock.now(), password="", refresh_token="",
        access_token="", access_token_expires_at=None, sync_token="", etag="", read_at=None,
        next_read_at=None, leaving_since=None,
    )  # fmt: skip


# --- Where an address leads -----------------------------------------------------------------------


def _answering(url: str, given: client.Credentials) -> str:
    """The address that answers as CalDAV does: this one, where it redirects to, or what the server
    has at its well-known place (RFC 6764). Never another server than the one that was named."""
    within = Deadline(client.WITHIN_SECONDS)
    with client.errors(), within, client.session(client.TIMEOUT_SECONDS) as http:
        for start in (url, urljoin(url, "/.well-known/caldav")):
            at = start
            for _ in range(_REDIRECTS + 1):
                answer = http.request(
                    "PROPFIND", at, data=_PROPFIND, auth=given.auth(),
                    headers={"Depth": "0", "Content-Type": "application/xml; charset=utf-8"},
                )  # fmt: skip
                if answer.status_code == 207:
                    return at
                if answer.status_code == 401:
                    raise client.NeedsConsent("The server refuses this name and password.")
                leads_to = answer.headers.get("Location")
                if not leads_to or not 300 <= answer.status_code < 400:
                    break
                at = _same_server(at, urljoin(at, leads_to))
    raise client.CalendarUnavailable("There is no CalDAV at this address.")


def _same_server(url: str, to: str) -> str:
    """The password goes nowhere else by itself."""
    if urlsplit(url)[:2] != urlsplit(to)[:2]:
        server = "{}://{}/".format(*urlsplit(to)[:2])
        raise InvalidInput(
            f"This leads to another server. Enter its address: {server}", field="url"
        )
    return to


def _last_part(url: str) -> str:
    return unquote(url.rstrip("/").rsplit("/", 1)[-1])
