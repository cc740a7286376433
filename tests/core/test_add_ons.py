"""Add-ons: lines of their own that come, move and go with the line that they belong to."""

from datetime import time, timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from bookings.errors import (
    AddOnNotAllowed,
    OnlyWithOthers,
    SlotTaken,
    UnknownResource,
    WindowNotAllowed,
)
from bookings.models import Booking, Line, Occupancy
from bookings.nearest import with_next_free
from bookings.services import cancel
from config.kernel.errors import InvalidInput
from holds import changing, services
from holds.changing import NewWindow
from holds.claims import AddOnRequest, Claimant, LineRequest
from holds.models import Hold
from payments import dropping
from tests.core import raw
from tests.core.raw import refused, sql
from tests.core.support import SOMEBODY, hold, lapse, line, live, tomorrow
from tests.factories import BlockFactory, make_add_on, make_pool, make_room

pytestmark = pytest.mark.django_db


@pytest.fixture
def bikes():
    return make_pool(capacity=5)


@pytest.fixture
def helmets(bikes):
    return make_add_on(bikes, amount_minor=300).pool


def with_(what: LineRequest, *add_ons: tuple) -> LineRequest:
    chosen = tuple(AddOnRequest(pool.pk, many) for pool, many in add_ons)
    return LineRequest(what.resource_id, what.start, what.end, what.quantity, chosen)


def confirmed(held: Hold) -> Booking:
    from holds.lock_objects import lock_hold

    with transaction.atomic():
        services.confirm_unpaid(lock_hold(held.pk), SOMEBODY)
    return Booking.objects.get(pk=held.booking_id)


def problem(error: SlotTaken, resource, lines) -> dict:
    return with_next_free(error, resource.workspace_id, lines).as_problem()


# --- Held together ------------------------------------------------------------------------------


def test_an_add_on_is_a_line_of_its_own_with_its_own_price(bikes, helmets):
    held = hold(with_(line(bikes, 9, 11, 2), (helmets, 2)))
    main, helmet = Line.objects.filter(booking=held.booking_id).order_by("position")
    assert (main.parent_id, helmet.parent_id) == (None, main.pk)
    assert (main.amount_minor, helmet.amount_minor) == (2 * 2 * 4500, 600)
    assert (helmet.starts_at, helmet.ends_at, helmet.quantity) == (tomorrow(9), tomorrow(11), 2)
    assert helmet.price == [
        {
            "label": "Helmet",
            "kind": "per_unit",
            "quantity": "2",
            "unit_minor": 300,
            "amount_minor": 600,
        }
    ]
    booking = held.booking
    assert booking.total_minor == main.amount_minor + helmet.amount_minor
    assert [each["total_minor"] for each in booking.price["lines"]] == [18000, 600]
    assert booking.policy["lines"][0] == booking.policy["lines"][1]
    taken = Occupancy.objects.get(line=helmet)
    assert (taken.resource_id, taken.quantity, taken.lapses_at) == (helmets.pk, 2, held.lapses_at)


@pytest.mark.parametrize(
    ("kind", "amount"), [("per_booking", 300), ("per_unit", 600), ("per_hour", 1200)]
)
def test_prices_by_booking_unit_or_hour(bikes, kind, amount):
    helmets = make_add_on(bikes, price_kind=kind, amount_minor=300).pool
    held = hold(with_(line(bikes, 9, 11, 2), (helmets, 2)))
    assert Line.objects.get(resource=helmets, booking=held.booking_id).amount_minor == amount


def test_positions_are_the_requests_indices_with_add_ons_behind(bikes, helmets):
    held = hold(with_(line(bikes, 9, 10), (helmets, 1)), with_(line(bikes, 12, 13), (helmets, 1)))
    lines = list(Line.objects.filter(booking=held.booking_id).order_by("position"))
    assert [each.resource_id for each in lines] == [bikes.pk, bikes.pk, helmets.pk, helmets.pk]
    assert [each.parent_id for each in lines] == [None, None, lines[0].pk, lines[1].pk]


def test_they_are_confirmed_lapsed_and_cancelled_together(bikes, helmets):
    lapsed = hold(with_(line(bikes, 9, 10, 4), (helmets, 4)))
    lapse(lapsed)
    held = hold(with_(line(bikes, 9, 10, 4), (helmets, 4)))
    assert (live(lapsed.booking), live(held.booking)) == (0, 2)
    free = make_room(workspace=bikes.workspace, price=0)
    make_add_on(free, helmets)
    booking = confirmed(hold(with_(line(free, 12, 13), (helmets, 1))))
    assert set(Occupancy.objects.filter(booking=booking).values_list("lapses_at", flat=True)) == {
        None
    }
    cancel(booking_id=booking.pk, actor=SOMEBODY)
    assert live(booking) == 0
    services.release(hold_id=held.pk, actor=SOMEBODY)
    assert not Occupancy.objects.filter(released_at=None).exists()


