"""Every mail as text, HTML and calendar file; sent once, retried, leased."""

import base64
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.core.mail.backends.locmem import EmailBackend
from django.db import transaction
from icalendar import Calendar

from bookings import mails
from bookings import services as bookings_services
from bookings.links import booking_id_from, manage_token
from bookings.models import Booking
from config.kernel import clock, rows
from config.kernel.context import Actor
from config.kernel.money import Money
from holds import services, tasks
from holds.lock_objects import lock_hold
from members import mail
from members import tasks as member_tasks
from members.models import Notification, Staff
from members.sign_in import link_mail
from tests.core.support import SOMEBODY, hold, lapse, line, tomorrow
from tests.core.threads import together
from tests.factories import MemberFactory, make_room
from tests.support.sandbox import eventually

pytestmark = pytest.mark.django_db


@pytest.fixture
def booking():
    """A booking of a room whose name and operator are made to break careless templates."""
    room = make_room(name="Studio <b>&</b> “Nook”")
    room.location.directions = "Ring at the green door."
    room.location.save()
    held = hold(line(room))
    return Booking.objects.get(pk=held.booking_id)


def confirmed(booking) -> Booking:
    with transaction.atomic():
        services.confirm_unpaid(lock_hold(booking.holds.get().pk), SOMEBODY)
    return Booking.objects.get(pk=booking.pk)


class _Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name == "href"]

    def handle_data(self, data):
        self.text += data


