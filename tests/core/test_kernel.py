"""Errors, money, locks, inserts, effects and kicks: what every app stands on."""

import time
from decimal import Decimal

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from bookings import lock_objects as bookings_locks
from bookings.models import Booking, BookingEvent
from bookings.services import note
from bookings.states import BOOKING_STATES, CHANGE_STATES
from config.kernel import clock, effects, locks, rows
from config.kernel.context import SYSTEM
from config.kernel.database_errors import translated
from config.kernel.errors import DomainError, InvalidTransition, TemporarilyUnavailable
from config.kernel.money import Money, exponent, round_half_up
from config.kernel.transitions import TransitionTable
from holds.lock_objects import lock_hold
from holds.states import HOLD_STATES
from members.models import NOTIFICATION_STATES, Notification
from payments.lock_objects import lock_money
from payments.states import CHECKOUT_STATES, PAYMENT_STATES
from tests.core import raw
from tests.core.raw import sql
from tests.core.support import hold, line
from tests.factories import make_room

# --- Errors and money ---------------------------------------------------------------------------


class Sold(DomainError):
    code, status, detail = "sold", 409, "Sold."


def test_an_error_is_a_problem_with_its_own_data():
    assert Sold(line=3).as_problem() == {
        "type": "urn:surehold:sold",
        "title": "Sold",
        "status": 409,
        "code": "sold",
        "detail": "Sold.",
        "line": 3,
    }
    assert Sold("Gone.", field="start").as_problem()["errors"] == {"start": ["Gone."]}


@pytest.mark.parametrize(
    ("status", "final"),
    [(400, True), (409, True), (422, True), (429, False), (500, False), (503, False)],
)
def test_which_refusals_are_kept_for_replays(status, final):
    assert type("Answer", (DomainError,), {"status": status})().is_final is final


def test_money_is_whole_minor_units_of_one_currency():
    assert Money(4500, "NZD") + Money(50, "NZD") == Money(4550, "NZD")
    with pytest.raises(ValueError, match="EUR"):
        Money(1, "NZD") + Money(1, "EUR")
    shown = [str(Money(123456, code)) for code in ("NZD", "JPY", "KWD", "CHF")]
    assert shown == ["NZ$1,234.56", "¥123,456", "KWD 123.456", "CHF 1,234.56"]
    assert [exponent(code) for code in ("nzd", "JPY", "BHD")] == [2, 0, 3]
    assert [round_half_up(Decimal(n)) for n in ("0.5", "1.5", "2.4999", "2.5")] == [1, 2, 2, 3]


# --- Locks --------------------------------------------------------------------------------------


@pytest.fixture
def held(db):
    return hold(line(make_room()))


def _lockers(held):
    booking, room = held.booking_id, held.booking.occupancies.get().resource
    return {
        "lock_resources": lambda: list(bookings_locks.lock_resources([room.pk])),
        "lock_rules": lambda: bookings_locks.lock_rules(
            workspace_id=room.workspace_id, resource_ids=[room.pk]
        ),
        "lock_resources_of": lambda: bookings_locks.lock_resources_of([booking]),
        "lock_bookings": lambda: list(bookings_locks.lock_bookings([booking])),
        "lock_hold": lambda: lock_hold(held.pk),
        "lock_money": lambda: lock_money(booking),
    }


