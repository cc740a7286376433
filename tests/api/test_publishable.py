"""Publishable keys: what a stranger with one may do, from where, and what they are told."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client

from bookings.models import Booking, PriceRule, Resource
from config import api_urls
from config.api import ApiView
from config.kernel import clock
from holds.models import Hold
from members import api_keys
from members.models import ApiKey, IdempotencyKey, Workspace
from payments.models import Payment
from tests.api.client import ROOT, Api, claim, line, problem
from tests.factories import (
    PoolFactory,
    ResourceFactory,
    at,
    make_add_on,
    make_api_key,
    make_publishable_key,
    make_room,
)
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db
ORIGIN = "https://club.example"
URLS = {"success_url": f"{ORIGIN}/ok", "cancel_url": f"{ORIGIN}/no"}


@dataclass
class Page:
    """A page with a publishable key, in one browser."""

    key: str
    origin: str = ORIGIN
    visitor: str = ""
    address: str = "127.0.0.1"

    def __post_init__(self) -> None:
        self.visitor = self.visitor or uuid4().hex

    def ask(
        self, method: str, path: str, body: Any = None, *, token: str = "", **headers: str
    ) -> HttpResponse:
        sent = {"Authorization": f"Bearer {self.key}", "Surehold-Visitor": self.visitor}
        sent |= {"Origin": self.origin} if self.origin else {}
        sent |= {"Hold-Token": token} if token else {}
        sent |= {"Idempotency-Key": str(uuid4())} | headers
        data = "" if body is None else json.dumps(body)
        return Client(REMOTE_ADDR=self.address).generic(
            method, f"{ROOT}{path}", data, content_type="application/json", headers=sent
        )

    def get(self, path: str, *, token: str = "") -> HttpResponse:
        return self.ask("GET", path, token=token)

    def post(self, path: str, body: Any = None, *, token: str = "", **more: str) -> HttpResponse:
        return self.ask("POST", path, body, token=token, **more)

    def hold(self, room: Resource, hour: float = 10, **more: Any) -> Any:
        response = self.post("/holds", claim(room, hour, **more))
        assert response.status_code == 201, response.content
        return response.json()


@pytest.fixture
def page(room: Resource) -> Page:
    return Page(make_publishable_key(workspace=room.workspace))


# --- What is open -------------------------------------------------------------------------------

# Every route and method that a publishable key may use. What is not here is refused.
OPEN = {
    ("resources", "GET"),
    ("resource", "GET"),
    ("availability", "GET"),
    ("quotes", "POST"),
    ("holds", "POST"),
    ("hold", "GET"),
    ("hold", "DELETE"),
    ("hold-extend", "POST"),
    ("hold-checkout", "POST"),
}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def _routes() -> list[tuple[str, str, str]]:
    """Name, address and method of whatever the API answers, with an id in place of each one."""
    found = []
    for pattern in api_urls.urlpatterns:
        view = getattr(pattern.callback, "view_class", None)
        if view is None or not issubclass(view, ApiView):
            continue
        address = str(pattern.pattern)
        for name in pattern.pattern.converters:
            address = address.replace(f"<uuid:{name}>", str(uuid4()))
        own = [method for method in METHODS if hasattr(view, method.lower())]
        found += [(pattern.name, address, method) for method in own]
    return found


def test_every_route_that_is_not_opened_refuses_the_key(page: Page) -> None:
    routes = _routes()
    assert {(name, method) for name, _, method in routes} >= OPEN
    for name, address, method in routes:
        answer = page.ask(method, f"/{address}", {})
        if (name, method) in OPEN:
            assert answer.status_code in {200, 400, 404}, (name, method, answer.content)
        else:
            problem(answer, 403, "publishable_key_not_allowed")
    assert not Booking.objects.exists()


def test_reading_asking_and_letting_go(page: Page, room: Resource) -> None:
    assert page.get("/resources").json()["results"][0]["id"] == str(room.pk)
    assert page.get(f"/resources/{room.pk}").json()["name"] == room.name
    window = f"from={at(9):%Y-%m-%dT%H:%MZ}&to={at(12):%Y-%m-%dT%H:%MZ}"
    assert page.get(f"/resources/{room.pk}/availability?{window}").json()["free"]
    assert page.post("/quotes", claim(room)).status_code == 200

    held = page.hold(room, member={"email": "ada@example.test", "name": "Ada"})
    mine = f"/holds/{held['id']}"
    assert page.get(mine, token=held["token"]).json()["state"] == "active"
    assert page.post(f"{mine}/extend", token=held["token"]).status_code == 200
    assert page.ask("DELETE", mine, token=held["token"]).status_code == 204
    assert page.get(mine, token=held["token"]).json()["state"] == "released"


def test_a_hold_is_found_by_its_token_alone(page: Page, room: Resource, api: Api) -> None:
    mine, other = page.hold(room), api.hold(room, 12)
    for token in ["", mine["token"], "x" * 41, "\u00fc"]:
        for method, tail in [("GET", ""), ("DELETE", ""), ("POST", "/extend")]:
            answer = page.ask(method, f"/holds/{other['id']}{tail}", token=token)
            problem(answer, 404, "not_found")
        answer = page.post(f"/holds/{other['id']}/checkout", URLS, token=token)
        problem(answer, 404, "not_found")
    assert set(Hold.objects.values_list("state", flat=True)) == {"active"}
    assert api.get(f"/holds/{mine['id']}").status_code == 200  # a secret key needs none


def test_a_free_hold_is_confirmed_by_its_checkout(page: Page, room: Resource) -> None:
    PriceRule.objects.all().delete()
    held = page.hold(room, member={"email": "ada@example.test"})
    mine = f"/holds/{held['id']}"
    started = page.post(f"{mine}/checkout", URLS, token=held["token"])
    assert started.json()["checkout_url"] is None
    assert page.get(mine, token=held["token"]).json()["state"] == "confirmed"


def test_who_pays_has_said_who_they_are(page: Page, room: Resource) -> None:
    """Limits by person are counted when paying at the latest: as on the hold's page."""
    PriceRule.objects.all().delete()
    held = page.hold(room)
    path = f"/holds/{held['id']}/checkout"
    body = problem(page.post(path, URLS, token=held["token"]), 400, "invalid")
    assert set(body["errors"]) == {"member.email"}
    assert Hold.objects.get().state == "active"
    named = URLS | {"member": {"email": "ada@example.test", "name": "Ada"}}
    assert page.post(path, named, token=held["token"]).status_code == 200
    booking = Booking.objects.get()
    assert (booking.state, booking.email, booking.name) == ("confirmed", "ada@example.test", "Ada")


