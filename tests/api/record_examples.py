"""Writes the examples of the API's description, out of a story played on the real thing.

    uv run pytest -n 0 tests/api/record_examples.py

Its name keeps it out of the suite. Each call leaves one file in `config/openapi/examples`: what was
sent and what was answered, with ids, tokens and days put in place of the random and the present
ones, so that another recording changes only what has changed.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from rest_framework.exceptions import Throttled, UnsupportedMediaType

from bookings.models import Category, PriceRule, Resource
from config.api import MAX_BODY_BYTES, rfc3339
from config.kernel.errors import TemporarilyUnavailable, VersionMismatch
from config.openapi.describing import EXAMPLES
from config.problems import BodyTooLarge, exception_handler
from holds.errors import HoldExpired
from holds.models import Hold
from members.models import Member
from tests.api import conformance
from tests.api.client import Api, claim, line
from tests.factories import (
    LocationFactory,
    MemberFactory,
    WorkspaceFactory,
    at,
    make_add_on,
    make_api_key,
    make_pool,
    make_room,
)
from tests.money.support import latest, settle
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)
BASE = datetime(2030, 1, 7, tzinfo=UTC)  # the day on which the story books
URLS = {
    "success_url": "https://shop.example/done?session={CHECKOUT_SESSION_ID}",
    "cancel_url": "https://shop.example/back",
}
ANA = {"email": "ana@example.com", "name": "Ana Ngata"}
REASON = "The heating was broken"


@dataclass
class Recorder(Api):
    """A caller whose calls are written down; the first answer of each status stays."""

    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: dict[str, Any] = field(default_factory=dict)

    def _checked(
        self, method: str, path: str, response: HttpResponse, sent: str | bytes = ""
    ) -> HttpResponse:
        super()._checked(method, path, response, sent)
        operation = conformance.operation_of(method, f"/api/v1{path}")
        status, body = str(response.status_code), json.loads(response.content or "null")
        if response.status_code in {400, 401, 403, 404}:
            self.problems.setdefault(status, body)
            return response
        kept = self.calls.setdefault(operation["operationId"], {"parameters": {}, "responses": {}})
        if sent and response.status_code < 300:
            kept.setdefault("request", json.loads(sent))
        if body is not None:
            kept["responses"].setdefault(status, body)
        return response

    def asked(self, operation: str, parameters: dict[str, Any]) -> None:
        self.calls[operation]["parameters"] |= parameters


@pytest.fixture
def room(transactional_db: None) -> Resource:
    workspace = WorkspaceFactory(name="Harbour Rooms", slug="harbour-rooms")
    location = LocationFactory(
        workspace=workspace,
        name="Queen Street",
        slug="queen-street",
        latitude=-36.8485,
        longitude=174.7633,
    )
    category = Category.objects.create(
        workspace=workspace, name="Meeting room", slug="meeting-room"
    )
    shared = {"workspace": workspace, "location": location, "category": category}
    room = make_room(**shared, name="Kauri", slug="kauri", description="By the harbour.")
    projector = make_pool(**shared, name="Projector", slug="projector", capacity=2, price=0)
    make_add_on(room, projector, price_kind=PriceRule.Kind.PER_BOOKING, amount_minor=1500)
    return room


def test_record(room: Resource, sandbox: SandboxClient) -> None:
    _, secret = make_api_key(workspace=room.workspace)
    told = Recorder(secret)
    _look(told, room)
    booking = _book(told, room, sandbox)
    _refused(told, room)
    _change(told, room, booking)
    _credit(told)
    _wait(told, room)
    _cancel(told, booking)
    _write(told)


def _look(told: Recorder, room: Resource) -> None:
    found = {"category": "meeting-room", "seats": 4, "page_size": 20}
    told.get("/resources", **found)
    told.asked("resources_list", found)
    told.get(f"/resources/{room.id}")
    day = {"from": rfc3339(at(9)), "to": rfc3339(at(12)), "duration": 60, "step": 60}
    told.get(f"/resources/{room.id}/availability", **day)
    told.asked("resources_availability", day)
    extra = [{"resource": str(room.add_ons.get().pool_id), "quantity": 1}]
    told.post("/quotes", {"lines": [line(room, add_ons=extra)]}, key=None)


def _book(told: Recorder, room: Resource, sandbox: SandboxClient) -> str:
    MemberFactory(**ANA)
    extra = [{"resource": str(room.add_ons.get().pool_id), "quantity": 1}]
    held = told.post("/holds", {"lines": [line(room, add_ons=extra)], "member": ANA}).json()
    told.post("/holds", claim(room))
    told.get(f"/holds/{held['id']}")
    told.post(f"/holds/{held['id']}/extend")
    told.post(f"/holds/{held['id']}/extend")
    checkout = _paid(told, held["id"], sandbox)
    window = {"start": rfc3339(at(10)), "end": rfc3339(at(11))}
    told.get(f"/resources/{room.id}/explain", **window)
    told.asked("resources_explain", window)
    filters = {"state": "confirmed", "member": ANA["email"]}
    told.get("/bookings", **filters)
    told.asked("bookings_list", {"state": ["confirmed"], "member": ANA["email"]})
    told.get(f"/bookings/{held['booking']['id']}")
    told.get(f"/bookings/{held['booking']['id']}/events")
    assert checkout.state == "complete"
    return str(held["booking"]["id"])


def _paid(told: Recorder, hold_id: str, sandbox: SandboxClient) -> Any:
    """Pay for the hold at the sandbox; its Checkout."""
    told.post(f"/holds/{hold_id}/checkout", URLS)
    checkout = latest(Hold.objects.get(pk=hold_id))
    sandbox.pay(checkout.url)
    settle(checkout)
    told.post(f"/holds/{hold_id}/checkout", URLS)
    checkout.refresh_from_db()
    return checkout


def _refused(told: Recorder, room: Resource) -> None:
    """What every call may be refused for."""
    told.post("/holds", {"lines": [line(room, quantity=0)]})
    told.post("/holds", claim(room, 10.1))
    told.get(f"/holds/{room.id}")
    Recorder("", calls=told.calls, problems=told.problems).get("/bookings")
    _, reads = make_api_key(workspace=room.workspace, scope="read")
    Recorder(reads, calls=told.calls, problems=told.problems).post("/holds", claim(room))


def _change(told: Recorder, room: Resource, booking: str) -> None:
    later = {"lines": [{"line": 0, "start": rfc3339(at(14)), "end": rfc3339(at(16))}]}
    moved = told.post(f"/bookings/{booking}/reschedule", later).json()
    told.delete(f"/holds/{moved['hold']['id']}")
    back = {"amount_minor": 1000, "to": "card", "reason": REASON}
    told.post(f"/bookings/{booking}/refunds", back)
    told.post(f"/bookings/{booking}/refunds", back | {"amount_minor": 90000})
    told.get(f"/bookings/{booking}/refunds")


def _credit(told: Recorder) -> None:
    member = Member.objects.get(email=ANA["email"])
    gift = {"amount_minor": 2000, "reason": REASON, "expires_at": rfc3339(at(0, days=372))}
    told.post(f"/members/{member.pk}/credits", gift)
    told.get(f"/members/{member.pk}/credits")


def _wait(told: Recorder, room: Resource) -> None:
    wish = line(room) | {"member": {"email": "ben@example.com", "name": "Ben"}}
    entry = told.post("/waitlist", wish).json()
    told.post("/waitlist", wish)
    told.post("/waitlist", line(room, 20) | {"member": wish["member"]})
    told.get("/waitlist")
    told.get(f"/waitlist/{entry['id']}")
    told.delete(f"/waitlist/{entry['id']}")


def _cancel(told: Recorder, booking: str) -> None:
    told.post(f"/bookings/{booking}/cancel", {"reason": "Not needed", "refund": "policy"})


# --- Writing it down ----------------------------------------------------------------------------

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_REFERENCES = ["7KQM3XWP", "9VHT4RCN", "2JXD8FBG", "5PLW6ZSK"]


@dataclass
class Tidied:
    """Values that another recording gives as well, in the order in which they come."""

    shift: timedelta = field(default_factory=lambda: BASE - at(0))
    ids: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)

    def of(self, value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: self.of(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.of(inner) for inner in value]
        return self._text(value, name) if isinstance(value, str) else value

    def _text(self, value: str, name: str) -> str:
        if name == "token":
            return self.tokens.setdefault(value, f"example-{len(self.tokens) + 1}-of-a-token")
        if name == "reference" and value:
            given = _REFERENCES[len(self.references) % len(_REFERENCES)][: len(value)]
            return self.references.setdefault(value, given)
        if name == "payment_intent":
            return "pi_3QxExample0000000001"
        if name == "checkout_url":
            return "https://checkout.stripe.com/c/pay/cs_test_example"
        value = _UUID.sub(self._id, value)
        return _MOMENT.sub(self._moment, value)

    def _id(self, found: re.Match[str]) -> str:
        fresh = f"0198c1de-4a6f-7cc3-9d0e-{len(self.ids) + 1:012x}"
        return self.ids.setdefault(found[0], fresh)

    def _moment(self, found: re.Match[str]) -> str:
        moment = datetime.fromisoformat(found[0]) + self.shift
        return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def _write(told: Recorder) -> None:
    tidied = Tidied()
    for operation, kept in told.calls.items():
        parts = tidied.of(kept)
        order = ("parameters", "request", "responses")
        _save(operation, {name: parts[name] for name in order if parts.get(name)})
    problems = _rare() | told.problems
    _save("problems", {status: tidied.of(body) for status, body in sorted(problems.items())})
    assert not list(_left_behind()), "this machine's addresses stand in the examples"


def _rare() -> dict[str, Any]:
    """The problems that a story does not come by, as the API writes them."""
    errors = [
        HoldExpired(),
        VersionMismatch(),
        BodyTooLarge(max_bytes=MAX_BODY_BYTES),
        UnsupportedMediaType("text/plain"),
        Throttled(wait=20),
        TemporarilyUnavailable(),
    ]
    answers = [exception_handler(error, {}) for error in errors]
    return {str(answer.status_code): answer.data for answer in answers if answer is not None}


def _save(name: str, value: Any) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    (Path(EXAMPLES) / f"{name}.json").write_text(f"{text}\n")


def _left_behind() -> Iterable[str]:
    for path in Path(EXAMPLES).glob("*.json"):
        if "127.0.0.1" in path.read_text():
            yield path.name
