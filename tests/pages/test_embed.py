"""The calendar in a frame: who may show it, whose it is, and that it needs no cookie."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from bookings.embed_look import segment_of
from bookings.links import manage_token
from bookings.models import PriceRule, Resource
from config.kernel.ids import new_id
from holds.models import Hold
from members.frames import Frame
from members.models import IdempotencyKey
from payments.models import Checkout
from tests.core.support import lapse
from tests.factories import MemberFactory, at, make_room
from tests.pages.support import Form, at_param, form_to, forms, send, text

pytestmark = pytest.mark.django_db

CLUB = "https://club.example"
CONTACT = {"email": "ada@example.test", "name": "Ada"}


@pytest.fixture
def room() -> Resource:
    return embeddable(make_room())


def embeddable(room: Resource, *origins: str) -> Resource:
    room.workspace.embed_origins = list(origins or [CLUB, "http://localhost:3000"])
    room.workspace.save()
    return room


def enter(client: Client, room: Resource, **look: Any) -> str:
    """The address of a frame for somebody new, of that resource."""
    said = {"look": segment_of({"p": f"{CLUB}/book", "o": True} | look), "visitor": ""}
    answer = client.get(f"/embed/{room.workspace.slug}/{room.slug}/", said)
    assert answer.status_code == 302
    return urlsplit(answer.url).path


def choose(client: Client, page: str, start: float = 10) -> Any:
    return client.get(page, {"at": at_param(at(start)), "minutes": "60"})


def hold(client: Client, page: str, start: float = 10) -> str:
    """Hold a time in the frame; the hold's address in it."""
    answer = send(client, form_to(choose(client, page, start), "/hold/"))
    assert answer.status_code == 303, text(answer)[:400]
    return str(answer.url)


def directive(answer: Any, name: str) -> str:
    return re.search(rf"{name} ([^;]*)", answer.headers["Content-Security-Policy"]).group(1)  # type: ignore[union-attr]


def assert_in_frame(answer: Any) -> None:
    """Only the workspace's sites may show it, and no cookie is set."""
    assert directive(answer, "frame-ancestors") == f"{CLUB} http://localhost:3000"
    assert "X-Frame-Options" not in answer.headers
    assert not answer.cookies
    assert "no-store" in answer.headers["Cache-Control"]


def test_every_page_of_the_way_stays_in_the_frame_without_cookies(
    client: Client, room: Resource
) -> None:
    page = enter(client, room)
    shown = choose(client, page)
    held = hold(client, page)
    week = client.get(f"{page}week/", headers={"HX-Request": "true"})
    whole = client.get(page.rpartition("r/")[0])
    for answer in (shown, week, whole, client.get(held), client.get(f"{held}clock/")):
        assert answer.status_code == 200
        assert_in_frame(answer)
    assert not client.cookies
    assert held.startswith(page.rpartition("r/")[0])
    assert "Sign in" not in text(shown)
    for form in [*forms(shown), *forms(client.get(held))]:
        assert urlsplit(form.action).path.startswith("/embed/")


def test_a_hold_is_the_visitors_over_reloads_and_once_per_form(
    client: Client, room: Resource
) -> None:
    page = enter(client, room)
    form = form_to(choose(client, page), "/hold/")
    assert len({send(client, form).url for _ in range(3)}) == 1
    kept = Hold.objects.get()
    assert kept.visitor in page
    assert "You hold" in text(client.get(page))
    assert "You hold" not in text(client.get(enter(client, room)))


def test_who_was_here_before_is_the_same_visitor(client: Client, room: Resource) -> None:
    first = client.get(f"/embed/{room.workspace.slug}/")
    assert (first.status_code, "data-enter" in first.content.decode()) == (200, True)
    assert_in_frame(first)
    known = enter(client, room).split("/")[3].partition("~")[0]
    for visitor, again in ((known, True), (known[:-2] + "AA", False), ("x", False)):
        said = {"visitor": visitor}
        answer = client.get(f"/embed/{room.workspace.slug}/", said)
        assert (known in answer.url) is again
        assert client.get(answer.url).status_code == 200


def test_letting_go_and_the_end_of_a_hold_are_told(client: Client, room: Resource) -> None:
    page = enter(client, room)
    held = hold(client, page)
    assert send(client, form_to(client.get(held), "/let-go/")).url == held
    assert '"page": "released"' in told(client.get(held))
    second = hold(client, page, 12)
    lapse(Hold.objects.get(state="active"), seconds=1)
    assert '"page": "expired"' in told(client.get(second))
    assert client.get(f"{second}state/").json()["after"] == second