@pytest.mark.django_db(transaction=True)
def test_what_is_paid_is_settled_on_the_way_back(sandbox: SandboxClient) -> None:
    """No webhook and no worker: the site's page asks what came of it and is told at once."""
    page = Page(make_publishable_key(workspace=(room := make_room()).workspace))
    held = page.hold(room, member={"email": "ada@example.test"})
    mine, token = f"/holds/{held['id']}", held["token"]
    url = page.post(f"{mine}/checkout", URLS, token=token).json()["checkout_url"]
    said = {"payment": {"provider": "x", "reference": "y", "amount_minor": 1, "currency": "NZD"}}
    assert page.post(f"{mine}/confirm", said, token=token).status_code in {403, 404}
    assert page.get(mine, token=token).json()["state"] == "active"

    back = sandbox.pay(url).headers["Location"]
    assert back.startswith(f"{settings.SITE_URL}/paid/")
    arrived = Client().get(back.removeprefix(settings.SITE_URL))
    assert (arrived.status_code, arrived["Location"]) == (303, URLS["success_url"])
    assert page.get(mine, token=token).json()["state"] == "confirmed"
    assert Payment.objects.get().state == "captured"
    tampered = back.removeprefix(settings.SITE_URL).replace("/paid/", "/paid/x")
    assert Client().get(tampered).status_code == 404


# --- What strangers do not get ------------------------------------------------------------------


