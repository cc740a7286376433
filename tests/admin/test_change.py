"""Staff move and extend bookings: said to the cent first, done once, and shown where staff look."""

import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bookings.models import Booking, Change, Resource
from holds.claims import Claimant, LineRequest, claim
from holds.lock_objects import lock_hold
from holds.models import Hold
from holds.services import confirm_unpaid
from members.models import Notification
from payments.models import Checkout, Due, Refund
from tests.admin.conftest import SignIn
from tests.admin.support import ANA, change, changelist, confirmed, deed, payment, place
from tests.core.support import lapse
from tests.factories import LocationFactory, ResourceFactory, StaffFactory, at, make_room
from tests.pages.support import forms

pytestmark = pytest.mark.django_db


@pytest.fixture
def booking(room: Resource) -> Booking:
    """Ana's, a week from now from ten to eleven, paid NZ$45."""
    found = confirmed(room)
    payment(found)
    return found


def local(moment: datetime, resource: Resource, name: str) -> dict[str, str]:
    here = moment.astimezone(ZoneInfo(resource.location.timezone))
    return {f"{name}_0": here.date().isoformat(), f"{name}_1": f"{here:%H:%M}"}


def asked(
    resource: Resource, start: float = 10, end: float = 12, position: int = 0, **more: Any
) -> dict[str, Any]:
    """The form as staff fill it in: hours of the day a week from now, on a resource."""
    return {
        "line": position,
        "resource": str(resource.pk),
        **local(at(start), resource, "start"),
        **local(at(end), resource, "end"),
        "difference": "price",
        "to": "card",
        "minutes": 60,
        "reason": "A longer talk",
    } | more


def shown(page: Any) -> dict[str, str]:
    """The fields of the form that does what was shown."""
    found = [form.fields for form in forms(page) if "seen" in form.fields]
    assert len(found) == 1, page.content.decode()
    return found[0]


def look(browser: Client, booking: Booking, form: dict[str, Any]) -> Any:
    page = browser.post(deed(booking, "move"), form)
    assert page.status_code == 200, page.content.decode()
    return page


def do(browser: Client, booking: Booking, form: dict[str, Any]) -> Any:
    """See what it would do, and do it."""
    answer = browser.post(deed(booking, "move"), shown(look(browser, booking, form)))
    assert answer.status_code == 302, answer.content.decode()
    return answer


def window_of(booking: Booking) -> tuple[Any, Any]:
    line = Booking.objects.get(pk=booking.pk).lines.get()
    return line.starts_at, line.ends_at