TABLES = {
    "lock_resources": ["bookings_resource"],
    "lock_rules": ["bookings_resource"],
    "lock_resources_of": ["bookings_resource"],
    "lock_bookings": ["bookings_booking"],
    "lock_hold": ["bookings_resource", "bookings_booking", "holds_hold"],
    "lock_money": [
        "bookings_resource", "bookings_booking", "holds_hold",
        "payments_due", "payments_checkout", "payments_payment",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_each_lock_is_for_no_key_update_in_the_one_order(held, name):
    """A lock that is missing seldom shows in behaviour, so that it is looked for in the SQL."""
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        _lockers(held)[name]()
    taken = [q["sql"] for q in captured.captured_queries if "FOR NO KEY UPDATE" in q["sql"]]
    assert len(taken) == len(TABLES[name])
    for statement, table in zip(taken, TABLES[name], strict=True):
        assert f"FROM {table}" in statement.replace('"', "")
        # One row of a unique column needs no order.
        assert "ORDER BY" in statement or "LIMIT 21" in statement
        assert "FOR UPDATE" not in statement


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", TABLES)
def test_each_lock_refuses_outside_a_transaction(name):
    held = hold(line(make_room()))
    with pytest.raises(TransactionManagementError):
        _lockers(held)[name]()


@pytest.mark.django_db(transaction=True)
def test_other_locks_and_the_time_under_them_refuse_too():
    for work in (lambda: locks.advisory(["member:1"]), bookings_locks.now_under_locks):
        with pytest.raises(TransactionManagementError):
            work()


@pytest.mark.django_db
def test_advisory_locks_are_taken_sorted_and_once():
    asked = []

    def watch(execute, statement, params, many, context):
        asked.append(params[0])
        return execute(statement, params, many, context)

    with transaction.atomic(), connection.execute_wrapper(watch):
        locks.advisory(["visitor:b", "member:a", "visitor:b"])
        locks.advisory([])
    assert [len(keys) for keys in asked] == [2]
    assert asked[0] == sorted(asked[0])
    held = sql(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    )
    assert held == [(2,)]


@pytest.mark.django_db
def test_the_clock_goes_on_inside_a_transaction():
    first = clock.now()
    assert clock.now() > first
    assert sql("SELECT now() = now()") == [(True,)]


def test_the_rules_for_what_a_database_refusal_means():
    assert translated(IntegrityError("a bug of ours")) is None
    assert isinstance(translated(OperationalError("gone")), TemporarilyUnavailable)


@pytest.mark.django_db(transaction=True)
def test_a_deadlocks_victim_is_tried_once_more():
    calls = []

    @locks.retried_on_deadlock
    def work():
        calls.append(1)
        if len(calls) == 1:
            sql("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$")
        return "done"

    assert work() == "done"
    calls.clear()
    with pytest.raises(OperationalError), transaction.atomic():
        work()
    assert len(calls) == 1, "inside a transaction the victim is the whole of it"


# --- Transitions --------------------------------------------------------------------------------

MACHINES = {
    "bookings_booking": BOOKING_STATES,
    "bookings_change": CHANGE_STATES,
    "holds_hold": HOLD_STATES,
    "payments_checkout": CHECKOUT_STATES,
    "payments_payment": PAYMENT_STATES,
    "members_notification": NOTIFICATION_STATES,
}
PROBE = """
    CREATE TEMPORARY TABLE probe (state text, version int) ON COMMIT DROP;
    CREATE TRIGGER t BEFORE INSERT OR UPDATE OF state ON probe FOR EACH ROW EXECUTE FUNCTION {}();
"""


@pytest.mark.django_db
@pytest.mark.parametrize("table", MACHINES)
def test_the_table_and_the_trigger_agree_on_every_pair(table):
    """The installed trigger's own function, put on a bare table: nothing else can refuse."""
    machine: TransitionTable = MACHINES[table]
    ((function,),) = sql(
        "SELECT p.proname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
        " WHERE t.tgrelid = %s::regclass AND t.tgname LIKE 'pgtrigger_transitions_%%'",
        table,
    )
    sql(PROBE.format(function))
    for state in [*machine.states, "nonsense"]:
        assert _allowed(None, state) is (state in machine.first), state
        for to_state in [*machine.states, "nonsense"]:
            if state != to_state:
                allowed = machine.allows(state, to_state)
                assert _allowed(state, to_state) is allowed, (state, to_state)
                if not allowed:
                    with pytest.raises(InvalidTransition):
                        machine.check(state, to_state)


def _allowed(from_state, to_state):
    try:
        with transaction.atomic():
            if from_state is None:
                sql("INSERT INTO probe VALUES (%s, 0)", to_state)
            else:
                sql("ALTER TABLE probe DISABLE TRIGGER t")
                sql("INSERT INTO probe VALUES (%s, 0)", from_state)
                sql("ALTER TABLE probe ENABLE TRIGGER t")
                sql("UPDATE probe SET state = %s, version = 1", to_state)
            raise _Undo
    except _Undo:
        return True
    except IntegrityError:
        return False


class _Undo(Exception):
    pass


def test_a_diagram_shows_every_move():
    drawn = BOOKING_STATES.diagram()
    for a, tos in BOOKING_STATES.moves.items():
        for b in tos:
            assert f"    {a} --> {b}" in drawn
    assert "    [*] --> pending_payment" in drawn


# --- Inserts ------------------------------------------------------------------------------------


def _mail(once, **columns):
    values = {"kind": "reminder", "to": "a@example.test", "payload": {"subject": "é ' %s"}}
    return Notification(once=once, **{**values, **columns})


@pytest.mark.django_db
def test_rows_of_several_tables_go_in_one_statement(held):
    booking = Booking.objects.get(pk=held.booking_id)
    event = note(booking, kind="noted", at=clock.now(), actor=SYSTEM, why="a % and a 'quote'")
    with CaptureQueriesContext(connection) as captured:
        rows.insert([event, _mail("one"), _mail("two")])
    assert len(captured.captured_queries) == 1
    assert BookingEvent.objects.get(pk=event.pk).data == {"why": "a % and a 'quote'"}
    found = Notification.objects.get(once="one")
    assert found.payload == {"subject": "é ' %s"}
    assert found.created_at is not None, "the database's default"
    assert (found.state, found.version) == ("pending", 0)


@pytest.mark.django_db
def test_all_rows_or_none_and_nothing_for_nothing():
    with CaptureQueriesContext(connection) as captured:
        rows.insert([])
    assert captured.captured_queries == []
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.insert([_mail("one"), _mail("one")])
    assert not Notification.objects.exists()


# --- Effects and kicks --------------------------------------------------------------------------


def test_effects_are_registered_once_and_in_order():
    name = "test.happened"
    one, two = (lambda _: ["one"]), (lambda h: ["two", h.reason])
    effects.on(name)(one)
    effects.on(name)(two)
    effects.on(name)(one)
    happening = effects.Happening(name, None, clock, SYSTEM, "why")
    try:
        assert effects.rows_for(happening) == ["one", "two", "why"]
        assert len(effects.registered()[name]) == 2
    finally:
        effects._registry.pop(name)


def test_the_products_effects_are_all_there():
    assert "bookings.effects.mail_confirmation" in effects.registered()["booking.confirmed"]
    assert "payments.effects.owe" in effects.registered()["hold.placed"]
    assert "payments.effects.close_sessions" in effects.registered()["booking.expired"]


@pytest.fixture
def sent(monkeypatch):
    """What reaches the broker, with its pause lifted."""
    from config.celery import app

    found = []
    monkeypatch.setattr(effects, "_broker_paused_until", 0.0)
    monkeypatch.setattr(app, "send_task", lambda *args, **kwargs: found.append((args, kwargs)))
    return found


@pytest.mark.django_db(transaction=True)
def test_a_kick_goes_out_after_the_commit_and_not_after_a_rollback(sent):
    with transaction.atomic():
        rows.insert([_mail("kept")])
        assert sent == []
    assert [args[0] for args, _ in sent] == ["members.send_notification"]
    with pytest.raises(_Undo), transaction.atomic():  # noqa: PT012
        rows.insert([_mail("lost")])
        raise _Undo
    assert len(sent) == 1


@pytest.mark.django_db(transaction=True)
def test_a_dead_broker_costs_one_try_and_never_a_commit(monkeypatch, settings):
    from config.celery import app

    tries = []

    def dead(*args, **kwargs):
        tries.append(kwargs)
        raise OSError("no broker")

    monkeypatch.setattr(effects, "_broker_paused_until", 0.0)
    monkeypatch.setattr(app, "send_task", dead)
    began = time.monotonic()
    held = hold(line(make_room()))
    for number in range(5):
        rows.insert([_mail(f"mail {number}")])
    assert time.monotonic() - began < 5
    assert Booking.objects.filter(pk=held.booking_id).exists()
    assert Notification.objects.filter(state="pending").count() == 5
    assert len(tries) == 1, "for five seconds nobody else asks a broker that was not there"
    assert tries[0]["retry"] is False


@pytest.mark.django_db
def test_a_raw_row_and_a_model_row_are_guarded_alike(held):
    room = held.booking.occupancies.get().resource
    with raw.refused("booking_first_state"):
        rows.insert(
            [
                Booking(
                    workspace=room.workspace,
                    state="confirmed",
                    currency="NZD",
                    total_minor=0,
                    price={},
                    starts_at=raw.at(9),
                    ends_at=raw.at(10),
                    created_at=clock.now(),
                )
            ]
        )