def test_what_is_not_public_is_not_there(page: Page, room: Resource) -> None:
    beside = {"workspace": room.workspace, "location": room.location}
    hidden = [
        ResourceFactory(visibility="members", **beside),
        ResourceFactory(visibility="groups", **beside),
        ResourceFactory(is_active=False, **beside),
        make_room(),
    ]
    window = f"from={at(9):%Y-%m-%dT%H:%MZ}&to={at(12):%Y-%m-%dT%H:%MZ}"
    listed = page.get("/resources?next_free=60").json()["results"]
    assert [each["id"] for each in listed] == [str(room.pk)]
    for other in hidden:
        problem(page.get(f"/resources/{other.pk}"), 404, "not_found")
        problem(page.get(f"/resources/{other.pk}/availability?{window}"), 404, "not_found")
        problem(page.post("/quotes", claim(other)), 422, "unknown_resource")
        problem(page.post("/holds", claim(other)), 422, "unknown_resource")
        both = {"lines": [line(room), line(other)]}
        problem(page.post("/holds", both), 422, "unknown_resource")
    assert not Booking.objects.exists()


def test_the_catalogue_says_what_its_page_says(page: Page, room: Resource, api: Api) -> None:
    """No buffers, no prices of groups, no add-ons that guests do not see."""
    Resource.objects.filter(pk=room.pk).update(buffer_after_seconds=900)
    group = room.workspace.member_groups.create(name="Trustees")
    PriceRule.objects.create(resource=room, kind="per_hour", amount_minor=1, group=group)
    secret = PoolFactory(
        workspace=room.workspace, location=room.location, name="Safe", visibility="members"
    )
    make_add_on(room, secret)
    make_add_on(room)
    told = page.get(f"/resources/{room.pk}").json()
    assert not {"buffer_before_seconds", "buffer_after_seconds"} & set(told["rules"])
    assert [price["group"] for price in told["prices"]] == [None]
    assert [offer["name"] for offer in told["add_ons"]] == ["Helmet"]
    with_it = {"lines": [line(room, add_ons=[{"resource": str(secret.pk)}])]}
    for path in ("/quotes", "/holds"):
        problem(page.post(path, with_it), 422, "unknown_resource")
    full = api.get(f"/resources/{room.pk}").json()
    assert (len(full["prices"]), len(full["add_ons"])) == (2, 2)
    assert full["rules"]["buffer_after_seconds"] == 900


def test_a_hold_says_nothing_of_people(page: Page, room: Resource, api: Api) -> None:
    held = page.hold(room, member={"email": "ada@example.test", "name": "Ada"})
    assert set(held) == {"id", "token", "state", "expires_at", "booking", "change"}
    assert set(held["booking"]) == {
        "id", "reference", "state", "version", "lines", "total", "discount",
    }  # fmt: skip
    taken = problem(Page(page.key).post("/holds", claim(room)), 409, "slot_taken")
    assert "ada" not in json.dumps(taken).lower()
    assert held["token"] not in json.dumps(taken)


def test_nobody_has_anothers_prices_credit_or_time(page: Page, room: Resource) -> None:
    """What a stranger says of themselves is nobody's word, and terms are the workspace's."""
    refused = page.post("/holds", claim(room, ttl_seconds=7200))
    problem(refused, 403, "publishable_key_not_allowed")
    held = page.hold(room, member={"email": "rich@example.test"})
    spent = page.post(
        f"/holds/{held['id']}/checkout", URLS | {"credit_minor": 100}, token=held["token"]
    )
    problem(spent, 403, "publishable_key_not_allowed")
    kept = Hold.objects.get()
    assert (kept.state, kept.member) == ("active", None)
    assert kept.expires_at - kept.created_at == timedelta(seconds=900)


def test_the_way_back_leads_to_the_keys_own_sites_only(page: Page, room: Resource) -> None:
    held = page.hold(room)
    for url in [
        "https://evil.example/",
        f"{ORIGIN}.evil.example/",
        "https://club.example@evil.example/",
        "https://club.example:8443/",
        "http://club.example/",
        "https://club.example\\@evil.example/",
        "javascript:alert(1)",
        "//club.example/",
    ]:
        for urls in ({**URLS, "success_url": url}, {**URLS, "cancel_url": url}):
            answer = page.post(f"/holds/{held['id']}/checkout", urls, token=held["token"])
            problem(answer, 400, "invalid")
    forged = Client().get("/paid/eyJ1cmwiOiJodHRwczovL2V2aWwuZXhhbXBsZSJ9:x/")
    assert forged.status_code == 404


