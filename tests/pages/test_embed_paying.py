"""Paying out of a frame: a window of its own, and a way back to allowed sites only."""

import re
from typing import Any

import pytest
from django.test import Client

from bookings.links import manage_token
from bookings.models import Booking, Resource
from holds.models import Hold
from payments.models import Checkout
from tests.core.support import lapse
from tests.factories import at, make_room
from tests.pages import support
from tests.pages.support import form_to, send, text
from tests.pages.test_embed import CLUB, assert_in_frame, embeddable, enter, hold, pay, told
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def room() -> Resource:
    return embeddable(make_room())


def part(held: str, ending: str) -> str:
    """Another of the frame's addresses."""
    return held.partition("hold/")[0] + ending


def paid(client: Client, sandbox: SandboxClient, held: str) -> tuple[str, str]:
    """Press Pay and pay: where the window ends, and the frame's page after paying."""
    assert pay(client, held).url == f"{held}paying/"
    kept = Hold.objects.select_related("booking").latest("created_at")
    url = client.get(part(held, f"go/{kept.token}/")).url
    assert url == Checkout.objects.latest("created_at").url
    known = manage_token(kept.booking)
    answer = sandbox.pay(url)
    assert answer.headers["Location"].endswith(part(held, f"back/{known}/"))
    return part(held, f"back/{known}/"), part(held, f"return/{known}/")


def links(answer: Any) -> set[str]:
    """Where the page leads elsewhere, but for calendars on the web."""
    found = set(re.findall(r'href="(http[^"]*)"', answer.content.decode()))
    return {each for each in found if "calendar" not in each}


def test_paid_in_a_window_it_is_confirmed_there_and_in_the_frame(
    client: Client, room: Resource, sandbox: SandboxClient
) -> None:
    held = hold(client, enter(client, room))
    token = Hold.objects.get().token
    waiting = client.get(part(held, f"go/{token}/"))
    assert "One moment" in text(waiting)
    assert_no_frame(waiting)
    assert not client.cookies
    window, after = paid(client, sandbox, held)
    assert client.get(f"{held}state/").json() == {
        "state": "active", "verdict": "open", "after": None,
    }  # fmt: skip
    assert "Pay in the other window" in text(client.get(f"{held}paying/"))
    assert Booking.objects.get().state == "pending_payment"
    # Whoever comes back to the tab has Stripe asked; nobody need have come to the other page.
    assert client.get(f"{held}state/?look").json() == {
        "state": "confirmed", "verdict": "confirmed", "after": after,
    }  # fmt: skip
    shown = client.get(after)
    assert_in_frame(shown)
    assert '"page": "confirmed"' in told(shown)
    assert client.get(f"{held}paying/").url == after
    assert not client.cookies
    back = client.get(window)
    assert "Confirmed. It is yours." in text(back)
    assert links(back) == {f"{CLUB}/book"}
    assert_no_frame(back)
    assert back.headers["Cross-Origin-Opener-Policy"] == "unsafe-none"
    assert Checkout.objects.count() == 1


def assert_no_frame(answer: Any) -> None:
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_no_way_back_leads_to_a_site_that_is_not_allowed(
    client: Client, room: Resource, sandbox: SandboxClient
) -> None:
    strange = [
        "https://evil.example/book", f"{CLUB}.evil.example/", f"{CLUB}@evil.example/",
        "//evil.example/", "javascript:alert(1)", "https://club.example:8443/", "http://club.example/",
    ]  # fmt: skip
    held = hold(client, enter(client, room))
    window, _ = paid(client, sandbox, held)
    bare = held.split("/")[3].partition("~")[0]
    for page in strange:
        look = enter(client, room, p=page).split("/")[3].partition("~")[2]
        answer = client.get(re.sub(r"~[\w-]*", f"~{look}", window))
        assert bare in window
        assert answer.status_code == 200
        assert not links(answer)
        assert "evil" not in answer.content.decode()


def test_lost_is_told_in_the_frame_with_what_is_near(
    client: Client, another: Client, room: Resource, sandbox: SandboxClient
) -> None:
    held = hold(client, enter(client, room))
    pay(client, held)
    url = Checkout.objects.get().url
    lapse(Hold.objects.get(), seconds=60)
    support.hold(another, room, at(10))
    sandbox.pay(url)
    after = client.get(f"{held}state/?look").json()["after"]
    shown = client.get(after)
    assert '"page": "expired"' in told(shown)
    assert "Your card was not charged" in text(shown)
    offer = form_to(shown, "/hold/")
    assert offer.action.startswith(part(held, "r/"))
    assert send(client, offer).url.startswith(part(held, "hold/"))
    assert not client.cookies
