"""Pools in the admin: offers, fewer units than are booked, blocks of units, and the counter."""

from typing import Any

import pytest

from bookings import units
from bookings.capacity import CapacityTaken, in_the_way, set_capacity
from bookings.errors import SlotTaken
from bookings.models import AddOn, Block, BookingEvent, Resource, Unit, UnitAssignment
from bookings.services import cancel
from config.kernel.errors import InvalidInput, InvalidTransition
from tests.admin.conftest import SignIn
from tests.admin.support import ANA, add, change, confirmed, deed, place
from tests.admin.test_catalogue import block_form, errors, form_of
from tests.core import raw
from tests.core.raw import EXCLUSION, RESTRICT, refused, sql
from tests.core.support import hold, lapse, line
from tests.factories import BlockFactory, at, make_add_on, make_pool, make_room

pytestmark = pytest.mark.django_db


@pytest.fixture
def bikes(room: Resource) -> Resource:
    return make_pool(
        workspace=room.workspace, location=room.location, category=room.category, capacity=4,
        price=0,
    )  # fmt: skip


# --- Offers -------------------------------------------------------------------------------------


def offer_form(pool: Resource, **changes: str) -> dict[str, str]:
    said = {"pool": str(pool.pk), "is_required": "on", "max_per_unit": "2",
            "price_kind": "per_hour", "amount": "3.50", "position": "0"} | changes  # fmt: skip
    return {"add_ons-TOTAL_FORMS": "1"} | {f"add_ons-0-{name}": v for name, v in said.items()}


def test_an_offer_is_made_in_money_as_people_write_it(
    as_role: SignIn, room: Resource, bikes: Resource
) -> None:
    as_role("manager").post(add(Resource), form_of(room, **offer_form(bikes)))
    made = AddOn.objects.get(resource__slug="aotea")
    assert (made.pool, made.is_required, made.max_per_unit) == (bikes, True, 2)
    assert (made.price_kind, made.amount_minor) == ("per_hour", 350)
    page = as_role("manager").get(change(made.resource)).content.decode()
    assert 'name="add_ons-0-amount" value="3.50"' in page
    assert "3.50" in as_role("clerk").get(change(made.resource)).content.decode()


def test_only_pools_of_ones_own_workspace_are_offered(
    as_role: SignIn, room: Resource, bikes: Resource
) -> None:
    elsewhere = make_pool()
    for wrong in (room, elsewhere):
        page = as_role("manager").post(add(Resource), form_of(room, **offer_form(wrong)))
        assert "Select a valid choice" in page.content.decode()
    page = as_role("superuser").post(add(Resource), form_of(room, **offer_form(elsewhere)))
    assert "An add-on is a pool of the same workspace." in str(errors(page))
    fraction = form_of(room, **offer_form(bikes, amount="3.505"))
    assert b"NZD has 2 decimals" in as_role("manager").post(change(room), fraction).content
    assert not AddOn.objects.exists()


# --- Fewer units --------------------------------------------------------------------------------


def test_a_capacity_below_bookings_is_refused_with_the_list(
    as_role: SignIn, room: Resource, bikes: Resource
) -> None:
    in_way = [place(bikes, 10, 2, quantity=2), place(bikes, 11, 2, quantity=2)]
    beside = place(bikes, 15, quantity=3)
    BlockFactory(resource=bikes, during=(at(16), at(17)), quantity=4, reason="In repair")
    lower = form_of(bikes, mode="pooled", capacity="3")
    said = str(errors(as_role("manager").post(change(bikes), lower))["capacity"])
    assert "More units than that are booked already." in said
    for held in in_way:
        assert f"{held.booking.reference}, 2 units" in said
    assert "the block “In repair”, 4 units" in said
    assert beside.booking.reference not in said
    bikes.refresh_from_db()
    assert bikes.capacity == 4