# --- Origins ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    ["", "null", "https://evil.example", "http://club.example", "https://club.example:8443",
     "https://www.club.example", "https://club.example/", "HTTPS://CLUB.EXAMPLE"],
)  # fmt: skip
def test_other_origins_are_refused_and_read_nothing(page: Page, origin: str) -> None:
    answer = Page(page.key, origin=origin).get("/resources")
    problem(answer, 403, "origin_not_allowed")
    assert "Access-Control-Allow-Origin" not in answer
    assert "Origin" in answer["Vary"]


def test_answers_and_errors_can_be_read_from_the_keys_origin(page: Page, room: Resource) -> None:
    for answer in [
        page.get("/resources"),
        page.post("/holds", {}),
        page.get("/bookings"),
        page.get(f"/holds/{uuid4()}"),
    ]:
        assert answer["Access-Control-Allow-Origin"] == ORIGIN
        assert {"ETag", "Retry-After", "Idempotent-Replayed"} <= set(
            answer["Access-Control-Expose-Headers"].split(", ")
        )
        assert "Origin" in answer["Vary"]
        assert "Access-Control-Allow-Credentials" not in answer


def _preflight(origin: str) -> HttpResponse:
    return Client().options(
        f"{ROOT}/holds",
        headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
    )


def test_preflights_are_answered_for_listed_origins_only(page: Page) -> None:
    asked = _preflight(ORIGIN)
    assert asked.status_code == 204
    assert asked["Access-Control-Allow-Origin"] == ORIGIN
    allowed = asked["Access-Control-Allow-Headers"].split(", ")
    assert {"Authorization", "Idempotency-Key", "Hold-Token", "Surehold-Visitor"} <= set(allowed)
    for origin in ("https://evil.example", "null", "*"):
        refused = _preflight(origin)
        assert "Access-Control-Allow-Origin" not in refused
        assert refused.status_code == 401
    ApiKey.objects.update(revoked_at=clock.now())
    assert "Access-Control-Allow-Origin" not in _preflight(ORIGIN)


def test_secret_keys_cannot_be_used_in_pages(page: Page, room: Resource) -> None:
    _, secret = make_api_key(workspace=room.workspace)
    answer = Page(secret).get("/resources")
    assert answer.status_code == 200  # a server may send what it likes
    assert "Access-Control-Allow-Origin" not in answer


def test_a_key_reads_for_its_own_origins_not_for_those_of_others(page: Page) -> None:
    other = make_publishable_key(workspace=make_room().workspace, origins=["https://b.example"])
    assert _preflight("https://b.example").status_code == 204
    problem(Page(page.key, origin="https://b.example").get("/resources"), 403, "origin_not_allowed")
    assert Page(other, origin="https://b.example").get("/resources").status_code == 200


def test_a_revoked_key_is_gone(page: Page) -> None:
    api_keys.revoke(ApiKey.objects.get(shown=page.key))
    answer = page.get("/resources")
    problem(answer, 401, "unauthenticated")
    assert "Access-Control-Allow-Origin" not in answer


# --- Two browsers with one key ------------------------------------------------------------------


def test_two_browsers_never_share_an_answer(page: Page, room: Resource) -> None:
    """INV-8 within one browser: another's same key is another request, whatever it says."""
    other = Page(page.key)
    same = {"Idempotency-Key": "cart-1"}
    first = page.post("/holds", claim(room), **same)
    again = page.post("/holds", claim(room), **same)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()

    theirs = other.post("/holds", claim(room), **same)
    problem(theirs, 409, "slot_taken")
    assert "Idempotent-Replayed" not in theirs
    assert first.json()["token"] not in theirs.content.decode()
    third = Page(page.key).post("/holds", claim(room, 14), **same)
    assert third.status_code == 201  # not 422, which would tell of the others' key
    assert Hold.objects.count() == 2


