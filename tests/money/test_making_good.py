"""After an incident: who was hit is found, told once, credited, and can book again by a button."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from bookings.models import Booking, Resource
from config.kernel.context import Actor
from config.kernel.errors import InvalidInput
from holds.models import Hold
from members.models import Notification, Workspace
from payments import cancelling
from payments.making_good import services
from payments.making_good.mails import token_of
from payments.models import Apology, CreditAccount, CreditEntry, FailedAttempt, Incident
from tests.core.raw import CHECK, RESTRICT, UNIQUE, refused, sql
from tests.core.support import hold, line, tomorrow
from tests.core.threads import together
from tests.factories import MemberFactory, ResourceFactory, make_room
from tests.money.refunds_support import paid
from tests.money.support import heal
from tests.pages.support import form_to
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db
STAFF = Actor("staff", "1", "Sam")
NINE = datetime(2026, 11, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


def failed(
    room: Resource, email: str = "ana@example.test", *, minutes: int = 5, hours=(9, 10), **more
) -> FailedAttempt:
    """An attempt at tomorrow's slot that failed some minutes past nine."""
    start, end = hours
    given = {
        "id": uuid4(),
        "workspace": room.workspace,
        "what": "hold",
        "at": NINE + timedelta(minutes=minutes),
        "status": 503,
        "code": "temporarily_unavailable",
        "email": email,
        "lines": [
            {
                "resource": str(room.pk),
                "start": tomorrow(start).isoformat(),
                "end": tomorrow(end).isoformat(),
                "quantity": 1,
            }
        ],
        "quoted_minor": 4500,
        "currency": room.workspace.currency,
    }
    return FailedAttempt.objects.create(**given | more)


def the_hour(workspace: Workspace | None) -> dict:
    return {"starts_at": NINE, "ends_at": NINE + HOUR, "workspace": workspace}


def made_good(workspace: Workspace | None, **more) -> Incident:
    incident = services.begin(**the_hour(workspace), actor=STAFF, **more)
    services.carry_out(incident.pk)
    incident.refresh_from_db()
    return incident


# --- Who was hit --------------------------------------------------------------------------------


def test_a_wish_counts_once_however_often_it_was_tried():
    room = make_room()
    for minutes in (5, 6, 7):
        failed(room, minutes=minutes)
    failed(room, hours=(11, 12))
    failed(room, email="")
    failed(room, email="late@example.test", minutes=61)
    found = services.preview(**the_hour(room.workspace), credit_percent=10)
    (hit,) = found.told
    assert (hit.email, hit.attempts, hit.quoted_minor) == ("ana@example.test", 4, 9000)
    assert len(found.nameless) == 1
    assert found.credit == {room.workspace.currency: 900}
    assert not Incident.objects.exists()
    assert not CreditEntry.objects.exists()


def test_who_has_the_slot_by_now_is_left_alone():
    room = make_room()
    failed(room)
    hold(line(room, 9, 10))
    found = services.preview(**the_hour(room.workspace))
    assert found.told == []
    assert [hit.email for hit in found.served] == ["ana@example.test"]


def test_staff_of_the_platform_see_how_many_workspaces_were_hit():
    hit, *_ = rooms = [make_room() for _ in range(4)]
    failed(hit)
    found = services.preview(**the_hour(None))
    assert (found.workspaces, found.workspaces_in_all) == (1, Workspace.objects.count())
    other = services.preview(**the_hour(rooms[1].workspace))
    assert (other.told, other.workspaces) == ([], 0)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ends_at": NINE}, "ends_at"),
        ({"ends_at": NINE + timedelta(days=32)}, "ends_at"),
        ({"credit_percent": 101}, "credit_percent"),
        ({"credit_percent": 5, "credit_minor": 5}, "credit_minor"),
        ({"workspace": None, "credit_minor": 5}, "credit_minor"),
    ],
)
def test_what_makes_no_sense_is_named(changes, field):
    room = make_room()
    with pytest.raises(InvalidInput) as caught:
        services.preview(**the_hour(room.workspace) | changes)
    assert caught.value.field == field


# --- Telling them -------------------------------------------------------------------------------