def test_the_service_refuses_with_the_list_and_lowers_what_can_be(bikes: Resource) -> None:
    held = place(bikes, 10, quantity=3)
    with pytest.raises(CapacityTaken) as caught:
        set_capacity(resource_id=bikes.pk, capacity=2)
    assert [each.reference for each in caught.value.in_the_way] == [held.booking.reference]
    assert caught.value.as_problem()["in_the_way"][0]["quantity"] == 3
    set_capacity(resource_id=bikes.pk, capacity=3)
    set_capacity(resource_id=bikes.pk, capacity=9)
    assert Resource.objects.get(pk=bikes.pk).capacity == 9


def test_only_what_adds_up_beyond_it_is_in_the_way(bikes: Resource) -> None:
    early, late = place(bikes, 9, 2, quantity=2), place(bikes, 10, 2, quantity=1)
    place(bikes, 11, quantity=1)
    found = in_the_way(bikes, 2)
    assert [each.booking_id for each in found] == [early.booking_id, late.booking_id]
    assert in_the_way(bikes, 3) == []


def test_a_hold_that_lapsed_is_in_the_way_until_it_is_tidied(bikes: Resource) -> None:
    held = hold(line(bikes, quantity=4))
    lapse(held)
    assert [each.lapses_at for each in in_the_way(bikes, 1)] == [held.lapses_at]
    with refused("resource_capacity_covers_bookings", EXCLUSION):
        sql("UPDATE bookings_resource SET capacity = 1 WHERE id = %s", bikes.pk)


def test_a_block_of_units_lists_what_does_not_fit_any_more(
    as_role: SignIn, room: Resource, bikes: Resource
) -> None:
    fits, over = place(bikes, 10, quantity=2), place(bikes, 12, quantity=3)
    form = block_form(bikes, at(9), at(14)) | {"quantity": "2"}
    browser = as_role("manager")
    listed = browser.post(add(Block), form).content.decode()
    assert "It would lie over 1 booking" in listed
    assert change(over.booking) in listed
    assert change(fits.booking) not in listed
    form |= {"seen": str(over.booking_id), "confirmed": "on"}
    page = browser.post(add(Block), form, follow=True).content.decode()
    assert change(over.booking) in page
    assert change(fits.booking) not in page
    with pytest.raises(SlotTaken) as caught:
        place(bikes, 9.5, quantity=3)
    assert caught.value.data["remaining"] == 0
    with pytest.raises(SlotTaken) as caught:
        place(bikes, 13, quantity=3)
    assert caught.value.data["remaining"] == 2


# --- At the counter -----------------------------------------------------------------------------


@pytest.fixture
def labels(bikes: Resource) -> dict[str, Unit]:
    return {name: Unit.objects.create(resource=bikes, label=name) for name in ("A", "B", "C")}


def booked(bikes: Resource, hour: float = 10, quantity: int = 1) -> Any:
    from django.db import transaction

    from holds.lock_objects import lock_hold
    from holds.services import confirm_unpaid

    held = place(bikes, hour, quantity=quantity)
    with transaction.atomic():
        return confirm_unpaid(lock_hold(held.pk), ANA)


def out(booking: Any) -> set[str]:
    return set(
        UnitAssignment.objects.filter(line__booking=booking, returned_at=None).values_list(
            "unit__label", flat=True
        )
    )


def test_units_go_out_and_come_back_at_the_counter(
    as_role: SignIn, bikes: Resource, labels: dict[str, Unit]
) -> None:
    booking = booked(bikes, quantity=2)
    page = as_role("clerk").get(deed(booking, "units")).content.decode()
    assert "2 units" in page
    assert labels["A"].label in page
    field = str(booking.lines.get().pk)
    browser = as_role("clerk")
    both = {field: [str(labels["A"].pk), str(labels["B"].pk)]}
    assert browser.post(deed(booking, "units"), both).status_code == 302
    assert out(booking) == {"A", "B"}
    browser.post(deed(booking, "units"), {field: [str(labels["B"].pk)]})
    assert out(booking) == {"B"}
    kinds = BookingEvent.objects.filter(booking=booking, kind__in=["handed_over", "taken_back"])
    assert [(e.kind, e.data["units"]) for e in kinds.order_by("at", "id")] == [
        ("handed_over", ["A", "B"]),
        ("taken_back", ["A"]),
    ]


