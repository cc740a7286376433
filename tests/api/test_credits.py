"""A member's credit over HTTP: issue, ledger, balance, and paying with it."""

from typing import Any
from uuid import uuid4

import pytest

from bookings.models import Resource
from config.api import rfc3339
from config.kernel.ids import new_id
from members.models import ApiKey, Member
from payments.models import CreditEntry
from tests.api.client import Api, problem
from tests.api.test_checkout import URLS
from tests.api.test_schema import conforms
from tests.factories import MemberFactory, at, make_api_key, make_room
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db
ROUTE = "/members/{member_id}/credits"


@pytest.fixture
def ana(api: Api, room: Resource) -> Member:
    """Somebody whose address has held something here."""
    api.hold(room, hour=1, member={"email": "ana@example.test", "name": "Ana"})
    return MemberFactory(email="ana@example.test")


def path(member: Member) -> str:
    return f"/members/{member.pk}/credits"


def give(api: Api, member: Member, minor: int = 1000, **more: Any) -> Any:
    response = api.post(path(member), {"amount_minor": minor, "reason": "Sorry"} | more)
    assert response.status_code == 201, response.content
    return response


def test_issue_and_read(api: Api, ana: Member, room: Resource, schema: Any) -> None:
    response = give(api, ana, expires_at=rfc3339(at(9)))
    conforms(schema, ROUTE, "post", response)
    body = response.json()
    assert body["balance"] == {"amount_minor": 1000, "currency": "NZD"}
    assert body["amount"] == {"amount_minor": 1000, "currency": "NZD"}
    assert (body["kind"], body["reason"], body["source"]) == ("goodwill", "Sorry", "api")
    assert body["expires_at"] == rfc3339(at(9))
    read = api.get(path(ana))
    conforms(schema, ROUTE, "get", read)
    assert read.json()["balance"] == body["balance"]
    assert [entry["id"] for entry in read.json()["results"]] == [body["id"]]
    entry = CreditEntry.objects.get()
    key = ApiKey.objects.get()
    assert (entry.actor_kind, entry.actor_id) == ("api_key", str(key.pk))


def test_a_key_issues_once(api: Api, ana: Member) -> None:
    body, key = {"amount_minor": 1000, "reason": "Sorry"}, str(uuid4())
    first = api.post(path(ana), body, key=key)
    again = api.post(path(ana), body, key=key)
    assert again["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()
    problem(api.post(path(ana), body | {"amount_minor": 1}, key=key), 422, "idempotency_key_reused")
    problem(api.post(path(ana), body, key=None), 400, "idempotency_key_required")
    assert CreditEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("amount_minor", {"amount_minor": 0}),
        ("amount_minor", {"amount_minor": -5}),
        ("amount_minor", {"amount_minor": 1.5}),
        ("amount_minor", {"amount_minor": None}),
        ("amount_minor", {"amount_minor": 10**12}),
        ("reason", {"reason": "  "}),
        ("reason", {"reason": None}),
        ("reason", {"reason": "x" * 501}),
        ("expires_at", {"expires_at": "tomorrow"}),
        ("expires_at", {"expires_at": "2020-01-01T00:00:00Z"}),
        ("currency", {"currency": "NZD"}),
    ],
)
def test_bad_input_names_the_field(
    api: Api, ana: Member, field: str, change: dict[str, Any]
) -> None:
    response = api.post(path(ana), {"amount_minor": 1000, "reason": "Sorry"} | change)
    assert field in problem(response, 400, "invalid")["errors"]
    assert not CreditEntry.objects.exists()


