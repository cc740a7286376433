"""Our event was deleted or moved outside: never a cancel by itself; staff decide in the admin."""

from datetime import timedelta

import pytest
from django.urls import reverse

from bookings.calendars import outside
from bookings.models import Block, CalendarConnection, CalendarTask, ConnectedResource, Resource
from config.kernel import clock
from payments.models import Refund
from tests.admin.conftest import SignIn, as_role, room
from tests.admin.support import confirmed, payment
from tests.calendars.served import read
from tests.calendars.support import Connected, connect
from tests.factories import at, make_room
from tests.support.radicale import Radicale

__all__ = ["as_role", "room"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def booked(radicale: Radicale, room: Resource) -> Connected:
    calendar = connect(radicale, room)
    calendar.connection.resources.update(reads=True)
    payment(confirmed(room))
    calendar.write()
    read(calendar.connection)
    return calendar


def moved(booked: Connected, hours: int = 3) -> CalendarTask:
    booked.move_outside(hours=hours)
    read(booked.connection)
    return CalendarTask.objects.get()


def url(task: CalendarTask, deed: str) -> str:
    return reverse(f"admin:bookings_calendartask_{deed}", args=[task.pk])


def where(task: CalendarTask) -> tuple[object, ...]:
    task.refresh_from_db()
    task.booking.refresh_from_db()
    line = task.booking.lines.get()
    return task.booking.state, line.starts_at, line.ends_at, task.closed_as


def test_accepting_moves_the_booking_to_where_its_event_is(
    as_role: SignIn, booked: Connected
) -> None:
    task = moved(booked)
    page = as_role("manager").get(url(task, "accept")).content.decode()
    assert "The booking moves to" in page
    assert as_role("manager").post(url(task, "accept"), {"reason": "fine"}).status_code == 302
    assert where(task) == ("confirmed", at(13), at(14), "accepted")
    assert not Refund.objects.exists()
    booked.write()
    booked.assert_equal()
    read(booked.connection)
    assert not CalendarTask.objects.filter(closed_at=None).exists()


@pytest.mark.long
def test_where_it_cannot_be_had_nothing_moves(
    as_role: SignIn, booked: Connected, room: Resource
) -> None:
    confirmed(room, 13)
    task = moved(booked)
    manager = as_role("manager")
    assert "It cannot be moved there" in manager.get(url(task, "accept")).content.decode()
    assert manager.post(url(task, "accept"), {"reason": "fine"}).status_code == 422
    assert where(task) == ("confirmed", at(10), at(11), "")


@pytest.mark.long
def test_what_costs_more_is_held_and_asked_for_before_it_moves(
    as_role: SignIn, booked: Connected
) -> None:
    task = moved(booked)
    CalendarTask.objects.update(outside_end=task.outside_end + timedelta(hours=1))
    as_role("manager").post(url(task, "accept"), {"reason": "fine"})
    assert where(task) == ("confirmed", at(10), at(11), "")
    assert task.booking.changes.get().state == "pending"
    assert outside.tidy() == 0


@pytest.mark.long
def test_cancelling_gives_back_by_the_policy_and_takes_the_event_away(
    as_role: SignIn, booked: Connected
) -> None:
    task = moved(booked)
    clerk = as_role("clerk")
    assert clerk.post(url(task, "cancel"), {"reason": "gone"}).status_code in {302, 403, 404}
    assert where(task)[0] == "confirmed"
    manager = as_role("manager")
    assert "goes back" in manager.get(url(task, "cancel")).content.decode()
    assert manager.post(url(task, "cancel"), {"reason": "gone"}).status_code == 302
    assert where(task)[0::3] == ("cancelled", "cancelled")
    assert Refund.objects.get().amount_minor == 4500
    booked.write()
    assert booked.events() == []
    assert manager.post(url(task, "restore"), {}).status_code in {302, 422}
    assert where(task)[0::3] == ("cancelled", "cancelled")


@pytest.mark.long
def test_restoring_writes_the_event_again(as_role: SignIn, booked: Connected) -> None:
    task = moved(booked)
    assert as_role("manager").post(url(task, "restore"), {}).status_code == 302
    booked.write()
    booked.assert_equal()
    assert where(task) == ("confirmed", at(10), at(11), "restored")


@pytest.mark.long
def test_what_was_deleted_can_stay_deleted(as_role: SignIn, booked: Connected) -> None:
    (found,) = booked.events()
    booked.user.delete(found.href)
    read(booked.connection)
    task = CalendarTask.objects.get()
    assert as_role("manager").post(url(task, "accept"), {"reason": "ok"}).status_code == 302
    assert where(task) == ("confirmed", at(10), at(11), "accepted")
    booked.write()
    assert booked.events() == []


def test_the_first_screen_tells_of_tasks_and_of_calendars_that_are_not_read(
    as_role: SignIn, booked: Connected
) -> None:
    moved(booked)
    manager = as_role("manager")
    page = manager.get("/admin/").content.decode()
    assert "1 calendar task" in page
    assert "not read" not in page
    long_ago = clock.now() - timedelta(hours=1)
    CalendarConnection.objects.update(
        read_at=long_ago, read_failing_since=long_ago, read_error="It took too long."
    )
    page = manager.get("/admin/").content.decode()
    assert "1 calendar not read" in page
    assert "known as of 1 hour ago; cannot be read for 1 hour: It took too long." in page
    CalendarConnection.objects.update(state="disconnected")
    assert "1 calendar not read" not in manager.get("/admin/").content.decode()


@pytest.mark.long
def test_tasks_of_another_workspace_are_not_there(
    as_role: SignIn, booked: Connected, radicale: Radicale
) -> None:
    task = moved(booked)
    elsewhere = make_room()
    Resource.objects.filter(pk=elsewhere.pk).exists()
    from tests.factories import StaffFactory

    stranger = StaffFactory(workspace=elsewhere.workspace).member
    from django.test import Client

    browser = Client()
    browser.force_login(stranger, backend="django.contrib.auth.backends.ModelBackend")
    for deed in ("restore", "accept", "cancel"):
        assert browser.post(url(task, deed), {"reason": "x"}).status_code == 404
    assert where(task) == ("confirmed", at(10), at(11), "")


def test_a_busy_time_is_nobodys_to_edit(as_role: SignIn, booked: Connected) -> None:
    link = ConnectedResource.objects.get()
    block = Block.objects.create(
        workspace=link.resource.workspace, resource=link.resource, during=(at(15), at(16)),
        kind="calendar", connected=link, reason="Busy in events",
    )  # fmt: skip
    owner = as_role("owner")
    page = reverse("admin:bookings_block_change", args=[block.pk])
    assert owner.post(page, {"reason": "mine", "kind": "closure"}).status_code == 403
    gone = reverse("admin:bookings_block_delete", args=[block.pk])
    assert owner.post(gone, {"post": "yes"}).status_code == 403
    assert (
        "Busy in a connected calendar"
        not in owner.get(reverse("admin:bookings_block_add")).content.decode()
    )
    block.refresh_from_db()
    assert block.reason == "Busy in events"
