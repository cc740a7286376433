"""Discount codes: what they take off a hold, whom they refuse, and limits that hold at once."""

from collections.abc import Iterator
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from bookings.discounts import (
    DiscountNotForThis,
    DiscountNotNow,
    DiscountRefused,
    DiscountUnknown,
    DiscountUsedUp,
)
from bookings.models import Booking, Discount, DiscountUse, Line, PriceRule, Resource
from config.kernel import clock
from config.kernel.context import SYSTEM
from config.kernel.errors import DomainError
from config.kernel.ids import new_id
from holds import changing, services
from holds.changing import NewWindow
from holds.claims import Claimant
from holds.lock_objects import lock_hold
from holds.models import Hold
from members.models import GroupMembership, MemberGroup
from payments import checkouts, rescheduling
from payments.discounting import use_code
from payments.lock_objects import lock_money
from payments.models import Due
from payments.reacquire import reacquire
from tests.core.raw import connect
from tests.core.support import SOMEBODY, hold, lapse, line, live, state_of, tomorrow
from tests.core.threads import together
from tests.factories import MemberFactory, make_pool, make_room

pytestmark = pytest.mark.django_db


def code_for(resource: Resource, code: str = "Winter", **columns) -> Discount:
    terms = {} if "amount_minor" in columns else {"percent": 10}
    return Discount.objects.create(
        workspace_id=resource.workspace_id, code=code, **(terms | columns)
    )


def by(email: str) -> Claimant:
    return Claimant(email=email, name="Somebody")


def said(held: Hold) -> tuple[int, int, int]:
    """What booking, lines and due say that it costs."""
    booking = Booking.objects.get(pk=held.booking_id)
    lines = Line.objects.filter(booking=booking)
    for each in lines:
        assert each.amount_minor == sum(part["amount_minor"] for part in each.price)
    due = Due.objects.get(booking=booking, change=None)
    return booking.total_minor, sum(ln.amount_minor for ln in lines), due.amount_minor


# --- Holding with a code ------------------------------------------------------------------------


def test_a_code_whatever_its_case_is_part_of_the_frozen_price():
    room = make_room()
    code_for(room)
    held = hold(line(room), discount_code=" wINTER ")
    assert said(held) == (4050, 4050, 4050)
    booking = Booking.objects.get(pk=held.booking_id)
    assert booking.price["discount"]["code"] == "Winter"
    assert booking.price["lines"][0]["parts"][1]["amount_minor"] == -450
    use = DiscountUse.objects.get()
    assert (use.booking_id, use.email) == (booking.pk, "ana@example.test")


def test_a_fixed_amount_is_spread_and_takes_no_more_than_there_is():
    room = make_room()
    other = make_room(workspace=room.workspace)
    code_for(room, amount_minor=3000)
    held = hold(line(room), line(other, 9, 11), discount_code="winter")
    amounts = Line.objects.filter(booking=held.booking_id).values_list("amount_minor", flat=True)
    assert list(amounts.order_by("position")) == [3500, 7000]
    code_for(room, "all", amount_minor=999_999)
    assert said(hold(line(room, 12, 13), discount_code="ALL")) == (0, 0, 0)


def test_what_costs_nothing_after_a_discount_is_confirmed_without_stripe():
    room = make_room()
    code_for(room, percent=100)
    held = hold(line(room), discount_code="winter")
    started = checkouts.start(hold_id=held.pk, success_url="", cancel_url="", actor=SYSTEM)
    assert started.url is None
    assert state_of(held) == ("confirmed", "confirmed")


def test_a_code_costs_a_claim_one_statement_and_one_more_where_it_is_limited():
    room = make_room()
    code_for(room)
    code_for(room, "few", max_uses=9)

    def statements(hour: int, code: str) -> int:
        with CaptureQueriesContext(connection) as found:
            hold(line(room, hour, hour + 1), discount_code=code)
        return len([q for q in found if "SAVEPOINT" not in q["sql"]])

    plain = statements(8, "")
    assert statements(9, "winter") == plain + 1
    assert statements(10, "few") == plain + 2


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"is_active": False}, DiscountUnknown),
        ({"valid_until": timedelta(minutes=-1)}, DiscountNotNow),
        ({"valid_from": timedelta(minutes=1)}, DiscountNotNow),
        ({"min_total_minor": 4501}, DiscountNotForThis),
        ({"max_uses": 0}, DiscountUsedUp),
        ({"max_uses_each": 0}, DiscountUsedUp),
    ],
)
def test_a_code_that_cannot_be_used_is_refused_naming_its_field(columns, error):
    room = make_room()
    now = clock.now()
    code_for(room, **{k: now + v if isinstance(v, timedelta) else v for k, v in columns.items()})
    with pytest.raises(error) as caught, transaction.atomic():
        hold(line(room), discount_code="Winter")
    problem = caught.value.as_problem()
    assert (problem["status"], list(problem["errors"])) == (422, ["discount_code"])
    assert not Hold.objects.exists()
    assert not DiscountUse.objects.exists()