def test_its_own_hours_and_steps_do_not_apply_but_its_buffers_and_blocks_do(bikes):
    closed = [(weekday, time(0), time(1)) for weekday in range(7)]
    helmets = make_pool(
        workspace=bikes.workspace, location=bikes.location, capacity=2, hours=closed,
        step_seconds=86400, min_seconds=86400, buffer_after_seconds=3600,
    )  # fmt: skip
    make_add_on(bikes, helmets)
    held = hold(with_(line(bikes, 9, 10), (helmets, 1)))
    taken = Occupancy.objects.get(line__parent__isnull=False, booking=held.booking_id)
    assert taken.during.upper == tomorrow(11)
    BlockFactory(resource=helmets, during=(tomorrow(10), tomorrow(12)), quantity=1)
    lines = [with_(line(bikes, 10, 11), (helmets, 1))]
    with pytest.raises(SlotTaken) as caught:
        hold(*lines)
    said = problem(caught.value, bikes, lines)
    assert (said["line"], said["add_on"], said["remaining"]) == (0, 0, 0)
    assert said["next_free"]["start"].startswith(f"{tomorrow(11):%Y-%m-%dT%H:%M}")


# --- What may be asked for ----------------------------------------------------------------------


def test_what_is_not_offered_named_twice_or_too_many(bikes, helmets):
    other = make_pool(workspace=bikes.workspace)
    for add_ons, expected in [
        ([(other, 1)], {"add_on": 0, "rule": "not_offered", "resource": str(other.pk)}),
        ([(helmets, 1), (helmets, 1)], {"add_on": 1, "rule": "twice"}),
        ([(helmets, 3)], {"add_on": 0, "rule": "quantity", "most": 2}),
    ]:
        with pytest.raises(AddOnNotAllowed) as caught:
            hold(line(bikes, 12, 13), with_(line(bikes, 9, 10, 2), *add_ons))
        assert caught.value.data.items() >= {"line": 1, **expected}.items()
        assert caught.value.status == 422
    assert not Hold.objects.exists()


@pytest.mark.parametrize("kind", ["room", "pool"])
def test_what_is_required_must_be_there_for_each_unit(kind):
    what = make_room() if kind == "room" else make_pool()
    key = make_add_on(what, is_required=True, max_per_unit=2).pool
    with pytest.raises(AddOnNotAllowed) as caught:
        hold(line(what))
    assert caught.value.data == {
        "line": 0, "add_on": None, "resource": str(key.pk), "rule": "required", "least": 1,
    }  # fmt: skip
    if kind == "pool":
        with pytest.raises(AddOnNotAllowed) as caught:
            hold(with_(line(what, quantity=3), (key, 2)))
        assert (caught.value.data["add_on"], caught.value.data["least"]) == (0, 3)
    assert not Hold.objects.exists()
    hold(with_(line(what), (key, 2)))


def test_another_workspaces_or_inactive_pool_is_unknown(bikes, helmets):
    elsewhere = make_pool()
    with pytest.raises(UnknownResource) as caught:
        hold(with_(line(bikes), (elsewhere, 1)))
    assert caught.value.data == {"line": 0, "add_on": 0}
    helmets.is_active = False
    helmets.save()
    with pytest.raises(UnknownResource):
        hold(with_(line(bikes), (helmets, 1)))


def test_what_is_only_for_others_is_not_booked_alone(bikes, helmets):
    helmets.only_with_others = True
    helmets.save()
    with pytest.raises(OnlyWithOthers) as caught:
        hold(line(bikes, 12, 13), line(helmets))
    assert (caught.value.status, caught.value.data["line"]) == (422, 1)
    hold(with_(line(bikes), (helmets, 1)))


def test_forty_add_ons_are_enough(bikes, helmets):
    with pytest.raises(InvalidInput, match="too many add-ons"):
        hold(with_(line(bikes), *[(helmets, 1)] * 41))


# --- Taken --------------------------------------------------------------------------------------


def test_the_error_names_the_line_its_add_on_and_what_is_left(bikes, helmets):
    hold(with_(line(bikes, 9, 12, 3), (helmets, 3)))
    lines = [line(bikes, 14, 15), with_(line(bikes, 11, 13, 2), (helmets, 2))]
    with pytest.raises(SlotTaken, match="Only 1 is left for that time") as caught:
        hold(*lines)
    assert caught.value.data == {"line": 1, "add_on": 0, "remaining": 1, "next_free": None}
    near = problem(caught.value, bikes, lines)["next_free"]
    assert near["start"].startswith(f"{tomorrow(12):%Y-%m-%dT%H:%M}")
    assert Hold.objects.count() == 1


