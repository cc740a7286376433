"""Lines and add-ons that belong together: where all of them fit again, and the way back to them."""

from dataclasses import replace

import pytest
from django.http import QueryDict

from bookings.equivalents import equivalents
from bookings.models import Line
from bookings.visibility import GUEST
from config.kernel import clock
from config.kernel.errors import InvalidInput
from holds.claims import AddOnRequest
from holds.models import Hold
from holds.parts import requests_of
from payments import attempts, rebooking
from payments.making_good.wishes import wish_of
from tests.core.support import hold, lapse, line, tomorrow
from tests.factories import BlockFactory, make_add_on, make_pool

pytestmark = pytest.mark.django_db


@pytest.fixture
def bikes():
    return make_pool(capacity=4)


@pytest.fixture
def helmets(bikes):
    return make_add_on(bikes, price_kind="per_hour", amount_minor=100, max_per_unit=2).pool


@pytest.fixture
def lost(bikes, helmets) -> Hold:
    """Two bikes with three helmets from 9 to 11, which lapsed; others have the helmets then."""
    held = hold(replace(line(bikes, 9, 11, 2), add_ons=(AddOnRequest(helmets.pk, 3),)))
    lapse(held)
    hold(line(helmets, 9, 12, 2))
    return held


def lines_of(held: Hold) -> list[Line]:
    return rebooking.lines_of(held.booking)


def found(held: Hold):
    return equivalents(
        viewer=GUEST, workspace_id=held.workspace_id, lines=lines_of(held), now=clock.now(), count=3
    )


def test_the_nearest_time_is_one_for_all_of_it(bikes, helmets, lost):
    nearest, *_ = found(lost)
    assert [(each.resource_id, each.quantity) for each in nearest.lines] == [
        (bikes.pk, 2),
        (helmets.pk, 3),
    ]
    starts = [each.start for each in found(lost)]
    assert starts == [tomorrow(7), tomorrow(6, 45), tomorrow(6, 30)], "helmets are back at noon"
    assert nearest.price.amount_minor == 2 * 2 * 4500 + 3 * 2 * 100


def test_elsewhere_at_that_time_only_with_what_goes_with_it(bikes, helmets, lost):
    kind = {"workspace": bikes.workspace, "category": bikes.category}
    make_pool(**kind)
    BlockFactory(resource=helmets, during=(tomorrow(13), tomorrow(14)), quantity=4)
    assert {each.resource_id for each in found(lost)} == {bikes.pk}
    twin = make_pool(**kind)
    other = make_add_on(twin, helmets, amount_minor=500, max_per_unit=2).pool
    assert other == helmets
    assert twin.pk not in {each.resource_id for each in found(lost)}, "no helmets at nine"
    helmets.capacity = 9
    helmets.save()
    there = next(each for each in found(lost) if each.resource_id == twin.pk)
    assert there.start == tomorrow(9)
    assert there.price.amount_minor == 2 * 2 * 4500 + 3 * 500


def test_the_button_asks_for_the_lines_with_their_add_ons(bikes, helmets, lost):
    start = tomorrow(12)
    posted = QueryDict(f"start={start:%Y-%m-%dT%H:%M}Z&resource={bikes.pk}")
    (asked,) = rebooking.lines_asked(lost.booking, lines_of(lost), posted)
    assert (asked.resource_id, asked.start, asked.end) == (bikes.pk, start, tomorrow(14))
    assert asked.add_ons == (AddOnRequest(helmets.pk, 3),)
    assert hold(asked).booking.total_minor == 18600
    with pytest.raises(InvalidInput):
        rebooking.lines_asked(
            lost.booking, lines_of(lost), QueryDict(f"start={start}&resource={helmets.pk}")
        )


def test_what_somebody_wanted_is_kept_with_its_add_ons(bikes, helmets, lost):
    """An incident's apology, and an attempt that failed, know what went with the line."""
    (wish,) = wish_of(lost.booking)
    assert wish["add_ons"] == [{"resource": str(helmets.pk), "quantity": 3}]
    (kept,) = attempts._lines_asked({"asked": {"lines": [wish]}, "address": {}}, bikes.workspace)
    assert kept == wish
    lines, quoted = attempts._wish(
        {"asked": {"lines": [wish]}, "address": {}}, bikes.workspace, clock.now()
    )
    assert (lines, quoted) == ([wish], 18600)
    too_many = wish | {"add_ons": [{"resource": str(helmets.pk), "quantity": 9}]}
    asked = {"asked": {"lines": [too_many]}, "address": {}}
    assert attempts._wish(asked, bikes.workspace, clock.now()) == ([], None)


def test_a_bookings_lines_are_the_claim_that_made_them(bikes, helmets, lost):
    (asked,) = requests_of(list(Line.objects.filter(booking=lost.booking_id)))
    assert asked == replace(line(bikes, 9, 11, 2), add_ons=(AddOnRequest(helmets.pk, 3),))