def test_a_code_is_never_for_another_workspaces_resources():
    code_for(make_room()).resources.add(make_room())
    with pytest.raises(IntegrityError) as caught:
        connection.check_constraints()
    assert caught.value.__cause__.diag.constraint_name == "discount_within_workspace"


def test_a_code_of_another_workspace_or_for_other_resources_is_refused():
    room = make_room()
    code_for(make_room(), "elsewhere")
    with pytest.raises(DiscountUnknown):
        hold(line(room), discount_code="elsewhere")
    code_for(room).resources.add(make_room(workspace=room.workspace))
    with pytest.raises(DiscountNotForThis):
        hold(line(room), discount_code="winter")
    with transaction.atomic():
        DiscountUse.objects.create(
            discount=code_for(make_room(), "x"),
            booking=hold(line(room)).booking,
            created_at=clock.now(),
        )
        with pytest.raises(IntegrityError, match="another workspace"):
            connection.check_constraints()
        transaction.set_rollback(True)


def test_a_use_counts_while_its_booking_may_come_to_be():
    room = make_room()
    code_for(room, max_uses=1)
    first = hold(line(room), discount_code="winter")
    with pytest.raises(DiscountUsedUp), transaction.atomic():
        hold(line(room, 11, 12), discount_code="winter")
    services.release(hold_id=first.pk, actor=SOMEBODY)
    second = hold(line(room, 11, 12), discount_code="winter")
    lapse(second)
    services.expire_lapsed()
    assert state_of(second)[1] == "expired"
    hold(line(room, 13, 14), discount_code="winter")


def test_uses_by_person_are_counted_by_address_and_by_member():
    room = make_room()
    code_for(room, max_uses_each=1)
    hold(line(room), discount_code="winter", claimant=by("Ana@example.test"))
    with pytest.raises(DiscountUsedUp), transaction.atomic():
        hold(line(room, 11, 12), discount_code="winter", claimant=by("ana@example.test"))
    hold(line(room, 12, 13), discount_code="winter", claimant=by("ben@example.test"))
    with pytest.raises(DiscountRefused, match="e-mail"):
        hold(line(room, 14, 15), discount_code="winter", claimant=Claimant())


def test_an_expired_booking_is_not_brought_back_where_its_use_is_gone():
    room = make_room()
    code = code_for(room, max_uses=1)
    first = hold(line(room), discount_code="winter")
    lapse(first)
    services.expire_lapsed()
    hold(line(room, 11, 12), discount_code="winter")
    with pytest.raises(IntegrityError, match="as often as it can be"), transaction.atomic():
        Booking.objects.filter(pk=first.booking_id).update(
            state="confirmed", version=F("version") + 1
        )
    Discount.objects.filter(pk=code.pk).update(max_uses=2)
    with transaction.atomic():
        Booking.objects.filter(pk=first.booking_id).update(
            state="confirmed", version=F("version") + 1
        )
        transaction.set_rollback(True)


def test_uses_stay_what_they_are_once_the_booking_is_somebodys():
    room = make_room()
    code = code_for(room, percent=100)
    other = code_for(room, "other")
    held = hold(line(room), discount_code="winter")
    with pytest.raises(IntegrityError), transaction.atomic():
        DiscountUse.objects.update(discount=other)
    checkouts.start(hold_id=held.pk, success_url="", cancel_url="", actor=SYSTEM)
    with pytest.raises(IntegrityError), transaction.atomic():
        DiscountUse.objects.all().delete()
    assert DiscountUse.objects.get().discount == code


def test_a_retry_with_the_token_returns_the_same_hold_and_another_code_replaces_it():
    room = make_room()
    code_for(room)
    code_for(room, "half", percent=50)
    first = hold(line(room), discount_code="winter")
    assert hold(line(room), discount_code="WINTER", token=first.token).pk == first.pk
    assert hold(line(room), token=first.token).pk == first.pk
    second = hold(line(room), discount_code="half", token=first.token)
    assert said(second) == (2250, 2250, 2250)
    assert state_of(first) == ("released", "released")