def text_of(page: Any) -> str:
    """The page's words, without tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.content.decode()).split())


# --- Looking ------------------------------------------------------------------------------------


def test_it_asks_in_the_resources_own_time(as_role: SignIn, booking: Booking) -> None:
    page = as_role("manager").get(deed(booking, "move"))
    assert page.status_code == 200
    zone = booking.lines.get().resource.location.timezone
    here = at(10).astimezone(ZoneInfo(zone))
    (form,) = [f for f in forms(page) if "start_0" in f.fields]
    assert form.fields["start_0"] == here.date().isoformat()
    assert form.fields["start_1"].startswith(f"{here:%H:%M}")
    city = zone.rsplit("/", 1)[-1]
    assert f"By the clock where the resource is: {city}" in text_of(page)


@pytest.mark.parametrize(
    ("start", "end", "more", "said"),
    [
        (10, 12, {}, ["NZ$45.00 more: Ana gets a mail with a link to pay it.", "is held until"]),
        (14, 14.5, {}, ["NZ$22.50 less", "NZ$22.50 goes back to the card", "moved at once"]),
        (14, 14.5, {"to": "credit"}, ["NZ$22.50 comes back as credit."]),
        (14, 15, {}, ["It costs the same and is moved at once."]),
        (10, 13, {"difference": "none"}, ["NZ$90.00 more", "left as it is", "moved at once"]),
    ],
)
def test_looking_says_what_it_would_do_and_does_nothing(
    as_role: SignIn,
    booking: Booking,
    room: Resource,
    start: float,
    end: float,
    more: dict[str, Any],
    said: list[str],
) -> None:
    page = look(as_role("manager"), booking, asked(room, start, end, **more))
    for part in said:
        assert part in text_of(page), (part, text_of(page))
    assert window_of(booking) == (at(10), at(11))
    assert not Change.objects.exists()
    assert not Refund.objects.exists()
    assert not Notification.objects.filter(kind__in=["rescheduled", "pay_for_change"]).exists()


def test_what_nobody_paid_does_not_go_back(as_role: SignIn, room: Resource) -> None:
    page = look(as_role("manager"), confirmed(room), asked(room, 10, 10.5))
    assert "Nothing was paid that could go back." in text_of(page)


# --- Doing --------------------------------------------------------------------------------------


def test_what_costs_more_is_held_and_asked_for_by_mail(
    as_role: SignIn, booking: Booking, room: Resource
) -> None:
    do(as_role("manager"), booking, asked(room, minutes=90))
    hold = Hold.objects.get(change__isnull=False)
    assert hold.expires_at - hold.created_at == timedelta(minutes=90)
    assert window_of(booking) == (at(10), at(11))
    assert Due.objects.get(change=hold.change_id).amount_minor == 4500
    mail = Notification.objects.get(kind="pay_for_change")
    assert mail.to == "ana@example.test"
    assert reverse("holds:hold", args=[hold.token]) in mail.payload["text"]
    assert "NZ$45.00" in mail.payload["subject"]
    assert "The reason given: A longer talk" in mail.payload["text"]
    event = booking.events.get(kind="change_held")
    assert (event.actor_kind, event.reason) == ("staff", "A longer talk")


def test_what_costs_less_is_made_and_given_back(
    as_role: SignIn, booking: Booking, room: Resource
) -> None:
    do(as_role("manager"), booking, asked(room, 14, 14.5, to="credit"))
    assert window_of(booking) == (at(14), at(14.5))
    refund = Refund.objects.get()
    assert (refund.amount_minor, refund.to, refund.cause) == (2250, "credit", "change")
    event = booking.events.get(kind="rescheduled")
    assert (event.actor_kind, event.reason) == ("staff", "A longer talk")
    text = Notification.objects.get(kind="rescheduled").payload["text"]
    assert "The reason given: A longer talk" in text


def test_a_difference_that_is_left_moves_no_money(
    as_role: SignIn, booking: Booking, room: Resource
) -> None:
    do(as_role("manager"), booking, asked(room, 10, 13, difference="none"))
    assert window_of(booking) == (at(10), at(13))
    assert not Due.objects.filter(purpose="change").exists()
    assert not Notification.objects.filter(kind="pay_for_change").exists()


def test_a_double_click_moves_once(as_role: SignIn, booking: Booking, room: Resource) -> None:
    browser = as_role("manager")
    form = shown(look(browser, booking, asked(room)))
    for _ in range(2):
        assert browser.post(deed(booking, "move"), form).status_code == 302
    assert Change.objects.count() == 1
    assert Notification.objects.filter(kind="pay_for_change").count() == 1
    other = browser.post(deed(booking, "move"), form | {"reason": "Another"})
    assert other.status_code == 422, "that is not what was shown under this request id"
    assert Change.objects.count() == 1


def test_without_an_address_it_is_said_before(as_role: SignIn, room: Resource) -> None:
    booking = confirmed(room)
    Booking.objects.filter(pk=booking.pk).update(email="", name="")
    browser = as_role("manager")
    page = look(browser, booking, asked(room))
    assert "this booking has no e-mail: nobody is told" in text_of(page)
    browser.post(deed(booking, "move"), shown(page))
    hold = Hold.objects.get(change__isnull=False)
    assert not Notification.objects.filter(kind="pay_for_change").exists()
    assert reverse("holds:hold", args=[hold.token]) in browser.get(change(booking)).content.decode()


def test_to_a_resource_in_another_zone_the_clock_is_that_ones(
    as_role: SignIn, booking: Booking, room: Resource
) -> None:
    far = ResourceFactory(
        workspace=room.workspace,
        location=LocationFactory(workspace=room.workspace, timezone="Europe/Paris"),
    )
    browser = as_role("manager")
    page = look(browser, booking, asked(far, 14, 15))
    assert "Paris" in text_of(page)
    do(browser, booking, asked(far, 14, 15))
    assert window_of(booking) == (at(14), at(15))
    assert booking.lines.get().resource_id == far.pk


def test_one_of_several_lines(as_role: SignIn, room: Resource) -> None:
    wanted = [LineRequest(room.pk, at(hour), at(hour + 1)) for hour in (10, 12)]
    with transaction.atomic():
        held = claim(
            workspace=room.workspace, lines=wanted, claimant=Claimant(email="a@b.test"), actor=ANA
        )
    with transaction.atomic():
        booking = confirm_unpaid(lock_hold(held.pk), ANA)
    do(as_role("manager"), booking, asked(room, 15, 16, position=1))
    times = list(booking.lines.order_by("position").values_list("starts_at", flat=True))
    assert times == [at(10), at(15)]


# --- Refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"start_0": "never"}, "Starts: Enter a valid date."),
        ({"end_1": ""}, "Ends:"),
        ({"reason": " "}, "Reason: This field is required."),
        ({"minutes": 0}, "Minutes to pay: Ensure this value is greater than or equal to 1."),
        ({"minutes": 121}, "Minutes to pay: Ensure this value is less than or equal to 120."),
        ({"resource": "somewhere"}, "Resource: Select a valid choice."),
        ({"line": 4}, "Select a valid choice"),
    ],
)
def test_a_wrong_form_moves_nothing(
    as_role: SignIn, booking: Booking, room: Resource, form: dict[str, Any], said: str
) -> None:
    answer = as_role("manager").post(deed(booking, "move"), asked(room) | form)
    assert answer.status_code == 422
    assert said in text_of(answer) or "line" in form
    assert not Change.objects.exists()


def test_what_the_rules_refuse_is_said(as_role: SignIn, booking: Booking, room: Resource) -> None:
    browser = as_role("manager")
    place(room, 12)
    elsewhere = make_room()
    for form, said in (
        (asked(room, 10, 11), "That is what you have already."),
        (asked(room, 11, 10), "The end must come after the start."),
        (asked(room, 10, 13), "Somebody else has some of that time"),
        (asked(elsewhere, 10, 12), "Select a valid choice"),
    ):
        answer = browser.post(deed(booking, "move"), form)
        assert answer.status_code == 422
        assert said in text_of(answer), text_of(answer)
    assert not Change.objects.exists()


def test_taken_or_changed_in_between_is_said_and_nothing_moves(
    as_role: SignIn, booking: Booking, room: Resource
) -> None:
    browser = as_role("manager")
    form = shown(look(browser, booking, asked(room)))
    taken = place(room, 11)
    answer = browser.post(deed(booking, "move"), form)
    assert (answer.status_code, "Someone else has that time." in text_of(answer)) == (422, True)
    assert not Change.objects.exists()
    browser.post(deed(taken, "release"), {"reason": "x"})
    form = shown(look(browser, booking, asked(room)))
    do(browser, booking, asked(room, 14, 15))
    answer = browser.post(deed(booking, "move"), form)
    assert (answer.status_code, "changed since" in text_of(answer)) == (422, True)
    assert window_of(booking) == (at(14), at(15))


@pytest.mark.parametrize("field", ["seen", "request_id"])
def test_a_form_that_is_not_ours_moves_nothing(
    as_role: SignIn, booking: Booking, room: Resource, field: str
) -> None:
    browser = as_role("manager")
    form = shown(look(browser, booking, asked(room)))
    assert browser.post(deed(booking, "move"), form | {field: "made-up"}).status_code == 422
    assert not Change.objects.exists()


def test_clerks_and_strangers_move_nothing(
    as_role: SignIn, booking: Booking, room: Resource
) -> None:
    clerk = as_role("clerk")
    assert clerk.post(deed(booking, "move"), asked(room)).status_code == 403
    assert deed(booking, "move") not in clerk.get(change(booking)).content.decode()
    stranger = Client()
    stranger.force_login(
        StaffFactory(workspace=make_room().workspace).member,
        backend="django.contrib.auth.backends.ModelBackend",
    )
    assert stranger.post(deed(booking, "move"), asked(room)).status_code == 404
    assert not Change.objects.exists()


def test_it_is_offered_only_where_it_can_be_done(
    as_role: SignIn, booking: Booking, room: Resource
) -> None:
    browser = as_role("manager")
    assert deed(booking, "move") in browser.get(change(booking)).content.decode()
    pending = place(room, 14).booking
    assert deed(pending, "move") not in browser.get(change(pending)).content.decode()
    answer = browser.post(deed(pending, "move"), asked(room, 14, 16))
    assert "Only a confirmed booking can be changed." in text_of(answer)


# --- Where staff look ---------------------------------------------------------------------------


def test_a_bookings_page_tells_its_changes(
    as_role: SignIn, booking: Booking, room: Resource
) -> None:
    browser = as_role("manager")
    other = ResourceFactory(workspace=room.workspace, location=room.location, name="Loft")
    do(browser, booking, asked(other, 14, 14.5))
    do(browser, booking, asked(other, 14, 16))
    page = text_of(browser.get(change(booking)))
    assert "NZ$22.50 less" in page
    assert "made; asked for" in page
    assert "NZ$67.50 more" in page
    assert "waits to be paid for until" in page
    assert f"{room.name}, " in page, "where it was before"
    assert "change held" in page
    waiting = Hold.objects.get(change__isnull=False, state="active")
    assert waiting.token in page, "the link to pay"
    lapse(waiting)
    after = text_of(browser.get(change(booking)))
    assert "lapsed ; asked for" in after
    assert waiting.token not in after, "a link to pay leads nowhere now"


def test_the_hold_of_a_booking_stays_its_own(
    as_role: SignIn, booking: Booking, room: Resource
) -> None:
    browser = as_role("manager")
    do(browser, booking, asked(room))
    page = browser.get(change(booking)).content.decode()
    own = booking.holds.get(change=None)
    section = page.split('id="hold"')[1].split("</section>")[0]
    assert change(own) in section
    assert "confirmed" in section


def test_holds_say_that_they_are_for_a_change_and_of_how_much(
    as_role: SignIn, booking: Booking, room: Resource
) -> None:
    browser = as_role("manager")
    do(browser, booking, asked(room))
    hold = Hold.objects.get(change__isnull=False)
    with CaptureQueriesContext(connection) as few:
        listed = text_of(browser.get(changelist(Hold)))
    assert f"Change: {room.name}, " in listed
    assert "NZ$45.00 more" in listed
    assert "Change: " in text_of(browser.get(change(hold)))
    page = text_of(browser.get(deed(hold, "release")))
    assert "the booking stays as it is" in page
    for hour in (14, 17, 20):
        do(browser, confirmed(room, hour), asked(room, hour, hour + 2))
    with CaptureQueriesContext(connection) as many:
        assert text_of(browser.get(changelist(Hold))).count("Change: ") == 4
    assert len(many) == len(few)


def test_letting_go_of_its_hold_leaves_the_booking(
    as_role: SignIn, booking: Booking, room: Resource
) -> None:
    browser = as_role("manager")
    do(browser, booking, asked(room))
    hold = Hold.objects.get(change__isnull=False)
    assert browser.post(deed(hold, "release"), {"reason": "Not now"}).status_code == 302
    assert Change.objects.get().state == "released"
    assert Booking.objects.get(pk=booking.pk).state == "confirmed"
    assert not Checkout.objects.filter(due__change__isnull=False).exists()


def test_the_first_screen_shows_what_is_held_for_a_change_as_held(
    as_role: SignIn, room: Resource
) -> None:
    browser, booking = as_role("manager"), confirmed(room, 1)
    do(browser, booking, asked(room, 1, 3))
    assert sorted(bars_of(browser, room)) == [
        ("held", f"{hours_said(room, 2, 3)}, Ana (held for a change)"),
        ("taken", f"{hours_said(room, 1, 2)}, Ana"),
    ]
    page = browser.get(reverse("admin:index"))
    (running_out,) = page.context["work"]["holds"]["rows"]
    assert running_out["total"] == "NZ$45.00 more"


def test_a_line_that_was_moved_is_one_bar(as_role: SignIn, room: Resource) -> None:
    browser, booking = as_role("manager"), confirmed(room, 1)
    do(browser, booking, asked(room, 1.5, 2.5))
    assert booking.occupancies.filter(released_at=None).count() == 2
    assert bars_of(browser, room) == [("taken", f"{hours_said(room, 1.5, 2.5)}, Ana")]


def hours_said(room: Resource, start: float, end: float) -> str:
    zone = ZoneInfo(room.workspace.timezone)
    return f"{at(start).astimezone(zone):%H:%M}–{at(end).astimezone(zone):%H:%M}"


def bars_of(browser: Client, room: Resource) -> list[tuple[str, str]]:
    """The bars of the day of the booking: their kind, and what they say after the reference."""
    day = at(1).astimezone(ZoneInfo(room.workspace.timezone)).date()
    page = browser.get(reverse("admin:index"), {"day": day.isoformat()})
    rows = page.context["work"]["rows"]
    return [(b["kind"], b["said"].split(": ", 1)[1]) for row in rows for b in row["bars"]]
