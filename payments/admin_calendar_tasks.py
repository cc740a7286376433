"""What connected calendars say against bookings, for staff to decide: restore, cancel, accept."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from bookings.models import CalendarTask
from config.kernel.errors import DomainError
from holds.admin import line_said
from members.admin_filters import OpenFilter
from members.admin_scope import MANAGER, ReadOnlyAdmin, access_of, staff_actor
from members.admin_words import Deed, ask_then_do, link, said_moment, said_window
from members.models import Member
from payments import calendar_deeds, cancelling, rescheduling

_KIND = CalendarTask.Kind


@admin.register(CalendarTask)
class CalendarTaskAdmin(ReadOnlyAdmin):
    """Nothing happens to a booking because of a calendar, until somebody decides it here."""

    list_display = ("booking_link", "kind", "where", "connection", "opened", "how_closed")
    list_display_links = ("kind",)
    list_filter = (OpenFilter, "kind")
    list_select_related = ("booking", "connection", "line__resource__location", "workspace")
    actions_detail = ("restore", "accept", "leave", "cancel")
    fields = (
        "kind", "booking_link", "line_said", "where", "connection", "opened", "how_closed",
        "closed_by",
    )  # fmt: skip
    readonly_fields = fields

    @display(description="booking")
    def booking_link(self, task: CalendarTask) -> str:
        return link("bookings_booking", task.booking_id, task.booking.reference)

    @display(description="what is booked")
    def line_said(self, task: CalendarTask) -> str:
        return line_said(task.line)

    @display(description="in the calendar")
    def where(self, task: CalendarTask) -> str:
        if task.outside_start is None or task.outside_end is None:
            return "—"
        zone = task.line.resource.location.timezone
        return said_window(task.outside_start, task.outside_end, zone)

    @display(description="since", ordering="opened_at")
    def opened(self, task: CalendarTask) -> str:
        return said_moment(task.opened_at, task.workspace.timezone)

    @display(description="closed")
    def how_closed(self, task: CalendarTask) -> str:
        return str(task.get_closed_as_display()) or "—"

    def has_manage_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access_of(request).may(MANAGER)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only what fits what has happened, while it is open."""
        task = self.get_queryset(request).filter(pk=object_id, closed_at=None).first()
        allowed = {
            None: set(),
            _KIND.LIES_OVER: {"leave", "cancel"},
            _KIND.DELETED: {"restore", "accept", "cancel"},
            _KIND.MOVED: {"restore", "accept", "cancel"},
        }[cast(Any, task.kind if task else None)]
        offered = super().get_actions_detail(request, object_id)
        return [each for each in offered if each.path in allowed]

    @action(description="Restore the event…", permissions=["manage"], icon="restore")
    def restore(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask(request, object_id, _restore)

    @action(description="Accept…", permissions=["manage"], icon="check_circle")
    def accept(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask(request, object_id, _accept)

    @action(description="Leave both…", permissions=["manage"], icon="visibility")
    def leave(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask(request, object_id, _leave)

    @action(
        description="Cancel the booking…",
        permissions=["manage"],
        icon="event_busy",
        variant=ActionVariant.DANGER,
    )
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask(request, object_id, _cancel)

    def _ask(
        self,
        request: HttpRequest,
        object_id: str,
        deed_of: Callable[[HttpRequest, CalendarTask, str], Deed],
    ) -> HttpResponse:
        task = self.row_or_404(request, object_id, MANAGER)
        deed = deed_of(request, task, self.change_url(task.pk))
        view = partial(ask_then_do, request, self.admin_site, CalendarTask, deed)
        return self.in_zone(request, view, task.workspace)


def _restore(request: HttpRequest, task: CalendarTask, back: str) -> Deed:
    return Deed(
        title="Restore the event",
        effects=[
            f"The event is written into {task.connection} again: {line_said(task.line)}.",
            "The booking stays as it is.",
        ],
        button="Write it again",
        done="The event is being written.",
        back=back,
        perform=lambda _: calendar_deeds.restore(task, by=_by(request)),
        dangerous=False,
        asks_reason=False,
    )


def _accept(request: HttpRequest, task: CalendarTask, back: str) -> Deed:
    is_deleted = task.kind == _KIND.DELETED
    effects = (
        [f"The booking stays; its event is not written into {task.connection} any more."]
        if is_deleted
        else _effects_of_moving(task)
    )
    return Deed(
        title="Accept what was done in the calendar",
        effects=effects,
        button="Leave it without an event" if is_deleted else "Move the booking there",
        done="It is accepted. What costs more is to be paid first; till then this stays open.",
        back=back,
        perform=lambda reason: calendar_deeds.accept(
            task, by=_by(request), actor=staff_actor(request), reason=reason
        ),
        dangerous=not is_deleted,
    )


def _effects_of_moving(task: CalendarTask) -> list[str]:
    try:
        told = rescheduling.preview(task.booking, calendar_deeds.wish(task, "").windows)
    except DomainError as error:
        return [f"It cannot be moved there: {error.message}"]
    if told.taken is not None:
        return ["It cannot be moved there: somebody else has some of that time, or it is closed."]
    assert task.outside_start is not None
    assert task.outside_end is not None
    zone = task.line.resource.location.timezone
    said = [f"The booking moves to {said_window(task.outside_start, task.outside_end, zone)}."]
    if told.to_pay.amount_minor:
        said.append(f"{told.to_pay} more: its member gets a mail with a link to pay it first.")
    elif told.difference.amount_minor:
        said.append(f"It costs {told.after} then; the difference is given back.")
    return said


def _leave(request: HttpRequest, task: CalendarTask, back: str) -> Deed:
    return Deed(
        title="Leave both as they are",
        effects=["The booking stays, and so does the busy time. You are not told of it again."],
        button="Leave both",
        done="Both stay as they are.",
        back=back,
        perform=lambda _: calendar_deeds.leave(task, by=_by(request)),
        dangerous=False,
        asks_reason=False,
    )


def _cancel(request: HttpRequest, task: CalendarTask, back: str) -> Deed:
    booking = task.booking
    told = cancelling.preview(booking)
    return Deed(
        title=f"Cancel booking {booking.reference}",
        effects=[
            f"{line_said(task.line)} is free for others at once, where the calendar is free.",
            f"By the policy {told.given_back} goes back and {told.kept} is kept.",
            f"{booking.name or booking.email or 'Its member'} is told, with your reason.",
        ],
        button="Cancel the booking",
        done=f"{booking.reference} is cancelled.",
        back=back,
        perform=lambda reason: calendar_deeds.cancel(
            task, by=_by(request), actor=staff_actor(request), reason=reason
        ),
    )


def _by(request: HttpRequest) -> Member:
    return cast(Member, request.user)