def test_no_more_units_than_were_booked(
    as_role: SignIn, bikes: Resource, labels: dict[str, Unit]
) -> None:
    booking = booked(bikes)
    every = {str(booking.lines.get().pk): [str(unit.pk) for unit in labels.values()]}
    answer = as_role("clerk").post(deed(booking, "units"), every)
    assert answer.status_code == 422
    assert b"At most 1 for this line" in answer.content
    assert out(booking) == set()


def test_a_unit_is_not_out_twice_at_a_time(bikes: Resource, labels: dict[str, Unit]) -> None:
    first, second, later = booked(bikes, 10), booked(bikes, 10), booked(bikes, 11)

    def give(booking: Any) -> None:
        wanted = {booking.lines.get().pk: [labels["A"].pk]}
        units.hand_over(booking_id=booking.pk, units=wanted, actor=ANA)

    give(first)
    with refused("unit_out_once", EXCLUSION):
        give(second)
    give(later)
    units.hand_over(booking_id=first.pk, units={first.lines.get().pk: []}, actor=ANA)
    give(second)
    assert (out(first), out(second), out(later)) == (set(), {"A"}, {"A"})


def test_the_count_and_not_the_label_says_what_is_free(
    bikes: Resource, labels: dict[str, Unit]
) -> None:
    """Four bikes, three labels, one retired and all out: a booking that fits is had."""
    labels["C"].is_active = False
    labels["C"].save()
    booking = booked(bikes, quantity=3)
    wanted = {booking.lines.get().pk: [unit.pk for unit in labels.values()]}
    units.hand_over(booking_id=booking.pk, units=wanted, actor=ANA)
    assert place(bikes).booking.state == "pending_payment"


def test_what_cannot_be_handed_over(bikes: Resource, labels: dict[str, Unit]) -> None:
    held = place(bikes)
    line_id = held.booking.lines.get().pk
    with pytest.raises(InvalidTransition):
        units.hand_over(booking_id=held.booking_id, units={line_id: []}, actor=ANA)
    booking = booked(bikes)
    with pytest.raises(InvalidInput, match="no such line"):
        units.hand_over(booking_id=booking.pk, units={line_id: []}, actor=ANA)
    other = Unit.objects.create(resource=make_pool(workspace=bikes.workspace), label="X")
    with refused("unit_is_of_the_lines_pool"):
        units.hand_over(
            booking_id=booking.pk, units={booking.lines.get().pk: [other.pk]}, actor=ANA
        )
    cancel(booking_id=booking.pk, actor=ANA)
    with pytest.raises(InvalidTransition):
        units.hand_over(booking_id=booking.pk, units={}, actor=ANA)


def test_units_are_of_pools_and_what_went_out_is_history(
    room: Resource, bikes: Resource, labels: dict[str, Unit]
) -> None:
    with refused("unit_is_of_a_pool"):
        Unit.objects.create(resource=make_room(workspace=room.workspace), label="A")
    with refused("unit_label_unique", raw.UNIQUE):
        Unit.objects.create(resource=bikes, label="A")
    booking = booked(bikes)
    wanted = {booking.lines.get().pk: [labels["A"].pk]}
    units.hand_over(booking_id=booking.pk, units=wanted, actor=ANA)
    with refused("unit_assignment_is_history", RESTRICT):
        sql("DELETE FROM bookings_unitassignment")


def test_bookings_without_units_have_no_such_page(
    as_role: SignIn, room: Resource, bikes: Resource
) -> None:
    make_add_on(room, bikes)
    page = as_role("clerk").get(change(confirmed(room))).content.decode()
    assert "Hand over" not in page
