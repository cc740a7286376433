"""What the admin shows of holds; payments/admin.py registers it, since releasing touches money."""

from datetime import datetime
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.decorators import display

from bookings.models import Line
from holds import states
from holds.models import Hold
from members.admin_filters import OpeningFilter
from members.admin_scope import ReadOnlyAdmin
from members.admin_words import link, said_moment, said_money, said_window

WITH_RESOURCES = Line.objects.select_related("resource__location")
LABELS = {"live": "success", "confirmed": "info", "released": "warning", "ended": "danger"}


class HoldFilter(OpeningFilter):
    """Opens on live holds."""

    title = "holds"
    parameter_name = "holds"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("", "Live"),
            ("confirmed", "Confirmed"),
            ("released", "Released"),
            ("expired", "Ended by themselves"),
            ("all", "All"),
        ]

    def queryset(self, request: Any, queryset: QuerySet) -> QuerySet:
        if self.value() == "all":
            return queryset
        if self.value():
            return queryset.filter(state=self.value())
        return live(queryset)


def live(holds: QuerySet) -> QuerySet:
    """Holds whose time is not up; for showing, so the web server's clock is near enough."""
    return holds.filter(state=states.ACTIVE, lapses_at__gt=timezone.now())


def state_of(hold: Hold, now: datetime) -> str:
    """The state as a word that is true now: one that lapsed has ended, tidied away or not."""
    if hold.state == states.ACTIVE:
        return "live" if hold.lapses_at > now else "ended"
    return "ended" if hold.state == states.EXPIRED else hold.state


class HoldAdminBase(ReadOnlyAdmin):
    """Live holds, the soonest to end first."""

    list_display = ("booking_shown", "what", "who", "ends", "state_shown", "total")
    list_display_links = ("booking_shown",)
    list_filter = (HoldFilter,)
    search_fields = ("booking__reference", "booking__email", "booking__name")
    ordering = ("lapses_at",)
    fields = (
        ("booking_link", "state_shown"), "what", ("who", "total"), ("began", "ends"),
        ("extended", "is_paying"), ("ended", "ended_because"),
    )  # fmt: skip
    readonly_fields = (
        "booking_link", "state_shown", "what", "who", "total", "began", "ends", "extended",
        "is_paying", "ended",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request).select_related("booking", "workspace", "member")
        return rows.prefetch_related(Prefetch("booking__lines", WITH_RESOURCES))

    @display(description="booking", ordering="booking__reference")
    def booking_shown(self, hold: Hold) -> str:
        return hold.booking.reference

    @display(description="booking")
    def booking_link(self, hold: Hold) -> str:
        return link("bookings_booking", hold.booking_id, hold.booking.reference)

    @display(description="what")
    def what(self, hold: Hold) -> str:
        return lines_said(hold.lines)

    @display(description="who")
    def who(self, hold: Hold) -> str:
        named = hold.booking.name or hold.booking.email or str(hold.member or "")
        return named or "somebody without a name yet"

    @display(description="ends", ordering="expires_at")
    def ends(self, hold: Hold) -> str:
        return said_moment(hold.expires_at, hold.workspace.timezone)

    @display(description="began")
    def began(self, hold: Hold) -> str:
        return said_moment(hold.created_at, hold.workspace.timezone)

    @display(description="extended")
    def extended(self, hold: Hold) -> str:
        return said_moment(hold.extended_at, hold.workspace.timezone)

    @display(description="ended")
    def ended(self, hold: Hold) -> str:
        return said_moment(hold.ended_at, hold.workspace.timezone)

    @display(description="paying now")
    def is_paying(self, hold: Hold) -> str:
        return "yes, on the payment page" if hold.has_open_checkout else "no"

    @display(description="total")
    def total(self, hold: Hold) -> str:
        return said_money(hold.booking.total_minor, hold.booking.currency)

    @display(description="state", label=LABELS)
    def state_shown(self, hold: Hold) -> str:
        return state_of(hold, timezone.now())


def lines_said(lines: list[Line]) -> str:
    """Large room, Tue 8 Dec 2026, 14:00–15:30, Auckland; several lines with a semicolon."""
    return "; ".join(_line_said(line) for line in lines)


def _line_said(line: Line) -> str:
    many = f"{line.quantity} × " if line.quantity > 1 else ""
    when = said_window(line.starts_at, line.ends_at, line.resource.location.timezone)
    return f"{many}{line.resource.name}, {when}"
