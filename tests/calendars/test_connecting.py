"""Connecting calendars in the admin, consent at Google's, and letting go."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import requests
from django.db import connection as database
from django.test import Client, override_settings
from django.urls import reverse

from bookings.calendars import checking, client, connecting, google, reading, writing
from bookings.models import CalendarConnection, CalendarEvent, ConnectedResource, Resource
from config.kernel.errors import InvalidInput
from tests.calendars.support import Connected, connect
from tests.core.support import hold, line
from tests.factories import StaffFactory, make_room
from tests.support.oauth import CLIENT_ID, CLIENT_SECRET
from tests.support.radicale import Radicale, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def room() -> Resource:
    return make_room()


@pytest.fixture
def staff(room: Resource) -> Client:
    browser = Client()
    browser.force_login(StaffFactory(workspace=room.workspace).member)
    return browser


@pytest.fixture
def googles(radicale: Radicale) -> Iterator[User]:
    """The front stands in for Google; somebody there has a calendar."""
    somebody = radicale.user(f"ana-{len(radicale.users)}@gmail.test")
    somebody.calendar("events")
    base = f"{radicale.address}/oauth"
    with override_settings(
        GOOGLE_CLIENT_ID=CLIENT_ID, GOOGLE_CLIENT_SECRET=CLIENT_SECRET,
        GOOGLE_AUTHORIZE_URL=f"{base}/authorize", GOOGLE_TOKEN_URL=f"{base}/token",
        GOOGLE_REVOKE_URL=f"{base}/revoke", GOOGLE_CALDAV_URL=radicale.address,
    ):  # fmt: skip
        yield somebody


def add(staff: Client, room: Resource, **fields: str) -> str:
    """Fill in the admin's form; where it leads."""
    answer = staff.post(
        reverse("admin:bookings_calendarconnection_add"),
        {
            "workspace": str(room.workspace_id), "name": "Front desk", "max_age_seconds": "300",
            "resources-TOTAL_FORMS": "1", "resources-INITIAL_FORMS": "0",
            "resources-0-resource": str(room.pk), "resources-0-writes": "on",
            **fields,
        },
    )  # fmt: skip
    assert answer.status_code == 302, str(answer.context["errors"])
    return str(answer.headers["Location"])


ICS = {"kind": "ics", "url": "http://localhost:9/busy.ics"}


def page(name: str, connection: CalendarConnection) -> str:
    return reverse(f"admin:bookings_calendarconnection_{name}", args=[connection.pk])


def consent(staff: Client, connection: CalendarConnection) -> str:
    """Go to Google and come back; the address that the browser is sent to there."""
    answer = staff.post(page("consent", connection), {"reason": ""})
    said = requests.get(answer.headers["Location"], allow_redirects=False, timeout=5)
    back = urlsplit(said.headers["Location"])
    return f"{back.path}?{back.query}"


# --- CalDAV ---------------------------------------------------------------------------------------


def test_connecting_by_address_name_and_password(
    radicale: Radicale, room: Resource, staff: Client
) -> None:
    user = radicale.user()
    for name in ("Desk", "Private"):
        user.calendar(name)
    leads = add(
        staff, room, kind="caldav", url=radicale.address, username=user.name,
        new_password=user.password,
    )  # fmt: skip
    connection = CalendarConnection.objects.get()
    assert leads == page("choose_calendar", connection)
    assert connection.state == "waiting"
    shown = staff.get(leads).content.decode()
    assert "Desk" in shown
    assert "Private" in shown
    url = f"{radicale.address}/{user.name}/Desk/"
    staff.post(leads, {"calendar": url})
    connection.refresh_from_db()
    assert (connection.state, connection.url) == ("connected", url)
    hold(line(room))
    calendar = Connected(connection, user, url)
    calendar.write()
    calendar.assert_equal()
    assert len(calendar.events()) == 1


