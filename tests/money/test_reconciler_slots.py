"""The overlap audit fires when the constraint does not stand, and tells the whole story."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.db.models import F

from bookings import services
from bookings.models import Booking, Line, Occupancy, Resource
from config.kernel import effects
from config.kernel.context import SYSTEM, request_id
from config.kernel.version import code_version
from holds.claims import AddOnRequest
from holds.models import Hold
from holds.services import expire_lapsed
from payments import tasks
from payments.models import Finding
from tests.core.support import hold, lapse, line
from tests.factories import make_add_on, make_pool, make_room
from tests.money.reconciling import (
    assert_over,
    assert_told_once,
    check,
    only_finding,
    open_findings,
    past_the_guards,
    without_the_constraint,
)
from tests.money.support import pay, settle, start
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)
TWICE = "sold_twice"


def sold(sandbox: SandboxClient, room: Resource, said: str, first: int, last: int) -> Hold:
    token = request_id.set(said)
    try:
        held = hold(line(room, first, last))
    finally:
        request_id.reset(token)
    checkout = start(held)
    pay(sandbox, checkout)
    assert settle(checkout) == "confirmed"
    return held


def sold_twice(sandbox: SandboxClient, room: Resource) -> tuple[Hold, Hold]:
    """9 to 11, and 10 to 12 beside it: what only the dropped constraint would have refused."""
    one = sold(sandbox, room, "request-one", 9, 11)
    two = sold(sandbox, room, "request-two", 20, 22)
    move(two, hours=-10)
    return one, two


def move(held: Hold, *, hours: int) -> None:
    """Move a booking to another time as plain SQL: guards and constraints have their say."""
    later, of_it = timedelta(hours=hours), {"booking_id": held.booking_id}
    with transaction.atomic():
        Line.objects.filter(**of_it).update(
            starts_at=F("starts_at") + later, ends_at=F("ends_at") + later
        )
        for each in Occupancy.objects.filter(**of_it):
            each.during = (each.during.lower + later, each.during.upper + later)
            each.save(update_fields=["during"])


def test_with_the_constraint_nobody_can(sandbox: SandboxClient) -> None:
    with pytest.raises(IntegrityError, match="occupancy_no_overlap"):
        sold_twice(sandbox, make_room())
    assert check("overlaps").found == 0


def test_all_is_well(sandbox: SandboxClient) -> None:
    room = make_room()
    sold(sandbox, room, "request-one", 9, 10)
    sold(sandbox, room, "request-two", 10, 11)
    hold(line(room, 11, 12))
    run = check("overlaps")
    assert (run.found, run.looked_at, run.healed) == (0, 1, 0)
    assert open_findings() == []


def test_a_slot_sold_twice_is_told_once_with_both_timelines(sandbox: SandboxClient) -> None:
    room = make_room()
    with without_the_constraint():
        one, two = sold_twice(sandbox, room)
        other = sold(sandbox, room, "request-three", 12, 13)

        finding = assert_told_once("overlaps", TWICE)
        assert (finding.severity, finding.workspace_id) == ("high", room.workspace_id)
        assert room.name in finding.summary
        kept = finding.evidence
        assert kept["code_version"] == code_version()
        assert kept["protection"]["exclusion_constraint"] is False
        assert [b["id"] for b in kept["bookings"]] == [str(one.booking_id), str(two.booking_id)]
        assert str(other.booking_id) not in str(kept)
        for booking, said in zip(kept["bookings"], ["request-one", "request-two"], strict=True):
            assert said in {event["request_id"] for event in booking["events"]}
            assert {"held", "confirmed"} & {event["kind"] for event in booking["events"]}
            assert [p["settled_by"] for p in booking["payments"]] == ["self_heal"]
            assert booking["occupancies"][0]["released"] is None

        services.cancel(booking_id=two.booking_id, actor=SYSTEM, reason="Sold twice")
        assert_over("overlaps", finding)


def test_the_confirmation_itself_is_audited(
    sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    kicked: list[tuple[str, str]] = []

    def note(task: str, args: tuple[str, ...], countdown: float | None) -> None:
        if task == "payments.audit_overlaps":
            kicked.append((task, args[0]))

    monkeypatch.setattr(effects, "_send", note)
    room = make_room()
    with without_the_constraint():
        one, two = sold_twice(sandbox, room)
        assert [booking for _, booking in kicked] == [str(one.booking_id), str(two.booking_id)]
        assert tasks.audit_overlaps(str(two.booking_id)) == 1
        only_finding(TWICE)


def test_an_overlap_of_the_past_stays_told(sandbox: SandboxClient) -> None:
    room = make_room()
    with without_the_constraint():
        sold_twice(sandbox, room)
        check("overlaps")
        past_the_guards(
            "UPDATE bookings_line SET starts_at = starts_at - interval '40 days',"
            " ends_at = ends_at - interval '40 days'"
        )
        assert check("overlaps").found == 0
        only_finding(TWICE)


def test_three_on_one_slot_are_three_pairs_and_a_lapsed_hold_is_none(
    sandbox: SandboxClient,
) -> None:
    room = make_room()
    with without_the_constraint():
        sold_twice(sandbox, room)
        three = sold(sandbox, room, "request-three", 20, 22)
        move(three, hours=-10)
        held = hold(line(room, 20, 22))
        lapse(held)
        expire_lapsed()
        past_the_guards(
            "UPDATE bookings_line SET starts_at = starts_at - interval '10 hours',"
            " ends_at = ends_at - interval '10 hours' WHERE booking_id = %s",
            held.booking_id,
        )
        assert check("overlaps").found == 3
        assert Finding.objects.count() == 3


def test_a_pool_beyond_its_capacity(sandbox: SandboxClient) -> None:
    pool = make_pool(capacity=2, price=0)
    for _ in range(2):
        held = hold(line(pool, 9, 11))
        start_free(held)
    assert check("overlaps").found == 0
    past_the_guards("UPDATE bookings_resource SET capacity = 1 WHERE id = %s", pool.pk)

    finding = assert_told_once("overlaps", "pool_overdrawn")
    assert (finding.evidence["units"], finding.evidence["capacity"]) == (2, 1)
    assert len(finding.evidence["bookings"]) == 2

    past_the_guards("UPDATE bookings_resource SET capacity = 2 WHERE id = %s", pool.pk)
    assert_over("overlaps", finding)


def test_add_ons_count_in_the_audit_with_lines_of_their_pool(sandbox: SandboxClient) -> None:
    """Two helmets by themselves and, an hour later but over them, three as add-ons of a room."""
    helmets = make_pool(capacity=5, price=0)
    room = make_room(workspace=helmets.workspace, price=0)
    make_add_on(room, helmets, max_per_unit=3)
    alone = hold(line(helmets, 9, 11, 2))
    wish = line(room, 10, 12)
    with_them = hold(replace(wish, add_ons=(AddOnRequest(helmets.pk, 3),)))
    for held in (alone, with_them):
        start_free(held)
    assert check("overlaps").found == 0
    past_the_guards("UPDATE bookings_resource SET capacity = 4 WHERE id = %s", helmets.pk)

    finding = assert_told_once("overlaps", "pool_overdrawn")
    assert (finding.evidence["units"], finding.evidence["capacity"]) == (5, 4)
    assert len(finding.evidence["bookings"]) == 2


def start_free(held: Hold) -> None:
    from payments import checkouts

    checkouts.start(hold_id=held.pk, success_url="x", cancel_url="x", actor=SYSTEM)
    assert Booking.objects.get(pk=held.booking_id).state == "confirmed"


def test_the_command_says_so_and_fails(
    sandbox: SandboxClient, capsys: pytest.CaptureFixture[str]
) -> None:
    room = make_room()
    call_command("reconcile", "--check", "overlaps")
    assert "0 open findings" in capsys.readouterr().out
    with without_the_constraint():
        sold_twice(sandbox, room)
        with pytest.raises(SystemExit, match="1"):
            call_command("reconcile", "--check", "overlaps", "--full")
        out = capsys.readouterr().out
        assert "was sold twice" in out
        assert "overlaps" in out