def told(answer: Any) -> str:
    found = re.search(r'data-frame="([^"]*)"', answer.content.decode())
    assert found
    return found.group(1).replace("&quot;", '"')


def test_what_is_told_to_the_page_around_has_no_secret(client: Client, room: Resource) -> None:
    held = hold(client, enter(client, room))
    said = re.sub(r'"poll": "[^"]*"', "", told(client.get(held)))
    kept = Hold.objects.select_related("booking").get()
    assert kept.booking.reference in said
    assert f'"host": "{CLUB}"' in said
    assert kept.token not in said
    assert str(kept.booking_id) not in said
    stranger = enter(client, room, p="https://evil.example/")
    assert '"host": ""' in told(client.get(stranger))


def changed_nothing() -> bool:
    kept = Hold.objects.filter(state="active").count()
    return kept == Hold.objects.count() and not Checkout.objects.exists()


def test_forms_without_the_frames_token_are_refused(client: Client, room: Resource) -> None:
    page = enter(client, room)
    held = hold(client, page)
    count = IdempotencyKey.objects.count()
    foreign = form_to(choose(client, enter(client, room), 12), "/hold/").fields
    for ending in ("/pay/", "/let-go/", "/hold/"):
        form = form_to(client.get(held if ending != "/hold/" else choose_url(page)), ending)
        for forged in (None, "", "x", foreign["csrfmiddlewaretoken"]):
            fields = form.fields | CONTACT | {"csrfmiddlewaretoken": forged}
            sent = {name: value for name, value in fields.items() if value is not None}
            answer = client.post(form.action, sent)
            assert answer.status_code == 403
            assert_in_frame(answer)
    assert changed_nothing()
    assert Hold.objects.count() == 1
    assert IdempotencyKey.objects.count() == count


def choose_url(page: str) -> str:
    return f"{page}?at={at_param(at(14))}&minutes=60"


def test_a_form_from_another_site_is_refused(client: Client, room: Resource) -> None:
    form = form_to(choose(client, enter(client, room)), "/hold/")
    for origin in (CLUB, "null", "http://testserver:81"):
        answer = client.post(form.action, form.fields, headers={"Origin": origin})
        assert answer.status_code == 403
    assert not Hold.objects.exists()
    answer = client.post(form.action, form.fields, headers={"Origin": "http://testserver"})
    assert answer.status_code == 303


def test_a_made_up_request_id_is_refused(client: Client, room: Resource) -> None:
    form = form_to(choose(client, enter(client, room)), "/hold/")
    assert send(client, form, request_id=new_id().hex).status_code == 400
    assert not Hold.objects.exists()


def test_forged_and_foreign_visitors_find_nothing(client: Client, room: Resource) -> None:
    page = enter(client, room)
    held = hold(client, page)
    bare = Frame(room.workspace.slug, Hold.objects.get().visitor).bare
    other = embeddable(make_room(workspace__slug="elsewhere"))
    elsewhere = Frame(other.workspace.slug, Hold.objects.get().visitor)
    mine = manage_token(Hold.objects.get().booking)
    stranger = enter(client, room).split("/")[3]
    for address in (
        held.replace(bare, bare[:-3] + "AAA"),
        held.replace(bare, "f" * 32 + bare[32:]),
        page.replace(room.workspace.slug, other.workspace.slug),
    ):
        answer = client.get(address)
        assert answer.status_code == 404
        assert directive(answer, "frame-ancestors") == "'none'"
    base = f"/embed/{room.workspace.slug}/{stranger}/"
    token = Hold.objects.get().token
    for ending in (f"hold/{token}/", f"hold/{token}/state/", f"return/{mine}/"):
        assert client.get(base + ending).status_code == 404
        assert client.get(f"/embed/elsewhere/{elsewhere.segment}/{ending}").status_code == 404
    for ending in (f"go/{token}/", f"back/{mine}/"):
        assert client.get(base + ending).status_code == 404
    fields = {"csrfmiddlewaretoken": Frame(room.workspace.slug, stranger[:32]).form_token}
    assert client.post(f"{base}hold/{token}/let-go/", fields).status_code == 404
    assert Hold.objects.get().state == "active"