def test_each_is_told_once_with_a_link_and_credit():
    room = make_room()
    failed(room)
    failed(room, email="ben@example.test", quoted_minor=333)
    incident = made_good(room.workspace, credit_percent=50, words="A database had filled up.")

    mails = Notification.objects.filter(kind="apology").order_by("to")
    assert [mail.to for mail in mails] == ["ana@example.test", "ben@example.test"]
    assert "A database had filled up." in mails[0].payload["text"]
    assert "NZ$22.50" in mails[0].payload["subject"] or "22.50" in mails[0].payload["subject"]
    accounts = CreditAccount.objects.order_by("member__email")
    assert [a.balance_minor for a in accounts] == [2250, 167]
    report = services.report(incident)
    assert (report.told, report.people, report.rebooked, report.is_finished) == (2, 2, 0, True)

    again = made_good(room.workspace, credit_percent=50)
    assert again.pk == incident.pk
    assert services.carry_out(incident.pk) == 0
    assert Notification.objects.filter(kind="apology").count() == 2
    assert CreditEntry.objects.count() == 2


def test_who_came_to_light_afterwards_is_told_then():
    """The log of the outage is taken in later; those told before are not told again."""
    room = make_room()
    failed(room)
    made_good(room.workspace, credit_minor=500)
    failed(room, email="ben@example.test", is_from_log=True)
    incident = made_good(room.workspace, credit_minor=500)
    assert incident.people == 2
    assert sorted(incident.apologies.values_list("email", flat=True)) == [
        "ana@example.test",
        "ben@example.test",
    ]
    assert [e.amount_minor for e in CreditEntry.objects.all()] == [500, 500]


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_tell_nobody_twice():
    room = make_room()
    for number in range(6):
        failed(room, email=f"member{number}@example.test")
    incident = services.begin(**the_hour(room.workspace), actor=STAFF, credit_percent=100)
    done = together([lambda: services.carry_out(incident.pk)] * 4)
    assert sum(done) == 6
    assert Notification.objects.filter(kind="apology").count() == 6
    assert [a.balance_minor for a in CreditAccount.objects.all()] == [4500] * 6


class Killed(BaseException):
    """The process is gone: nothing of ours catches that."""


def test_a_crash_in_between_goes_on_where_it_stopped(monkeypatch):
    room = make_room()
    for number in range(3):
        failed(room, email=f"member{number}@example.test")
    incident = services.begin(**the_hour(room.workspace), actor=STAFF, credit_percent=100)
    tell, told = services._tell, []

    def crashes(*asked):
        if told:
            raise Killed
        told.append(tell(*asked))
        return told[-1]

    with monkeypatch.context() as crash:
        crash.setattr(services, "_tell", crashes)
        with pytest.raises(Killed):
            services.carry_out(incident.pk)
    assert Apology.objects.count() == 1
    assert Incident.objects.get().next_try_at is not None  # the sweep will come by
    assert services.carry_out(incident.pk) == 2
    assert CreditEntry.objects.count() == 3
    assert Incident.objects.get().finished_at is not None


def test_the_database_keeps_it():
    room = make_room()
    failed(room)
    incident = made_good(room.workspace)
    with refused("apology_once_per_person", UNIQUE):
        sql(
            "INSERT INTO payments_apology (id, incident_id, workspace_id, email, lines,"
            " quoted_minor, currency, created_at) SELECT gen_random_uuid(), incident_id,"
            " workspace_id, email, lines, quoted_minor, currency, now() FROM payments_apology"
        )
    with refused("incidents_are_history", RESTRICT):
        sql("DELETE FROM payments_apology")
    with refused("incident_once_per_window", UNIQUE):
        sql(
            "INSERT INTO payments_incident (id, workspace_id, starts_at, ends_at, words,"
            " credit_percent, credit_minor, created_at, created_by, people, nameless)"
            " SELECT gen_random_uuid(), workspace_id, starts_at, ends_at, '', 0, 0, now(), '', 0, 0"
            " FROM payments_incident"
        )
    with refused("incident_window_in_order", CHECK):
        sql("UPDATE payments_incident SET ends_at = starts_at WHERE id = %s", incident.pk)


# --- Booking again ------------------------------------------------------------------------------


def the_link(room: Resource) -> str:
    failed(room)
    made_good(room.workspace)
    apology = Apology.objects.get()
    url = f"/again/{token_of(apology)}/"
    assert url in Notification.objects.get(kind="apology").payload["text"]
    return url