def test_only_members_of_this_workspace(api: Api, ana: Member, room: Resource) -> None:
    """A stranger, one of another workspace and one that never was are all the same."""
    stranger = MemberFactory()
    there = make_room()
    _, secret = make_api_key(workspace=there.workspace)
    theirs = Api(secret)
    theirs.hold(there, member={"email": "bo@example.test", "name": "Bo"})
    bo = MemberFactory(email="bo@example.test")
    give(theirs, bo)
    for member_id in (stranger.pk, bo.pk, new_id()):
        for answer in (
            api.get(f"/members/{member_id}/credits"),
            api.post(f"/members/{member_id}/credits", {"amount_minor": 1, "reason": "x"}),
        ):
            problem(answer, 404, "not_found")
    problem(theirs.get(path(ana)), 404, "not_found")
    assert CreditEntry.objects.count() == 1


def test_a_key_that_may_only_read(room: Resource, ana: Member) -> None:
    _, secret = make_api_key(workspace=room.workspace, scope=ApiKey.Scope.READ)
    reader = Api(secret)
    body = {"amount_minor": 1, "reason": "x"}
    problem(reader.post(path(ana), body), 403, "insufficient_scope")
    assert reader.get(path(ana)).json()["results"] == []


def test_the_ledger_comes_in_pages(api: Api, ana: Member) -> None:
    for minor in (1, 2, 3):
        give(api, ana, minor)
    first = api.get(path(ana), page_size=2).json()
    assert [e["amount"]["amount_minor"] for e in first["results"]] == [3, 2]
    assert (first["previous"], first["balance"]["amount_minor"]) == (None, 6)
    second = api.http.get(first["next"], headers={"Authorization": f"Bearer {api.secret}"}).json()
    assert [e["amount"]["amount_minor"] for e in second["results"]] == [1]
    assert (second["next"], second["balance"]["amount_minor"]) == (None, 6)


def test_all_of_a_hold_is_paid_with_credit(api: Api, ana: Member, room: Resource) -> None:
    give(api, ana, 5000)
    held = api.hold(room, member={"email": ana.email, "name": "Ana"})
    answer = api.post(f"/holds/{held['id']}/checkout", URLS | {"credit_minor": 4500})
    assert answer.status_code == 200, answer.content
    assert answer.json()["checkout_url"] is None
    booking = api.get(f"/bookings/{held['booking']['id']}").json()
    assert (booking["state"], booking["credit"]["amount_minor"]) == ("confirmed", 4500)
    assert booking["paid"]["amount_minor"] == 0
    ledger = api.get(path(ana)).json()
    assert ledger["balance"]["amount_minor"] == 500
    assert ledger["results"][0]["booking"] == held["booking"]["id"]


@pytest.mark.parametrize(
    ("minor", "status", "code"),
    [
        (1001, 409, "not_enough_credit"),
        (4501, 422, "more_credit_than_owed"),
        (4490, 422, "rest_too_small"),
    ],
)
def test_what_cannot_be_spent_is_refused(
    api: Api, ana: Member, room: Resource, minor: int, status: int, code: str
) -> None:
    give(api, ana, 1000)
    held = api.hold(room, member={"email": ana.email, "name": "Ana"})
    answer = api.post(f"/holds/{held['id']}/checkout", URLS | {"credit_minor": minor})
    assert "credit_minor" in problem(answer, status, code)["errors"]
    assert api.get(f"/holds/{held['id']}").json()["state"] == "active"


@pytest.mark.django_db(transaction=True)
def test_a_part_is_paid_with_credit(
    api: Api, ana: Member, room: Resource, sandbox: SandboxClient
) -> None:
    give(api, ana, 1000)
    held = api.hold(room, member={"email": ana.email, "name": "Ana"})
    path_ = f"/holds/{held['id']}/checkout"
    first = api.post(path_, URLS | {"credit_minor": 1000}).json()
    assert api.post(path_, URLS | {"credit_minor": 1000}).json() == first
    assert api.get(path(ana)).json()["balance"]["amount_minor"] == 0
    sandbox.pay(first["checkout_url"], "pay")
    assert api.post(path_, URLS).json()["code"] == "payment_in_progress"
    booking = api.get(f"/bookings/{held['booking']['id']}").json()
    assert (booking["paid"]["amount_minor"], booking["credit"]["amount_minor"]) == (3500, 1000)