PRICE = Money(4500, "NZD")
KINDS = {
    "confirmation": lambda b: mails.confirmation(b),
    "cancellation": lambda b: mails.cancellation(b, "The boiler & <pipes> broke"),
    "expiry": lambda b: mails.expiry(b),
    "released": lambda b: mails.released_by_staff(b, "We need <it>"),
    "reminder": lambda b: mails.reminder(b),
    "not_charged": lambda b: mails.not_charged(b, amount=PRICE, payment="1", because="slot_gone"),
    "paid_twice": lambda b: mails.not_charged(b, amount=PRICE, payment="1", because="duplicate"),
    "capture_failed": lambda b: mails.capture_failed(
        b, amount=PRICE, payment="pi_1", until=b.starts_at
    ),
    "given_back": lambda b: mails.given_back(
        b, amount=PRICE, payment="pi_1", because="slot_gone", goodwill=PRICE
    ),
    "processing": lambda b: mails.processing(b, amount=PRICE, payment="pi_1", until=b.starts_at),
    "processing_too_long": mails.processing_too_long,
    "payment_failed": lambda b: mails.payment_failed(b, amount=PRICE, payment="pi_1"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_text_and_html_that_say_the_same(booking, kind):
    (written,) = KINDS[kind](booking)
    payload = written.payload
    assert (written.kind, written.to) == (kind, "ana@example.test")
    assert (written.subject_type, written.subject_id) == ("booking", str(booking.pk))
    assert payload["subject"]
    assert "\n" not in payload["subject"]
    assert payload["reply_to"] == "desk@example.test"

    html = _Links()
    html.feed(payload["html"])
    for said in (payload["text"], " ".join(html.text.split())):
        assert "Studio <b>&</b> “Nook”" in said, "as it is, neither escaped twice nor as markup"
        assert booking.lines.get().resource.location.name in said
        assert "{{" not in said
        assert "None" not in said
    assert "<b>&</b>" not in payload["html"]
    # Every address in the HTML can be had from the text by those who read only that.
    addresses = [href for href in html.found if href.startswith("http")]
    assert addresses
    assert all(address in payload["text"] for address in addresses)


@pytest.mark.parametrize("kind", ["cancellation", "released"])
def test_a_reason_is_quoted_and_escaped(booking, kind):
    (written,) = KINDS[kind](booking)
    assert "&lt;" in written.payload["html"]
    assert "<pipes>" not in written.payload["html"]
    assert "<" in written.payload["text"]


@pytest.mark.parametrize("kind", ["confirmation", "reminder", "cancellation"])
def test_the_calendar_file(booking, kind):
    booking = confirmed(booking)
    if kind == "cancellation":
        booking = bookings_services.cancel(booking_id=booking.pk, actor=SOMEBODY)
    (written,) = KINDS[kind](booking)
    (part,) = written.payload["attachments"]
    assert (part["name"], part["type"]) == (f"{booking.reference}.ics", "application/ics")
    calendar = Calendar.from_ical(base64.b64decode(part["content"]))
    (event,) = calendar.walk("VEVENT")
    assert (event["DTSTART"].dt, event["DTEND"].dt) == (tomorrow(9), tomorrow(10))
    assert str(event["UID"]) == f"{booking.lines.get().pk}@surehold"
    ended = kind == "cancellation"
    assert str(calendar["METHOD"]) == ("CANCEL" if ended else "REQUEST")
    assert str(event["STATUS"]) == ("CANCELLED" if ended else "CONFIRMED")
    assert int(event["SEQUENCE"]) == booking.version


def test_a_calendar_file_promises_nothing_before_it_is_confirmed(booking):
    assert str(_event(mails.reminder(booking))["STATUS"]) == "TENTATIVE"


def test_a_cancellation_takes_the_same_event_out_again(booking):
    booking = confirmed(booking)
    first = _event(mails.confirmation(booking))
    after = bookings_services.cancel(booking_id=booking.pk, actor=SOMEBODY)
    second = _event(mails.cancellation(after, ""))
    assert first["UID"] == second["UID"]
    assert int(second["SEQUENCE"]) > int(first["SEQUENCE"])


def _event(written):
    content = base64.b64decode(written[0].payload["attachments"][0]["content"])
    return Calendar.from_ical(content).walk("VEVENT")[0]


@pytest.mark.parametrize("kind", ["sign_in", "invitation"])
def test_sign_in_mails_carry_their_link(kind):
    member = MemberFactory()
    written = link_mail(member, kind, workspace=make_room().workspace)
    assert "/sign-in/link/?token=" in written.payload["text"]
    html = _Links()
    html.feed(written.payload["html"])
    assert any("/sign-in/link/?token=" in href for href in html.found)
    assert written.payload["attachments"] == []


def test_the_manage_link_opens_its_own_booking_only(booking):
    token = manage_token(booking)
    assert booking_id_from(token) == booking.pk
    for broken in (token[:-1], "x" + token, "", "no:token"):
        assert booking_id_from(broken) is None


# --- Which mail when ----------------------------------------------------------------------------


def kinds():
    return list(Notification.objects.order_by("created_at").values_list("kind", flat=True))


def test_who_is_told_of_what():
    room = make_room(price=0)
    free = Booking.objects.get(pk=hold(line(room, 9, 10)).booking_id)
    confirmed(free)
    assert kinds() == ["confirmation"], "nothing is owed: at once"
    bookings_services.cancel(booking_id=free.pk, actor=SOMEBODY)
    assert kinds() == ["confirmation", "cancellation"]
    lapse(hold(line(room, 10, 11)))
    tasks.tidy_lapsed()
    assert kinds()[2:] == ["expiry"]
    staff = Actor("staff", "1", "Kim")
    services.release(hold_id=hold(line(room, 11, 12)).pk, actor=staff, reason="Sorry")
    assert kinds()[3:] == ["released"]
    services.release(hold_id=hold(line(room, 12, 13)).pk, actor=SOMEBODY)
    assert len(kinds()) == 4


def test_nobody_is_mailed_without_an_address():
    from holds.claims import Claimant

    held = hold(line(make_room(price=0)), claimant=Claimant(visitor="x"))
    confirmed(Booking.objects.get(pk=held.booking_id))
    assert kinds() == []


def test_reminders_go_once_and_only_to_what_was_booked_before(booking):
    from bookings import tasks as booking_tasks

    booking = confirmed(booking)
    assert booking_tasks.remind() == 0, "its confirmation has just come"
    two_days = timedelta(days=2)
    Booking.objects.filter(pk=booking.pk).update(
        created_at=clock.now() - two_days, starts_at=clock.now() + timedelta(hours=5)
    )
    before = kinds()
    assert booking_tasks.remind() == 1
    assert booking_tasks.remind() == 0
    assert kinds() == [*before, "reminder"]


# --- Sending ------------------------------------------------------------------------------------


def written(once="one") -> Notification:
    row = mail.notification(
        kind="sign_in", to="ana@example.test", once=once, workspace=None,
        context={"link": "http://x/sign-in/link/?token=t", "minutes": 30, "member": None},
    )  # fmt: skip
    rows.insert([row])
    return row


def state(row):
    row.refresh_from_db()
    return row.state, row.attempts


def test_a_mail_goes_out_once_with_both_bodies_and_its_headers(mailoutbox):
    row = written()
    assert member_tasks.send_notification(str(row.pk)) is True
    assert mail.send(row.pk) is False
    (sent,) = mailoutbox
    assert sent.to == ["ana@example.test"]
    assert sent.alternatives[0][1] == "text/html"
    assert sent.extra_headers["Message-ID"] == f"<{row.pk}@surehold>"
    assert state(row) == ("sent", 1)


def test_attachments_arrive_as_they_were(booking, mailoutbox):
    confirmed(booking)
    row = Notification.objects.get(kind="confirmation")
    mail.send(row.pk)
    ((name, content, kind),) = mailoutbox[0].attachments
    assert (name, kind) == (f"{booking.reference}.ics", "application/ics")
    assert "BEGIN:VEVENT" in (content if isinstance(content, str) else content.decode())


class Refusing(EmailBackend):
    def send_messages(self, messages):
        raise OSError("no such host")


REFUSING = f"{__name__}.Refusing"


def test_a_mail_that_fails_is_tried_again_later_and_in_the_end_given_up(settings, mailoutbox):
    row = written()
    settings.EMAIL_BACKEND = REFUSING
    pauses = []
    for _ in range(12):
        assert mail.send(row.pk) is False
        row.refresh_from_db()
        assert row.leased_until is None
        pauses.append((row.due_at - clock.now()).total_seconds())
    assert state(row) == ("failed", 12)
    assert "no such host" in row.last_error
    assert pauses[0] > 10
    assert pauses == sorted(pauses) or pauses[-1] > 3000
    assert mail.due() == []
    assert mail.send(row.pk) is False

    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    mail.retry(row)
    assert mail.due() == [row.pk]
    assert member_tasks.send_due_mail() == 1
    assert state(row) == ("sent", 1)
    assert len(mailoutbox) == 1


def test_a_lease_keeps_others_off_until_it_ends(mailoutbox):
    """A worker that died while sending: nobody else for a minute, then the sweep."""
    row = written()
    assert mail._lease(row.pk) is not None
    assert mail.send(row.pk) is False
    assert mail.due() == []
    Notification.objects.update(leased_until=clock.now() - timedelta(seconds=1))
    assert mail.due() == [row.pk]
    assert mail.send(row.pk) is True
    assert state(row) == ("sent", 2)


def test_two_effects_for_the_same_thing_are_one_mail(booking):
    rows.insert(mails.reminder(booking))
    from django.db import IntegrityError

    with pytest.raises(IntegrityError), transaction.atomic():
        rows.insert(mails.reminder(booking))


@pytest.mark.django_db(transaction=True)
def test_eight_at_once_send_it_once(mailoutbox):
    row = written()
    found = together([lambda: mail.send(row.pk)] * 8)
    assert sorted(found) == [False] * 7 + [True]
    assert len(mailoutbox) == 1
    assert state(row) == ("sent", 1)


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_two_workers_send_each_mail_once(sandbox, worker):
    """Kicked and swept at once, by two real workers, through real SMTP."""
    from config.celery import app

    worker(2)
    sent = [written(f"mail {number}") for number in range(12)]
    for row in sent:
        app.send_task("members.send_notification", args=[str(row.pk)])
    for _ in range(4):
        app.send_task("members.send_due_mail")
    eventually(lambda: not Notification.objects.exclude(state="sent").exists())
    eventually(lambda: len(sandbox.mailbox()) >= 12)
    assert len(sandbox.mailbox()) == 12
    assert set(Notification.objects.values_list("attempts", flat=True)) == {1}


def test_an_owner_is_invited(mailoutbox):
    from members import workspaces

    workspace = workspaces.create(
        name="Harbour Rooms", slug="harbour", timezone="Pacific/Auckland", currency="NZD",
        owner_email="Kim@Example.test",
    )  # fmt: skip
    row = Notification.objects.get()
    assert (row.kind, row.to, row.workspace) == ("invitation", "kim@example.test", workspace)
    assert Staff.objects.get().role == "owner"