def test_control_by_the_key_alone_a_browser_would_get_anothers_hold(
    page: Page, room: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test above is about: with secret keys' scope the same key hands out the token."""
    monkeypatch.setattr(ApiView, "scope", property(lambda view: f"key:{view.key.id}"))
    same = {"Idempotency-Key": "cart-1"}
    first = page.post("/holds", claim(room), **same)
    theirs = Page(page.key).post("/holds", claim(room), **same)
    assert theirs.json()["token"] == first.json()["token"]


def test_what_is_done_to_a_hold_is_remembered_with_the_hold(page: Page, room: Resource) -> None:
    PriceRule.objects.all().delete()
    other = Page(page.key)
    named = {"member": {"email": "ada@example.test"}}
    mine, theirs = page.hold(room, **named), other.hold(room, 14, **named)
    same = {"Idempotency-Key": "pay"}
    for who, held in ((page, mine), (other, theirs)):
        paid = who.post(f"/holds/{held['id']}/checkout", URLS, token=held["token"], **same)
        assert paid.status_code == 200
        assert "Idempotent-Replayed" not in paid
    stolen = other.post(f"/holds/{mine['id']}/checkout", URLS, **same)
    problem(stolen, 404, "not_found")
    assert IdempotencyKey.objects.filter(operation="holds.checkout").count() == 2


def test_a_claim_says_which_browser_it_is(page: Page, room: Resource) -> None:
    for visitor in ["short", "x" * 65, "with spaces in the middle of it"]:
        problem(Page(page.key, visitor=visitor).post("/holds", claim(room)), 400, "invalid")
    assert not Hold.objects.exists()


def test_ones_own_hold_is_never_in_the_way(page: Page, room: Resource) -> None:
    """After a reload without its token: the same time is the same hold, another replaces it."""
    first = page.hold(room)
    assert page.hold(room)["id"] == first["id"]
    longer = page.post("/holds", claim(room, 10, 2))
    assert longer.status_code == 201
    assert Hold.objects.get(pk=first["id"]).state == "released"
    assert Hold.objects.filter(state="active").count() == 1


# --- Limits -------------------------------------------------------------------------------------


def test_a_browser_holds_no_more_than_a_page_would_let_it(page: Page, room: Resource) -> None:
    Workspace.objects.update(max_live_holds_per_visitor=2, max_live_holds_per_address=3)
    somebody = Page(page.key, address="1.1.1.1")
    somebody.hold(room, 9), somebody.hold(room, 10)
    problem(somebody.post("/holds", claim(room, 11)), 429, "too_many_holds")
    fresh = Page(page.key, address="1.1.1.1")  # another id, the same address
    fresh.hold(room, 11)
    problem(fresh.post("/holds", claim(room, 12)), 429, "too_many_holds")
    assert Page(page.key, address="9.9.9.9").hold(room, 12)
    assert set(Hold.objects.values_list("address", flat=True)) == {"1.1.1.1", "9.9.9.9"}


@pytest.mark.django_db(transaction=True)
def test_an_address_that_asks_too_often_is_told_when_to_come_again(
    settings: Any,
) -> None:
    settings.VISITOR_READS_PER_MINUTE = 2
    page = Page(make_publishable_key(workspace=make_room().workspace), address="1.1.1.1")
    assert [page.get("/resources").status_code for _ in range(3)] == [200, 200, 429]
    refused = Page(page.key, address="1.1.1.1").get("/resources")
    problem(refused, 429, "rate_limited")
    assert int(refused["Retry-After"]) > 0
    assert refused["Access-Control-Allow-Origin"] == ORIGIN
    assert Page(page.key, address="9.9.9.9").get("/resources").status_code == 200


# --- What is described --------------------------------------------------------------------------


def test_the_description_says_which_key_does_what(schema: Any) -> None:
    assert set(schema["components"]["securitySchemes"]) == {"secretKey", "publishableKey"}
    for pattern in api_urls.urlpatterns:
        path = schema["paths"].get(f"{ROOT}/{_described(str(pattern.pattern))}", {})
        for method, operation in path.items():
            if "responses" in operation:
                opened = (pattern.name, method.upper()) in OPEN
                keys = ["secretKey", "publishableKey"] if opened else ["secretKey"]
                assert [name for each in operation["security"] for name in each] == keys, path


def _described(address: str) -> str:
    return address.replace("<uuid:", "{").replace(">", "}")