def test_add_ons_of_several_lines_count_together(bikes, helmets):
    lines = [
        with_(line(bikes, 9, 11, 2), (helmets, 2)),
        with_(line(bikes, 10, 12, 3), (helmets, 3)),
    ]
    with pytest.raises(SlotTaken) as caught:
        hold(*lines)
    assert caught.value.data.items() >= {"line": 1, "add_on": 0, "remaining": 2}.items()
    held = hold(lines[0], with_(line(bikes, 10, 12, 3), (helmets, 2)))
    assert live(held.booking) == 4


def test_the_same_lines_and_add_ons_return_the_hold_others_replace_it(bikes, helmets):
    first = hold(with_(line(bikes, 9, 10, 4), (helmets, 4)))
    same = hold(with_(line(bikes, 9, 10, 4), (helmets, 4)), token=first.token)
    assert same.pk == first.pk
    other = hold(with_(line(bikes, 9, 10, 5), (helmets, 3)), token=first.token)
    assert other.pk != first.pk
    assert (live(first.booking), live(other.booking)) == (0, 2)


@pytest.mark.parametrize("many", [1, 4])
def test_a_claim_with_add_ons_takes_three_statements(bikes, helmets, many):
    lines = [with_(line(bikes, 8 + n, 9 + n), (helmets, 1)) for n in range(many)]
    for _ in range(3):
        hold(with_(line(bikes, 8, 9), (helmets, 1)))
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        services.claim(workspace=bikes.workspace, lines=lines, claimant=Claimant(), actor=SOMEBODY)
    said = [q["sql"] for q in captured.captured_queries if "SAVEPOINT" not in q["sql"]]
    assert len(said) == 3, said


def test_a_loser_of_a_pool_waits_for_no_lock_and_is_told_what_is_left():
    pool = make_pool(capacity=3)
    hold(line(pool, quantity=2))
    with (
        CaptureQueriesContext(connection) as captured,
        pytest.raises(SlotTaken) as caught,
        transaction.atomic(),
    ):
        services.claim(
            workspace=pool.workspace, lines=[line(pool, quantity=2)], claimant=Claimant(),
            actor=SOMEBODY,
        )  # fmt: skip
    assert caught.value.data["remaining"] == 1
    said = [q["sql"] for q in captured.captured_queries if "SAVEPOINT" not in q["sql"]]
    assert len(said) == 3, said
    assert not any("FOR NO KEY UPDATE" in each for each in said[1:])


# --- Moved --------------------------------------------------------------------------------------


@pytest.fixture
def free_bikes():
    return make_pool(capacity=2, price=0)


def move(booking: Booking, *windows: NewWindow):
    with transaction.atomic():
        asked = changing.ask(booking_id=booking.pk, windows=list(windows), actor=SOMEBODY)
        return changing.make(asked, actor=SOMEBODY)


def test_moving_a_line_moves_its_add_ons(free_bikes):
    helmets = make_add_on(free_bikes).pool
    booking = confirmed(hold(with_(line(free_bikes, 9, 11, 2), (helmets, 2))))
    move(booking, NewWindow(0, tomorrow(10), tomorrow(13)))
    raw.settle_constraints()
    assert set(Line.objects.values_list("starts_at", "ends_at", "quantity")) == {
        (tomorrow(10), tomorrow(13), 2)
    }
    hold(with_(line(free_bikes, 9, 10, 2), (helmets, 2)))
    with pytest.raises(SlotTaken):
        hold(line(free_bikes, 12, 13))


def test_a_line_does_not_move_where_its_add_on_has_no_room(free_bikes):
    helmets = make_add_on(free_bikes).pool
    booking = confirmed(hold(with_(line(free_bikes, 9, 10, 2), (helmets, 2))))
    BlockFactory(resource=helmets, during=(tomorrow(12), tomorrow(13)), quantity=3)
    with pytest.raises(SlotTaken) as caught:
        move(booking, NewWindow(0, tomorrow(12), tomorrow(13)))
    assert caught.value.data.items() >= {"line": 0, "add_on": 0, "remaining": 1}.items()
    assert set(Line.objects.values_list("starts_at", flat=True)) == {tomorrow(9)}


def test_an_add_on_is_not_moved_by_itself(free_bikes):
    helmets = make_add_on(free_bikes).pool
    booking = confirmed(hold(with_(line(free_bikes, 9, 10), (helmets, 1))))
    with pytest.raises(InvalidInput, match="no such line"):
        move(booking, NewWindow(1, tomorrow(12), tomorrow(13)))