# --- A code on a hold that is there already -----------------------------------------------------


def use(held: Hold, code: str) -> None:
    with transaction.atomic():
        use_code(hold_id=held.pk, code=code, actor=SOMEBODY)


def test_a_code_is_used_on_a_hold_changed_and_taken_off_again():
    room = make_room()
    code_for(room)
    code_for(room, "half", percent=50)
    held = hold(line(room))
    use(held, "winter")
    assert said(held) == (4050, 4050, 4050)
    use(held, "Half")
    assert said(held) == (2250, 2250, 2250)
    assert DiscountUse.objects.get().discount.code == "half"
    use(held, "")
    assert said(held) == (4500, 4500, 4500)
    assert not DiscountUse.objects.exists()
    kinds = list(Booking.objects.get().events.order_by("at", "id").values_list("kind", flat=True))
    assert kinds == ["held", "discounted", "discounted", "undiscounted"]
    services.release(hold_id=held.pk, actor=SOMEBODY)
    with pytest.raises(DomainError, match="hold has ended"):
        use(held, "winter")


def test_a_change_of_price_rules_changes_nothing_that_is_held():
    room = make_room()
    code_for(room)
    held = hold(line(room))
    PriceRule.objects.update(amount_minor=9900)
    use(held, "winter")
    assert said(held) == (4050, 4050, 4050)
    Discount.objects.update(percent=50)
    assert said(held) == (4050, 4050, 4050)
    assert hold(line(room, 11, 12)).booking.total_minor == 9900


def test_whoever_pays_with_another_address_is_counted_by_that_one():
    room = make_room()
    code_for(room, percent=100, max_uses_each=1)
    used = hold(line(room), discount_code="winter", claimant=by("ana@example.test"))
    assert used.booking.total_minor == 0
    visitor = Claimant(visitor="ana's other browser", limited=True)
    held = hold(line(room, 11, 12), discount_code="winter", claimant=visitor)
    ask = {"hold_id": held.pk, "success_url": "", "cancel_url": "", "actor": SYSTEM, "name": "A"}
    with pytest.raises(DiscountUsedUp):
        checkouts.start(**ask, email="ana@example.test")
    assert state_of(held)[0] == "active"
    checkouts.start(**ask, email="ben@example.test")
    assert DiscountUse.objects.get(booking=held.booking_id).email == "ben@example.test"


# --- Moving and coming back ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "price", "hours", "after"),
    [
        ({"percent": 10}, 4500, 2, 8100),
        ({"amount_minor": 1000}, 4500, 2, 8000),
        ({"amount_minor": 1000}, 500, 1, 0),
    ],
)
def test_a_moved_booking_keeps_its_discount(terms, price, hours, after):
    """A percentage is of the new price, an amount stays; whether the code is valid still or not."""
    room = make_room()
    code_for(room, **terms)
    held = hold(line(room), discount_code="winter")
    with transaction.atomic():
        booking = services.confirm_unpaid(lock_hold(held.pk), SOMEBODY)
    Discount.objects.update(is_active=False, valid_until=clock.now())
    PriceRule.objects.update(amount_minor=price)
    start = tomorrow(12)
    wanted = NewWindow(0, start, start + timedelta(hours=hours))
    shown = rescheduling.preview(booking, [wanted])
    assert (shown.before.amount_minor, shown.after.amount_minor) == (said(held)[0], after)
    with transaction.atomic():
        asked = changing.ask(booking_id=booking.pk, windows=[wanted], actor=SOMEBODY)
        changing.make(asked, actor=SOMEBODY)
    booking.refresh_from_db()
    (moved,) = booking.lines.all()
    assert booking.total_minor == moved.amount_minor == after
    assert booking.price["lines"] == [{"total_minor": after, "parts": moved.price}]
    assert booking.price["discount"]["code"] == "Winter"


def test_a_late_payment_wins_nothing_back_where_the_code_is_used_up():
    room = make_room()
    code = code_for(room, max_uses=1)
    held = hold(line(room), discount_code="winter")
    lapse(held)
    services.expire_lapsed()
    hold(line(room, 11, 12), discount_code="winter")

    def won() -> tuple[bool, int]:
        with transaction.atomic():
            found = reacquire(lock_money(held.booking_id), gives_up=True), live(held.booking)
            transaction.set_rollback(True)  # whoever asked would confirm it now
            return found

    assert won() == (False, 0)
    Discount.objects.filter(pk=code.pk).update(max_uses=2)
    assert won() == (True, 1)


