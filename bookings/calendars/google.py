"""Google Calendar by OAuth 2: consent with PKCE, tokens, and taking consent back.

Google speaks CalDAV with bearer tokens; so all that differs from other servers is here. Endpoints
come from settings. What Google answers with an error of its own about the grant is NeedsConsent;
whatever else goes wrong is CalendarUnavailable, and is tried again.
"""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import transaction

from bookings.calendars.client import CalendarUnavailable, NeedsConsent, Tokens
from bookings.models import CalendarConnection
from config.kernel import clock, outbound

SCOPE = "https://www.googleapis.com/auth/calendar"
# An access token is renewed so long before it ends.
_EARLY = timedelta(seconds=60)
_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Asking:
    """A consent that is being asked for; kept in the session of whoever asks."""

    state: str
    verifier: str


def is_set_up() -> bool:
    """Whether the installation has a client at Google's."""
    return bool(settings.GOOGLE_CLIENT_ID and settings.GOOGLE_CLIENT_SECRET)


def calendar_url(calendar_id: str) -> str:
    """Where Google has a calendar by its id: an address like somebody@gmail.com."""
    return f"{settings.GOOGLE_CALDAV_URL.rstrip('/')}/{quote(calendar_id)}/events/"


def ask() -> Asking:
    return Asking(secrets.token_urlsafe(32), secrets.token_urlsafe(64))


def consent_url(asking: Asking, *, redirect_uri: str, login: str) -> str:
    """Where the calendar's owner says yes. `prompt=consent` makes Google give a refresh token."""
    digest = hashlib.sha256(asking.verifier.encode()).digest()
    asked = {
        "client_id": settings.GOOGLE_CLIENT_ID,
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "scope": SCOPE,
        "access_type": "offline",
        "prompt": "consent",
        "login_hint": login,
        "state": asking.state,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    return f"{settings.GOOGLE_AUTHORIZE_URL}?{urlencode(asked)}"


def take_code(
    connection: CalendarConnection, *, code: str, verifier: str, redirect_uri: str
) -> None:
    """Turn the code of a consent into tokens, which are kept. Raises NeedsConsent, or
    CalendarUnavailable where Google did not answer."""
    given = _token({
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": verifier,
        "redirect_uri": redirect_uri,
    })  # fmt: skip
    if not given.get("refresh_token"):
        raise NeedsConsent("Google gave no lasting consent; ask again.")
    _keep(connection, given)


def tokens(connection: CalendarConnection) -> Tokens:
    return Tokens(lambda: access_token(connection), lambda used: _renewed(connection, used))


def access_token(connection: CalendarConnection) -> str:
    """The token that is good now, renewed when it is about to end."""
    until = connection.access_token_expires_at
    if connection.access_token and until is not None and until - _EARLY > clock.now():
        return str(connection.access_token)
    return _renewed(connection, connection.access_token or "")


def revoke(connection: CalendarConnection) -> None:
    """Take the consent back at Google's. One that Google does not know is taken back already."""
    token = connection.refresh_token or connection.access_token
    if not token:
        return
    answer = _asked(settings.GOOGLE_REVOKE_URL, {"token": token})
    if answer.status not in {200, 400}:
        raise CalendarUnavailable(f"Google answered {answer.status}.", status=answer.status)


def _renewed(connection: CalendarConnection, used: str) -> str:
    """Another access token than the one used. Somebody else may have renewed it meanwhile."""
    connection.refresh_from_db(
        fields=["access_token", "access_token_expires_at", "refresh_token", "state"]
    )
    until = connection.access_token_expires_at
    is_good = until is not None and until - _EARLY > clock.now()
    if connection.access_token and connection.access_token != used and is_good:
        return str(connection.access_token)
    if not connection.refresh_token:
        raise NeedsConsent("There is no consent; connect the calendar again.")
    given = _token({"grant_type": "refresh_token", "refresh_token": connection.refresh_token})
    _keep(connection, given)
    return str(connection.access_token)


def _keep(connection: CalendarConnection, given: dict[str, Any]) -> None:
    """Only over the consent it came from: a disconnection meanwhile is not undone."""
    before = connection.refresh_token
    with transaction.atomic():
        row = CalendarConnection.objects.select_for_update(no_key=True).get(pk=connection.pk)
        if "refresh_token" not in given and row.refresh_token != before:
            raise CalendarUnavailable("The consent was renewed meanwhile.")
        row.access_token = given["access_token"]
        row.access_token_expires_at = clock.now() + timedelta(
            seconds=float(given.get("expires_in", 0))
        )
        row.refresh_token = given.get("refresh_token") or before
        row.save(update_fields=["access_token", "access_token_expires_at", "refresh_token"])
    for name in ("access_token", "access_token_expires_at", "refresh_token"):
        setattr(connection, name, getattr(row, name))


def _token(asked: dict[str, str]) -> dict[str, Any]:
    client = {
        "client_id": settings.GOOGLE_CLIENT_ID,
        "client_secret": settings.GOOGLE_CLIENT_SECRET,
    }
    answer = _asked(settings.GOOGLE_TOKEN_URL, {**asked, **client})
    try:
        given: Any = json.loads(answer.content)
    except ValueError:
        given = None
    given = given if isinstance(given, dict) else {}
    if answer.status == 200 and given.get("access_token"):
        return given
    if given.get("error") in {"invalid_grant", "unauthorized_client", "access_denied"}:
        raise NeedsConsent("Google knows this consent no longer; connect the calendar again.")
    raise CalendarUnavailable(
        f"Google answered {answer.status} ({str(given.get('error', ''))[:60]}).",
        status=502,
    )


def _asked(url: str, form: dict[str, str]) -> outbound.Fetched:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    try:
        return outbound.fetch(
            "POST", url, headers=headers, body=urlencode(form).encode(), timeout_seconds=_TIMEOUT
        )
    except outbound.OutsideError as error:
        raise CalendarUnavailable(f"Google: {error}") from error
