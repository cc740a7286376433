"""Prices without holding, and holds with a discount code, over HTTP."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.models import Booking, Discount, PriceRule, Resource
from holds.models import Hold
from members.models import GroupMembership, MemberGroup, Workspace
from tests.api.client import Api, claim, line, problem
from tests.factories import MemberFactory, make_api_key, make_pool, make_room


def nzd(amount_minor: int) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": "NZD"}


def code(room: Resource, **columns: Any) -> Discount:
    return Discount.objects.create(
        **{"workspace_id": room.workspace_id, "code": "Winter", "percent": 10} | columns
    )


def test_a_quote_is_what_a_hold_then_costs(api: Api, room: Resource) -> None:
    Workspace.objects.update(tax_name="GST", tax_basis_points=1500, tax_is_added=True)
    bikes = make_pool(workspace=room.workspace)
    code(room)
    body = {"lines": [line(room), {**line(bikes), "quantity": 2}], "discount_code": "WINTER"}
    quoted = api.post("/quotes", body, key=None)
    assert quoted.status_code == 200, quoted.content
    found = quoted.json()
    assert [row["amount"] for row in found["lines"]] == [nzd(4658), nzd(9315)]
    assert found["total"] == nzd(13973)
    assert found["discount"] == {"code": "Winter", "amount": nzd(1350)}
    (tax,) = found["taxes"]
    assert (tax["amount"], tax["net"], tax["inclusive"]) == (nzd(1823), nzd(12150), False)
    assert not Booking.objects.exists()
    held = api.post("/holds", body | {"member": {"email": "a@b.test"}}).json()["booking"]
    stands = {"cancelled_at": None}
    assert held["lines"] == [each | stands for each in found["lines"]]
    for name in ("total", "discount"):
        assert held[name] == found[name]
    shown = api.get(f"/bookings/{held['id']}").json()
    assert (shown["lines"], shown["discount"]) == (held["lines"], held["discount"])


def test_a_key_that_may_only_read_may_quote(room: Resource) -> None:
    _, secret = make_api_key(workspace=room.workspace, scope="read")
    assert Api(secret).post("/quotes", claim(room), key=None).status_code == 200
    problem(Api(secret).post("/holds", claim(room)), 403, "insufficient_scope")


def test_a_members_group_prices_are_quoted_and_held(api: Api, room: Resource) -> None:
    group = MemberGroup.objects.create(workspace=room.workspace, name="Club", slug="club")
    member = MemberFactory()
    GroupMembership.objects.create(group=group, member=member)
    PriceRule.objects.create(
        resource=room, kind="per_hour", amount_minor=3000, priority=1, group=group
    )
    theirs = claim(room, member={"email": member.email.upper()})
    assert api.post("/quotes", claim(room), key=None).json()["total"] == nzd(4500)
    assert api.post("/quotes", theirs, key=None).json()["total"] == nzd(3000)
    assert api.post("/holds", theirs).json()["booking"]["total"] == nzd(3000)


@pytest.mark.parametrize("path", ["/quotes", "/holds"])
@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        ({"code": "Other"}, "discount_unknown"),
        ({"is_active": False}, "discount_unknown"),
        ({"valid_until": "2020-01-01T00:00Z"}, "discount_expired"),
        ({"max_uses": 0}, "discount_used_up"),
        ({"max_uses_each": 0}, "discount_used_up"),
        ({"min_total_minor": 10_000}, "discount_not_for_this"),
    ],
)
def test_a_code_that_cannot_be_used_names_its_field(
    api: Api, room: Resource, path: str, columns: dict[str, Any], kind: str
) -> None:
    code(room, **columns)
    body = claim(room, discount_code="winter", member={"email": "a@b.test"})
    refused = problem(api.post(path, body), 422, kind)
    assert list(refused["errors"]) == ["discount_code"]
    assert not Hold.objects.exists()


def test_bad_quotes_are_4xx(api: Api, room: Resource) -> None:
    elsewhere = make_room()
    problem(api.post("/quotes", {}), 400, "invalid")
    problem(api.post("/quotes", claim(room, nonsense=1)), 400, "invalid")
    problem(api.post("/quotes", claim(room, discount_code="x" * 41)), 400, "invalid")
    problem(api.post("/quotes", claim(room, hours=-1)), 400, "invalid")
    refused = {"lines": [line(room), line(elsewhere)]}
    assert problem(api.post("/quotes", refused), 422, "unknown_resource")["line"] == 1
    problem(api.post("/quotes", claim(room, 10.1)), 422, "window_not_allowed")


def test_a_quote_takes_as_many_statements_for_many_lines(api: Api, room: Resource) -> None:
    rooms = [room, *(make_room(workspace=room.workspace) for _ in range(4))]

    def statements(count: int) -> int:
        with CaptureQueriesContext(connection) as found:
            api.post("/quotes", {"lines": [line(each) for each in rooms[:count]]}, key=None)
        return len(found)

    assert statements(1) == statements(5) == 3  # the key, the clock, the rules
