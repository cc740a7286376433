"""Prices and discount codes in the admin: people's units, with examples and uses."""

from datetime import time
from typing import Any

import pytest

from bookings.models import Discount, PriceRule, Resource
from bookings.price_words import price_text
from holds.models import Hold
from members.models import MemberGroup
from tests.admin.conftest import SignIn
from tests.admin.support import add, change, changelist, deed
from tests.admin.test_catalogue import errors, form_of
from tests.core.support import hold, line
from tests.factories import WorkspaceFactory, make_pool, make_room

pytestmark = pytest.mark.django_db


def with_price(**fields: Any) -> dict[str, Any]:
    row = {"kind": "per_hour", "amount": "22.50", "label": ""} | fields
    named = {f"price_rules-0-{name}": value for name, value in row.items()}
    return {"price_rules-TOTAL_FORMS": "1", **named}


def made(as_role: SignIn, room: Resource, **fields: Any) -> PriceRule:
    data = form_of(room, **with_price(**fields))
    response = as_role("manager").post(add(Resource), data)
    assert response.status_code == 302, errors(response)
    return PriceRule.objects.get(resource__slug="aotea")


def test_a_price_with_conditions_stands_in_place_of_the_basic_one(
    as_role: SignIn, room: Resource
) -> None:
    group = MemberGroup.objects.create(workspace=room.workspace, name="Club", slug="club")
    rule = made(
        as_role,
        room,
        weekdays=["4", "0", "1", "2", "3"],
        from_time="08:00",
        to_time="12:00",
        until_seconds="90",
        from_quantity="3",
        group=str(group.pk),
    )
    assert (rule.amount_minor, rule.priority, rule.weekdays) == (2250, 1, "01234")
    assert (rule.from_time, rule.until_seconds, rule.from_quantity) == (time(8), 5400, 3)
    assert price_text(rule, "NZD") == (
        "NZ$22.50 per hour, Mon–Fri, 08:00–12:00, first 1 h 30 min of a booking, from 3 units, "
        "for Club, in place of the basic price"
    )


def test_a_plain_price_is_a_basic_one_and_a_surcharge_is_told_so(
    as_role: SignIn, room: Resource
) -> None:
    assert made(as_role, room).priority == 0
    Resource.objects.filter(slug="aotea").delete()
    assert made(as_role, room, from_time="18:00", priority="0").priority == 0


def test_another_workspaces_group_is_refused(as_role: SignIn, room: Resource) -> None:
    theirs = MemberGroup.objects.create(workspace=WorkspaceFactory(), name="X", slug="x")
    data = form_of(room, **with_price(group=str(theirs.pk)))
    assert as_role("manager").post(add(Resource), data).status_code == 200
    page = as_role("superuser").post(add(Resource), data)
    assert b"Choose a group of the same workspace" in page.content
    assert not Resource.objects.filter(slug="aotea").exists()


def test_examples_show_what_it_costs(as_role: SignIn, room: Resource) -> None:
    bikes = make_pool(workspace=room.workspace)
    PriceRule.objects.create(
        resource=bikes, kind="per_hour", amount_minor=2000, weekdays="56", priority=1
    )
    page = as_role("clerk").get(deed(bikes, "example_prices")).content.decode()
    for words in ("NZ$45.00 per hour", "Sat, Sun", "2 units: <strong>NZ$180.00", "NZ$80.00"):
        assert words in page, words
    asked = {"start_0": "2030-06-04", "start_1": "10:00", "end_0": "2030-06-04",
             "end_1": "11:30", "quantity": "3"}  # fmt: skip
    answer = as_role("clerk").get(deed(bikes, "example_prices"), asked).content.decode()
    assert "10:00–11:30" in answer
    assert "NZ$202.50" in answer
    assert as_role("owner").get(deed(make_room(), "example_prices")).status_code == 404


def test_a_reader_sees_prices_as_sentences(as_role: SignIn, room: Resource) -> None:
    page = as_role("clerk").get(change(room)).content.decode()
    assert "NZ$45.00 per hour" in page


def _code(room: Resource, **fields: str) -> dict[str, str]:
    inline = {f"uses-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL", "MIN_NUM", "MAX_NUM")}
    return (
        {"workspace": str(room.workspace_id), "code": "Winter", "is_active": "on"} | inline | fields
    )


def test_a_code_is_made_in_peoples_units_and_shows_its_uses(
    as_role: SignIn, room: Resource
) -> None:
    browser = as_role("manager")
    data = _code(room, amount="10.50", min_total="40", max_uses="3", resources=str(room.pk))
    response = browser.post(add(Discount), data)
    assert response.status_code == 302, errors(response)
    code = Discount.objects.get()
    assert (code.amount_minor, code.min_total_minor, code.percent) == (1050, 4000, None)
    held: Hold = hold(line(room), discount_code="winter")
    page = browser.get(change(code)).content.decode()
    assert held.booking.reference in page
    assert 'value="10.50"' in page
    shown = browser.get(changelist(Discount)).content.decode()
    assert "1 of 3" in shown
    assert "NZ$10.50" in shown


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"percent": "10", "amount": "5"}, "and not both"),
        ({}, "and not both"),
        ({"amount": "0.005"}, "NZD has 2 decimals"),
        ({"percent": "10", "code": "two words"}, "no spaces"),
    ],
)
def test_a_code_that_makes_no_sense_is_a_form_error(
    as_role: SignIn, room: Resource, fields: dict[str, str], sentence: str
) -> None:
    page = as_role("manager").post(add(Discount), _code(room, **fields))
    assert sentence in str(errors(page))
    assert not Discount.objects.exists()


def test_the_same_code_in_other_letters_is_refused(as_role: SignIn, room: Resource) -> None:
    Discount.objects.create(workspace=room.workspace, code="WINTER", percent=5)
    page = as_role("manager").post(add(Discount), _code(room, percent="10"))
    assert "There is such a code already" in page.content.decode()


def test_a_clerk_makes_no_codes(as_role: SignIn, room: Resource) -> None:
    assert as_role("clerk").post(add(Discount), _code(room, percent="10")).status_code == 403
