"""Add-to-calendar links, and a member's own link on "my bookings"."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from bookings import ics_feeds
from bookings.calendar_links import links_of
from bookings.links import manage_token
from bookings.models import CalendarFeed, Line
from members.models import Member
from tests.factories import MemberFactory, at
from tests.pages.support import form_to, forms, send, text
from tests.pages.test_mine import booked

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(client: Client) -> Member:
    member = MemberFactory(email="ada@example.test", name="Ada")
    client.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
    return member


def query(address: str) -> dict[str, str]:
    """What the other side reads, whether it takes `+` for a space or not."""
    assert "+" not in address
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def test_each_link_says_what_when_and_where_and_gives_no_secret() -> None:
    booking = booked(None, name="Court & bar + “é” #1")
    lines = Line.objects.select_related("booking__workspace", "resource__location")
    (event,) = links_of(lines.filter(booking=booking))
    links = dict(event.links)
    assert list(links) == ["Google Calendar", "Outlook.com", "Office 365", "Yahoo"]
    title = f"Court & bar + “é” #1 ({booking.workspace.name})"
    google, outlook = query(links["Google Calendar"]), query(links["Outlook.com"])
    yahoo = query(links["Yahoo"])
    assert google["text"] == outlook["subject"] == yahoo["title"] == title
    assert google["dates"] == f"{at(9):%Y%m%dT%H%M%SZ}/{at(10):%Y%m%dT%H%M%SZ}"
    assert google["ctz"] == "Pacific/Auckland"
    assert datetime.fromisoformat(outlook["startdt"]) == at(9)
    assert datetime.fromisoformat(outlook["enddt"]) == at(10)
    assert datetime.strptime(yahoo["et"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) == at(10)
    assert "1 Queen Street, Auckland" in google["location"]
    assert booking.reference in google["details"]
    assert [name for name, address in links.items() if "%2Fb%2F" in address] == []


def test_the_manage_page_has_them_and_the_file(client: Client) -> None:
    booking = booked(None)
    token = manage_token(booking)
    html = client.get(f"/b/{token}/").content.decode()
    assert f'href="/b/{token}/calendar.ics"' in html
    for host in ("calendar.google.com", "outlook.live.com", "outlook.office.com"):
        assert f'href="https://{host}/' in html
    assert html.count('rel="noopener noreferrer"') == 4


def test_a_member_makes_renews_and_revokes_their_link(client: Client, ada: Member) -> None:
    booking = booked(ada)
    page = client.get("/my/")
    assert "Make an address" in text(page)
    made = send(client, form_to(page, "/my/calendar/"))
    assert (made.status_code, made.url) == (303, "/my/#calendar")
    page = client.get("/my/")
    feed = CalendarFeed.objects.get(revoked_at=None)
    address = ics_feeds.address_of(feed)
    assert f'value="{address}"' in page.content.decode()
    assert f'href="webcal://{address.partition("://")[2]}"' in page.content.decode()
    assert booking.reference in Client().get(f"/ical/{feed.token}.ics").content.decode()

    form = form_to(page, "/my/calendar/")
    send(client, form)
    send(client, form)
    assert CalendarFeed.objects.count() == 2, "a form sent twice makes one"
    assert Client().get(f"/ical/{feed.token}.ics").status_code == 410
    send(client, form_to(client.get("/my/"), "/my/calendar/revoke/"))
    assert not CalendarFeed.objects.filter(revoked_at=None).exists()
    assert "Make an address" in text(client.get("/my/"))


def test_nobody_makes_one_without_signing_in(client: Client) -> None:
    page = client.get("/my/")
    assert not [form for form in forms(page) if "calendar" in form.action]
    assert client.get("/my/calendar/").status_code == 302
    assert not CalendarFeed.objects.exists()