def test_no_get_claims_and_the_button_does_once(client: Client):
    room = make_room()
    url = the_link(room)
    for _ in range(3):
        assert client.get(url).status_code == 200
        assert client.head(url).status_code == 200
    assert not Hold.objects.exists()

    form = form_to(client.get(url), "")
    first, second = (client.post(url, form.fields) for _ in range(2))
    held = Hold.objects.get()
    assert first["Location"] == second["Location"] == f"/hold/{held.token}/"
    assert held.booking.email == "ana@example.test"
    assert Apology.objects.get().rebooked_at is not None
    assert Booking.objects.count() == 1


def test_when_it_is_gone_the_nearest_is_offered(client: Client):
    room = make_room()
    url = the_link(room)
    form = form_to(client.get(url), "")
    hold(line(room, 9, 10))
    answer = client.post(url, form.fields)
    assert answer.status_code == 409
    assert "This time is gone" in answer.content.decode()
    assert "Hold " in answer.content.decode()
    assert Apology.objects.get().rebooked_at is None


def test_somebody_elses_token_is_not_found(client: Client):
    assert client.get("/again/not-one-of-ours/").status_code == 404


# --- The command and the admin ------------------------------------------------------------------


def test_the_command_looks_first_and_then_tells():
    room = make_room()
    failed(room)
    window = ["--from", NINE.isoformat(), "--to", (NINE + HOUR).isoformat()]
    out = StringIO()
    call_command("make_good", *window, "--credit-percent", "10", "--dry-run", stdout=out)
    assert "1 to tell" in out.getvalue()
    assert not Incident.objects.exists()
    call_command("make_good", *window, "--credit-percent", "10", stdout=out)
    assert "Told 1 now, 1 in all." in out.getvalue()
    assert CreditEntry.objects.get().amount_minor == 450
    with pytest.raises(CommandError, match="--from"):
        call_command("make_good", "--from", "yesterday", "--to", NINE.isoformat())
    with pytest.raises(CommandError, match="no workspace"):
        call_command("make_good", *window, "--workspace", "nowhere")


@pytest.mark.django_db(transaction=True)
def test_who_cancelled_by_themselves_is_not_hit(sandbox: SandboxClient) -> None:
    held = paid(sandbox, make_room())
    cancelling.cancel_own(booking_id=held.booking_id, actor=Actor("member", "1", "Ana"))
    heal()
    now = datetime.now(UTC)
    found = services.preview(
        starts_at=now - HOUR,
        ends_at=now + HOUR,
        workspace=held.booking.workspace,
        credit_percent=50,
    )
    assert (found.told, found.credit) == ([], {})


def test_one_who_cannot_be_told_keeps_nobody_waiting():
    room = make_room()
    failed(room, "ann@example.test", quoted_minor=2**62)
    failed(room, "ann@example.test", quoted_minor=2**62, hours=(11, 12))
    failed(room, "ben@example.test")
    incident = services.begin(**the_hour(room.workspace), actor=STAFF, credit_percent=100)
    services.carry_out(incident.pk)
    assert [a.email for a in Apology.objects.all()] == ["ben@example.test"]
    incident.refresh_from_db()
    assert incident.finished_at is None, "the other is tried again"
    assert incident.next_try_at is not None


def test_those_without_an_address_are_counted_one_by_one():
    room = make_room()
    for visitor in ("one", "two"):
        failed(room, "", visitor=visitor)
    assert len(services.preview(**the_hour(room.workspace)).nameless) == 2


def test_credit_goes_to_the_address_not_to_who_typed_it():
    room = make_room()
    eve = MemberFactory(email="eve@example.test")
    failed(room, "ana@example.test", member=eve)
    made_good(room.workspace, credit_percent=10)
    entry = CreditEntry.objects.get()
    assert entry.account.member.email == "ana@example.test"


def test_served_counts_every_wish_not_the_last_alone():
    room, other = make_room(), None
    other = ResourceFactory(workspace=room.workspace)
    failed(room)
    failed(other, minutes=6)
    hold(line(room))
    hold(line(other))
    Booking.objects.update(created_at=NINE + HOUR)
    (hit,) = services.preview(**the_hour(room.workspace)).served
    assert hit.email == "ana@example.test"