def test_to_another_resource_only_where_it_is_offered(free_bikes):
    helmets = make_add_on(free_bikes).pool
    booking = confirmed(hold(with_(line(free_bikes, 9, 10), (helmets, 1))))
    others = make_pool(workspace=free_bikes.workspace, price=0)
    wish = NewWindow(0, tomorrow(9), tomorrow(10), others.pk)
    with pytest.raises(AddOnNotAllowed):
        move(booking, wish)
    make_add_on(others, helmets)
    move(booking, wish)
    assert set(Line.objects.values_list("resource_id", flat=True)) == {others.pk, helmets.pk}


def test_what_is_not_offered_any_more_moves_at_its_old_price(free_bikes):
    offer = make_add_on(free_bikes, price_kind="per_hour", amount_minor=100)
    held = hold(with_(line(free_bikes, 9, 10), (offer.pool, 1)))
    sql("UPDATE bookings_booking SET total_minor = 100 WHERE id = %s", held.booking_id)
    booking = confirmed(held)
    offer.delete()
    with transaction.atomic():
        asked = changing.ask(
            booking_id=booking.pk,
            windows=[NewWindow(0, tomorrow(9), tomorrow(12))],
            actor=SOMEBODY,
        )
    assert asked.difference_minor == 200


def test_a_window_that_breaks_the_lines_rules_is_refused(free_bikes):
    helmets = make_add_on(free_bikes).pool
    booking = confirmed(hold(with_(line(free_bikes, 9, 10), (helmets, 1))))
    with pytest.raises(WindowNotAllowed):
        move(booking, NewWindow(0, tomorrow(9), tomorrow(9) + timedelta(minutes=20)))


def test_a_line_is_given_up_with_its_add_ons_which_are_not_by_themselves(free_bikes):
    helmets = make_add_on(free_bikes).pool
    booking = confirmed(
        hold(with_(line(free_bikes, 9, 10, 2), (helmets, 2)), line(free_bikes, 12, 13))
    )
    with pytest.raises(InvalidInput, match="goes with its line"):
        dropping.cancel_lines(booking_id=booking.pk, positions=[2], actor=SOMEBODY)
    dropping.cancel_lines(booking_id=booking.pk, positions=[0], actor=SOMEBODY)
    raw.settle_constraints()
    gone = Line.objects.exclude(cancelled_at=None).values_list("position", flat=True)
    assert set(gone) == {0, 2}
    assert not Occupancy.objects.filter(resource=helmets, released_at=None).exists()
    with pytest.raises(InvalidInput, match="all that is left"):
        dropping.cancel_lines(booking_id=booking.pk, positions=[1], actor=SOMEBODY)
    assert live(booking) == 1


# --- What the database refuses ------------------------------------------------------------------


def test_an_add_on_is_a_pool_of_the_same_workspace(bikes):
    for pool in (make_room(workspace=bikes.workspace), make_pool()):
        with refused("add_on_is_a_pool_of_the_workspace"):
            make_add_on(bikes, pool)
    with refused("add_on_of_another"):
        make_add_on(bikes, bikes)
    helmets = make_add_on(bikes).pool
    with refused("add_on_offered_once", raw.UNIQUE):
        make_add_on(bikes, helmets)
    with refused("resource_is_offered_as_an_add_on"):
        sql("UPDATE bookings_resource SET mode='exclusive', capacity=1 WHERE id=%s", helmets.pk)


def test_only_a_pool_is_only_with_others():
    with refused("resource_only_with_others_is_a_pool"):
        make_room(only_with_others=True)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE bookings_line SET starts_at = starts_at + interval '1 h' WHERE parent_id IS NULL",
        "UPDATE bookings_line SET ends_at = ends_at + interval '1 h' WHERE parent_id IS NOT NULL",
        "UPDATE bookings_line SET parent_id = id WHERE parent_id IS NOT NULL",
        (
            "WITH gone AS (UPDATE bookings_occupancy SET released_at = now() WHERE line_id IN ("
            " SELECT id FROM bookings_line WHERE parent_id IS NULL))"
            " UPDATE bookings_line SET cancelled_at = now() WHERE parent_id IS NULL"
        ),
    ],
)
def test_an_add_on_stays_with_its_line(bikes, helmets, change):
    hold(with_(line(bikes, 9, 11), (helmets, 1)))
    with refused("add_on_stays_with_its_line"):
        sql(change)


def test_an_add_on_is_not_of_another_bookings_line(bikes, helmets):
    held = hold(line(bikes))
    other = hold(line(bikes))
    (mine,) = Line.objects.filter(booking=held.booking_id)
    with refused("add_on_stays_with_its_line"):
        raw.line(
            other.booking_id, helmets, position=1, parent_id=mine.pk,
            starts_at=mine.starts_at, ends_at=mine.ends_at,
        )  # fmt: skip