# --- Groups -------------------------------------------------------------------------------------


def test_group_prices_are_the_members_who_is_signed_in_or_vouched_for():
    room = make_room()
    member = MemberFactory()
    group = MemberGroup.objects.create(workspace=room.workspace, name="Club", slug="club")
    GroupMembership.objects.create(group=group, member=member)
    PriceRule.objects.create(
        resource=room, kind="per_hour", amount_minor=3000, priority=1, group=group
    )

    def total(hour: int, claimant: Claimant) -> int:
        return hold(line(room, hour, hour + 1), claimant=claimant).booking.total_minor

    assert total(8, Claimant(member=member)) == 3000
    assert total(9, Claimant(email=member.email, vouched_for=member.email)) == 3000
    assert total(10, Claimant(email=member.email)) == 4500, "what a visitor types proves nothing"
    assert total(11, Claimant(member=MemberFactory())) == 4500


def test_groups_are_only_asked_for_where_a_price_depends_on_them():
    room = make_room()
    with CaptureQueriesContext(connection) as found:
        hold(line(room), claimant=Claimant(member=MemberFactory()))
    assert not [q for q in found if "groupmembership" in q["sql"]]


# --- At once ------------------------------------------------------------------------------------

CLAIMS, ENOUGH_FOR = 12, 4
SCHEMA = "control_without_discount_guards"
COUNT = "SELECT count(*) FROM bookings_discountuse WHERE discount_id = %s"
INSERT = """
    INSERT INTO bookings_discountuse (id, discount_id, booking_id, email, member_id, created_at)
    VALUES (%s, %s, %s, %s, NULL, clock_timestamp())
"""


@pytest.fixture
def unprotected(transactional_db) -> Iterator[str]:
    """A schema with a copy of the table that has its columns and nothing else."""
    with connect() as admin:
        admin.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        admin.execute(f"CREATE SCHEMA {SCHEMA}")
        admin.execute(
            f"CREATE TABLE {SCHEMA}.bookings_discountuse (LIKE public.bookings_discountuse)"
        )
    yield f"{SCHEMA}, public"
    with connect() as admin:
        admin.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


def race(path: str, code: Discount, bookings: list) -> int:
    """All look at what is left before any uses it, as everybody writes it first; who got it?"""
    looked = Barrier(len(bookings))

    def one(booking) -> bool:
        with connect() as conn:
            conn.execute(f"SET search_path TO {path}")
            (count,) = conn.execute(COUNT, [code.pk]).fetchone()
            conn.commit()
            looked.wait(30)
            if count >= code.max_uses:
                return False
            conn.execute(INSERT, [new_id(), code.pk, booking, f"{booking}@example.test"])
            conn.commit()
            return True

    return sum(got is True for got in together([lambda b=b: one(b) for b in bookings]))


@pytest.mark.django_db(transaction=True)
def test_the_control_gives_a_code_away_too_often_and_the_product_never_does(unprotected):
    pool = make_pool(capacity=CLAIMS)
    code = code_for(pool, max_uses=ENOUGH_FOR)
    bookings = [hold(line(pool)).booking_id for _ in range(CLAIMS)]
    assert race(unprotected, code, bookings) == CLAIMS
    assert race("public", code, bookings) == ENOUGH_FOR
    assert DiscountUse.objects.count() == ENOUGH_FOR


@pytest.mark.django_db(transaction=True)
def test_claims_at_once_use_a_code_as_often_as_it_can_be():
    rooms = [make_room()]
    rooms += [make_room(workspace=rooms[0].workspace) for _ in range(CLAIMS - 1)]
    code_for(rooms[0], max_uses=ENOUGH_FOR)
    works = [lambda r=r: hold(line(r), discount_code="winter") for r in rooms]
    found = together(works)
    held = [each for each in found if isinstance(each, Hold)]
    assert len(held) == ENOUGH_FOR
    refused = [type(each) for each in found if not isinstance(each, Hold)]
    assert refused == [DiscountUsedUp] * (CLAIMS - ENOUGH_FOR)
    assert DiscountUse.objects.count() == Hold.objects.count() == ENOUGH_FOR