def test_a_password_is_neither_shown_nor_kept_in_the_clear(
    radicale: Radicale, room: Resource, staff: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    user = radicale.user()
    user.calendar("Desk")
    leads = add(
        staff, room, kind="caldav", url=radicale.address, username=user.name,
        new_password=user.password,
    )  # fmt: skip
    connection = CalendarConnection.objects.get()
    assert connection.password == user.password
    with database.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(c)::text FROM bookings_calendarconnection c")
        (row,) = cursor.fetchone()
        cursor.execute("SELECT string_agg(to_jsonb(l)::text, '') FROM django_admin_log l")
        (log,) = cursor.fetchone()
    for text in (row, log, caplog.text, staff.get(leads).content.decode(),
                 staff.get(page("change", connection)).content.decode()):  # fmt: skip
        assert user.password not in text


@pytest.mark.long
def test_a_wrong_password_is_said(radicale: Radicale, room: Resource, staff: Client) -> None:
    user = radicale.user()
    leads = add(
        staff, room, kind="caldav", url=radicale.address, username=user.name, new_password="wrong"
    )
    shown = staff.get(leads, follow=True).content.decode()
    assert "refuses this name and password" in shown
    assert CalendarConnection.objects.get().state == "waiting"


def test_what_waits_is_said_as_it_is(room: Resource, staff: Client) -> None:
    """Consent is Google's word: who connects by password is to choose the calendar."""
    leads = add(staff, room, kind="caldav", url="http://localhost:9/", username="ana")
    assert leads.endswith("/choose_calendar/")
    shown = staff.get(page("change", CalendarConnection.objects.get())).content.decode()
    assert "Not connected yet: choose the calendar" in shown
    assert "Waiting for consent" not in shown


def test_an_address_of_an_ics_file_is_only_read_whatever_is_ticked(
    room: Resource, staff: Client
) -> None:
    """The form comes with "write bookings" ticked."""
    add(staff, room, **ICS, **{"resources-0-reads": "on"})
    connected = ConnectedResource.objects.get()
    assert (connected.connection.state, connected.writes) == ("connected", False)
    assert connected.reads


def test_a_pool_is_not_blocked_and_the_form_says_so(staff: Client, room: Resource) -> None:
    bikes = make_room(workspace=room.workspace, location=room.location, mode="pooled", capacity=3)
    with pytest.raises(AssertionError, match="how many units of a pool"):
        add(staff, bikes, **ICS, **{"resources-0-reads": "on"})
    assert not CalendarConnection.objects.exists()


def test_the_password_goes_to_no_other_server(radicale: Radicale) -> None:
    with pytest.raises(InvalidInput, match=r"https://elsewhere\.test/"):
        connecting._same_server("https://here.test/", "https://elsewhere.test/dav/")
    assert connecting._same_server("https://a.test/", "https://a.test/dav/") == (
        "https://a.test/dav/"
    )


def test_another_workspaces_staff_see_nothing(radicale: Radicale, room: Resource) -> None:
    calendar = connect(radicale, room)
    stranger = Client()
    stranger.force_login(StaffFactory().member)
    for name in ("change", "choose_calendar", "consent", "check_now", "disconnect"):
        answer = stranger.get(page(name, calendar.connection))
        assert answer.status_code in {302, 404}
        assert "choose" not in answer.headers.get("Location", "")
    calendar.connection.refresh_from_db()
    assert calendar.connection.state == "connected"


# --- Google ---------------------------------------------------------------------------------------


def google_calendar(radicale: Radicale, room: Resource, staff: Client, googles: User) -> Connected:
    add(staff, room, kind="google", username=googles.name)
    connection = CalendarConnection.objects.get()
    radicale.oauth.consenting = googles.name
    staff.get(consent(staff, connection))
    connection.refresh_from_db()
    assert connection.state == "connected", connection.write_error
    return Connected(connection, googles, connection.url)


def test_consent_connects(radicale: Radicale, room: Resource, staff: Client, googles: User) -> None:
    calendar = google_calendar(radicale, room, staff, googles)
    hold(line(room))
    calendar.write()
    calendar.assert_equal()
    assert len(calendar.events()) == 1
    with database.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(c)::text FROM bookings_calendarconnection c")
        (row,) = cursor.fetchone()
    for token in [*radicale.oauth.refresh_tokens, *radicale.oauth.access_tokens]:
        assert token not in row


@pytest.mark.long
def test_no_consent_connects_nothing(
    radicale: Radicale, room: Resource, staff: Client, googles: User
) -> None:
    add(staff, room, kind="google", username=googles.name)
    connection = CalendarConnection.objects.get()
    shown = staff.get(consent(staff, connection), follow=True).content.decode()
    assert "did not consent" in shown
    connection.refresh_from_db()
    assert connection.state == "waiting"


def test_an_answer_to_another_question_is_refused(
    radicale: Radicale, room: Resource, staff: Client, googles: User
) -> None:
    """Somebody else's code must not become our calendar (CSRF), nor a code be used twice."""
    add(staff, room, kind="google", username=googles.name)
    connection = CalendarConnection.objects.get()
    radicale.oauth.consenting = googles.name
    back = consent(staff, connection)
    staff.get(reverse("admin:bookings_calendarconnection_google") + "?state=forged&code=x")
    staff.get(back)
    connection.refresh_from_db()
    assert connection.state == "waiting"
    assert radicale.oauth.access_tokens == {}


def test_an_expired_token_is_refreshed(
    radicale: Radicale, room: Resource, staff: Client, googles: User
) -> None:
    calendar = google_calendar(radicale, room, staff, googles)
    first = calendar.connection.access_token
    CalendarConnection.objects.update(access_token_expires_at=datetime.now(UTC) - timedelta(1))
    hold(line(room))
    calendar.write()
    calendar.connection.refresh_from_db()
    assert calendar.connection.access_token != first
    radicale.oauth.expire_access()  # earlier than was said: the request itself is refused
    radicale.front.asked.clear()
    hold(line(room, 12, 13))
    calendar.write()
    assert [m for m, path in radicale.front.asked if path == "/oauth/token"] == ["POST"]
    calendar.assert_equal()
    assert len(calendar.events()) == 2


def test_consent_taken_back_needs_it_again(
    radicale: Radicale, room: Resource, staff: Client, googles: User
) -> None:
    calendar = google_calendar(radicale, room, staff, googles)
    radicale.oauth.revoke_all()
    hold(line(room))
    calendar.write()
    calendar.connection.refresh_from_db()
    assert calendar.connection.state == "needs_consent"
    shown = staff.get(page("change", calendar.connection)).content.decode()
    assert "connect it again" in shown
    assert page("consent", calendar.connection) in shown
    staff.get(consent(staff, calendar.connection))
    calendar.connection.refresh_from_db()
    assert calendar.connection.state == "connected"
    calendar.write()
    calendar.assert_equal()
    assert len(calendar.events()) == 1


@pytest.mark.long
def test_google_being_away_is_no_lack_of_consent(
    radicale: Radicale, room: Resource, staff: Client, googles: User
) -> None:
    calendar = google_calendar(radicale, room, staff, googles)
    CalendarConnection.objects.update(access_token_expires_at=None)
    radicale.front.fail(503)
    hold(line(room))
    calendar.write()
    calendar.connection.refresh_from_db()
    assert calendar.connection.state == "connected"
    radicale.front.behave()
    calendar.write()
    calendar.assert_equal()


def test_without_a_client_google_is_not_offered(room: Resource, staff: Client) -> None:
    assert not google.is_set_up()
    answer = staff.post(
        reverse("admin:bookings_calendarconnection_add"),
        {"workspace": str(room.workspace_id), "name": "x", "kind": "google", "username": "a@b.c",
         "max_age_seconds": "300", "resources-TOTAL_FORMS": "0", "resources-INITIAL_FORMS": "0"},
    )  # fmt: skip
    assert "Google is not set up here" in answer.content.decode()


def test_an_address_to_subscribe_to_is_an_https_one(room: Resource, staff: Client) -> None:
    address = "webcal://calendars.example/club.ics"
    add(staff, room, **{**ICS, "url": address}, **{"resources-0-reads": "on"})
    assert CalendarConnection.objects.get().url == "https://calendars.example/club.ics"


@override_settings(OUTBOUND_PRIVATE_ADDRESSES=False)
@pytest.mark.parametrize("url", ["http://ics.test/a.ics", "https://127.0.0.1/a.ics"])
def test_an_ics_address_is_public_and_encrypted(room: Resource, staff: Client, url: str) -> None:
    answer = staff.post(
        reverse("admin:bookings_calendarconnection_add"),
        {"workspace": str(room.workspace_id), "name": "x", "kind": "ics", "url": url,
         "max_age_seconds": "300", "resources-TOTAL_FORMS": "0", "resources-INITIAL_FORMS": "0"},
    )  # fmt: skip
    said = answer.content.decode()
    assert "This must start with https://." in said or "This address is a private one." in said
    assert not CalendarConnection.objects.exists()


# --- Letting go -----------------------------------------------------------------------------------


def test_disconnecting_removes_our_events_and_forgets(
    radicale: Radicale, room: Resource, staff: Client, googles: User
) -> None:
    calendar = google_calendar(radicale, room, staff, googles)
    hold(line(room))
    calendar.write()
    staff.post(page("disconnect", calendar.connection), {"reason": ""})
    assert connecting.leave(calendar.connection.pk)
    calendar.connection.refresh_from_db()
    assert calendar.connection.state == "disconnected"
    assert not calendar.connection.refresh_token
    assert not calendar.connection.access_token
    assert calendar.events() == []
    assert len(radicale.oauth.revoked) == 1
    assert not ConnectedResource.objects.exists()
    hold(line(room, 12, 13))
    assert writing.due() == []
    with pytest.raises(client.NeedsConsent):
        client.credentials(calendar.connection)


def test_a_reading_that_is_refused_meanwhile_keeps_nobody_from_letting_go(
    radicale: Radicale, room: Resource
) -> None:
    """It was begun before, and its answer comes when the password is good no longer."""
    calendar = connect(radicale, room)
    calendar.connection.resources.update(reads=True)
    hold(line(room))
    calendar.write()
    begun = reading._leased(calendar.connection.pk)
    assert begun is not None
    connecting.disconnect(calendar.connection.pk)
    reading._failed(begun, "It refuses us.", state="needs_consent")
    assert connecting.leave(calendar.connection.pk)
    calendar.connection.refresh_from_db()
    assert (calendar.connection.state, calendar.events()) == ("disconnected", [])


def test_another_calendar_is_connected_only_when_nothing_of_ours_stays_in_the_first(
    radicale: Radicale, room: Resource, staff: Client
) -> None:
    calendar = connect(radicale, room)
    hold(line(room))
    calendar.write()
    other = calendar.user.calendar("other")
    with pytest.raises(InvalidInput, match="Disconnect it first"):
        connecting.connect_caldav(calendar.connection, connecting.Choice(other, "other"))
    answer = staff.post(
        page("change", calendar.connection),
        {"workspace": str(room.workspace_id), "name": "x", "max_age_seconds": "300", "url": other,
         "username": calendar.user.name, "resources-TOTAL_FORMS": "0",
         "resources-INITIAL_FORMS": "0"},
    )  # fmt: skip
    assert "Disconnect it first" in answer.content.decode()
    connecting.connect_caldav(calendar.connection, connecting.Choice(calendar.url, "same"))
    connecting.disconnect(calendar.connection.pk)
    assert connecting.leave(calendar.connection.pk)
    assert calendar.events() == []
    connecting.connect_caldav(calendar.connection, connecting.Choice(other, "other"))
    assert (calendar.connection.state, calendar.connection.url) == ("connected", other)


def test_a_consent_is_kept_while_a_second_calendar_of_its_account_may_need_it(
    radicale: Radicale, room: Resource, staff: Client, googles: User
) -> None:
    calendar = google_calendar(radicale, room, staff, googles)
    second = CalendarConnection.objects.create(
        workspace=room.workspace, kind="google", name="Team", username="c_1@group.calendar.test"
    )
    connecting.disconnect(calendar.connection.pk)
    assert connecting.leave(calendar.connection.pk)
    assert radicale.oauth.revoked == []
    assert second.state == "connected"


@pytest.mark.long
def test_disconnecting_while_it_is_away_waits_and_then_lets_go(
    radicale: Radicale, room: Resource
) -> None:
    calendar = connect(radicale, room)
    hold(line(room))
    calendar.write()
    radicale.front.fail()
    connecting.disconnect(calendar.connection.pk)
    assert not connecting.leave(calendar.connection.pk)
    CalendarConnection.objects.update(leaving_since=datetime.now(UTC) - timedelta(days=2))
    assert connecting.leave(calendar.connection.pk)
    calendar.connection.refresh_from_db()
    assert calendar.connection.state == "disconnected"
    assert not calendar.connection.password


def test_a_calendar_that_is_not_connected_is_not_compared(radicale: Radicale) -> None:
    calendar = connect(radicale, make_room())
    CalendarConnection.objects.update(state="needs_consent")
    assert checking.due() == []
    assert checking.check(calendar.connection.pk) is None
    assert CalendarEvent.objects.count() == 0