def test_a_link_to_somebody_elses_frame_opens_the_ordinary_page(
    client: Client, room: Resource
) -> None:
    """Who made it would see there what whoever follows it holds."""
    page = enter(client, room)
    bare = page.split("/")[3]
    ours = f"/w/{room.workspace.slug}/"
    for site in ("cross-site", "same-site", "none"):
        led = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Site": site}
        assert client.get(f"{page}?new", headers=led).url == f"{ours}{room.slug}/"
        assert client.get(page.rpartition("r/")[0], headers=led).url == ours
        told_first = client.get(f"/embed/{room.workspace.slug}/", {"visitor": bare}, headers=led)
        assert told_first.status_code == 200
        assert "data-enter" in told_first.content.decode()
    for dest, site in (("iframe", "cross-site"), ("document", "same-origin")):
        own = {"Sec-Fetch-Dest": dest, "Sec-Fetch-Site": site}
        assert_in_frame(client.get(page, headers=own))


def test_nobody_is_signed_in_within_a_frame(client: Client, room: Resource) -> None:
    member = MemberFactory()
    client.force_login(member)
    before = dict(client.cookies)
    hidden = embeddable(make_room(workspace=room.workspace, slug="hidden", visibility="members"))
    assert client.get(f"/w/{room.workspace.slug}/hidden/").status_code == 200
    page = enter(client, room)
    hold(client, page)
    assert Hold.objects.get().member is None
    gone = client.get(page.replace(f"/r/{room.slug}/", f"/r/{hidden.slug}/"))
    assert gone.status_code == 404
    assert_in_frame(gone)
    whole = text(client.get(page.rpartition("r/")[0]))
    assert room.name in whole
    assert hidden.name not in whole
    after = {name: morsel.value for name, morsel in client.cookies.items()}
    assert after["sessionid"] == before["sessionid"].value
    assert client.get("/my/").status_code == 200


def test_without_sites_there_is_no_frame_and_no_other_page_is_framed(
    client: Client, room: Resource
) -> None:
    page = enter(client, room)
    held = hold(client, page)
    token = Hold.objects.get().token
    for path in ("/", f"/w/{room.workspace.slug}/", f"/hold/{token}/", "/embed.js", "/sign-in/"):
        answer = client.get(path)
        assert directive(answer, "frame-ancestors") == "'none'"
        assert answer.headers["X-Frame-Options"] == "DENY"
    room.workspace.embed_origins = []
    room.workspace.save()
    for path in (page, held, f"/embed/{room.workspace.slug}/"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert directive(answer, "frame-ancestors") == "'none'"
    # What got past the form's check has no place in the header.
    room.workspace.embed_origins = ["https://a.example; script-src *", "*", CLUB]
    room.workspace.save()
    assert directive(client.get(page), "frame-ancestors") == CLUB


def test_the_script_is_for_every_site(client: Client) -> None:
    answer = client.get("/embed.js")
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    assert b"surehold-calendar" in answer.content
    assert len(answer.content) < 20_000
    again = client.get("/embed.js", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content, client.cookies.output()) == (304, b"", "")


def test_the_locale_says_how_days_are_written(client: Client, room: Resource) -> None:
    german = client.get(enter(client, room, l="de"))
    english = client.get(enter(client, room))
    days = re.compile(r"<span>(Mo|Di|Mi|Do|Fr|Sa|So)</span>")
    assert days.search(german.content.decode())
    assert not days.search(english.content.decode())
    assert client.get(enter(client, room, l="xx-nonsense")).status_code == 200


def pay(client: Client, held: str, **typed: str) -> Any:
    form: Form = form_to(client.get(held), "/pay/")
    return send(client, form, **(CONTACT | typed))


def test_a_free_time_is_booked_within_the_frame(client: Client) -> None:
    free = embeddable(make_room())
    PriceRule.objects.all().delete()
    held = hold(client, enter(client, free))
    page = client.get(held)
    assert "data-window" not in page.content.decode()
    answer = pay(client, held)
    done = client.get(answer.url)
    assert '"page": "confirmed"' in told(done)
    assert "Confirmed. It is yours." in text(done)
    assert_in_frame(done)
    assert client.get(f"{held}state/").json()["after"] == answer.url


def test_the_form_says_what_is_missing_in_the_frame(client: Client, room: Resource) -> None:
    held = hold(client, enter(client, room))
    answer = pay(client, held, email="nonsense")
    assert answer.status_code == 422
    assert "Enter an address like" in text(answer)
    assert_in_frame(answer)
