"""Windows, moments, durations, money and states as people say them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from bookings.breakdown import Breakdown, Priced, breakdown
from bookings.calendar_links import links_of
from bookings.lengths import duration_text, length_text
from bookings.local_time import clock_text
from bookings.models import Line
from bookings.rules import Rules, Window
from bookings.together import Together, together
from bookings.words import day_text, unbroken, window_text, zone_text
from config.kernel.money import Money

register = template.Library()

STATE_WORDS = {
    "pending_payment": "Not paid yet",
    "awaiting_approval": "Waiting for an answer",
    "confirmed": "Confirmed",
    "released": "Let go",
    "expired": "Hold ended",
    "cancelled": "Cancelled",
    "completed": "Took place",
    "no_show": "Nobody came",
}
EVENT_WORDS = {
    "held": "Held",
    "extended": "Hold extended",
    "discounted": "Discount code used",
    "undiscounted": "Discount code taken off",
    "offered": "Offered to you, who waited for it",
    "confirmed": "Confirmed",
    "released": "Let go",
    "expired": "The hold ended unpaid",
    "cancelled": "Cancelled",
    "completed": "Took place",
    "no_show": "Marked as not attended",
    "rescheduled": "Moved",
    "lines_cancelled": "Cancelled in part:",
    "change_held": "Another time held",
    "change_released": "The other time let go: it stayed as it was",
    "change_expired": "The other time was not paid for: it stayed as it was",
    "paid": "Paid",
    "booked_on_behalf": "Booked for you",
    "waived": "Made complimentary",
    "requested": "Request sent",
    "approved": "Approved",
    "refund_requested": "Refund on its way",
    "refund_submitted": "Refund on its way to your bank",
    "refunded": "Refunded",
    "refund_failed": "The refund did not reach you: we look into it",
    "refund_needs_attention": "The refund takes longer: we look into it",
    "credit_returned": "Credit given back",
    "disputed": "The payment was disputed at the bank",
    "dispute_moved": "News of the dispute",
    "dispute_closed": "The dispute is over",
    "payment_processing": "Payment under way at your bank",
    "payment_failed": "Your bank did not pay",
    "payment_refused": "Payment not accepted: it is yours again",
    "capture_failed": "Your bank did not hand the money over",
    "captured_past_us": "A payment that bought nothing was taken all the same: it goes back",
    "voided": "Payment given back: your card was not charged",
    "payment_voided": "Payment given back: your card was not charged",
}


@register.simple_tag
def window(start: datetime, end: datetime, zone: str | ZoneInfo) -> SafeString:
    """ "Tue 8 Dec, 14:00–15:30, Auckland"; a module adds the reader's own zone when it differs."""
    place = _zone(zone)
    return format_html(
        '<span class="when" data-start="{}" data-end="{}" data-zone="{}">{}</span>',
        start.isoformat(),
        end.isoformat(),
        place.key,
        unbroken(window_text(start, end, place)),
    )


@register.simple_tag
def moment(at: datetime, zone: str | ZoneInfo) -> SafeString:
    """ "Tue 8 Dec, 14:02" as a time element, in the zone given."""
    local, said = timezone.localtime(at, _zone(zone)), clock_text(at, _zone(zone))
    return format_html('<time datetime="{}">{}, {}</time>', at.isoformat(), day_text(local), said)


@register.simple_tag
def time_at(at: datetime, zone: str | ZoneInfo) -> SafeString:
    """ "14:02" as a time element."""
    local = timezone.localtime(at, _zone(zone))
    said = clock_text(local, _zone(zone))
    return format_html('<time datetime="{}">{}</time>', at.isoformat(), said)


@register.simple_tag
def clock_time(at: datetime, zone: str | ZoneInfo) -> str:
    """ "14:02", bare; "02:30 (summer time)" where it comes twice."""
    return clock_text(at, _zone(zone))


@register.simple_tag
def soonest(at: datetime, zone: str | ZoneInfo, now: datetime) -> str:
    """ "Today 14:30", "Tomorrow 9:00" or "Tue 8 Dec, 14:30"."""
    local, today = (timezone.localtime(t, _zone(zone)) for t in (at, now))
    days = (local.date() - today.date()).days
    named = {0: "Today ", 1: "Tomorrow "}.get(days, f"{day_text(local)}, ")
    return f"{named}{clock_text(at, _zone(zone))}"


@register.filter
def zone_name(zone: str | ZoneInfo) -> str:
    return zone_text(_zone(zone))


@register.filter
def duration(value: timedelta | int) -> str:
    """ "45 min", "1 h", "1 h 30 min", "2 days" from seconds or a timedelta."""
    return duration_text(value.total_seconds() if isinstance(value, timedelta) else value)


@register.filter
def minutes(value: int) -> str:
    """The same from minutes."""
    return duration(int(value) * 60)


@register.filter
def lasting(value: int | Window, rules: Rules) -> str:
    """The same from minutes or a window, in nights or days where the resource is booked by them."""
    return length_text(rules, value if isinstance(value, Window) else timedelta(minutes=value))


@register.filter
def money(amount_minor: int, currency: str) -> str:
    return str(Money(int(amount_minor), currency))


@register.filter
def state_word(state: str) -> str:
    return STATE_WORDS.get(state, state.replace("_", " ").capitalize())


@register.filter
def event_word(kind: str) -> str:
    return EVENT_WORDS.get(kind, kind.replace("_", " ").replace(".", ": ").capitalize())


@register.filter
def prices_of(lines: Iterable[Line], currency: str) -> Breakdown:
    """What lines cost, part by part, as it was frozen."""
    return breakdown([Priced(ln.resource.name, ln.price, ln.quantity) for ln in lines], currency)


@register.filter
def with_add_ons(lines: Iterable[Line]) -> list[Together]:
    """The lines that are no add-ons, each with its own."""
    return together(lines)


@register.inclusion_tag("_field.html")
def field(bound: Any, hint: str = "") -> dict[str, Any]:
    """A labelled input, its hint and its error, tied together for everybody."""
    ids = [f"{bound.auto_id}-hint"] if hint else []
    ids += [f"{bound.auto_id}-error"] if bound.errors else []
    attributes = {"aria-describedby": " ".join(ids)} if ids else {}
    if bound.errors:
        attributes["aria-invalid"] = "true"
    return {"field": bound, "hint": hint, "widget": bound.as_widget(attrs=attributes)}


def _zone(zone: str | ZoneInfo) -> ZoneInfo:
    return zone if isinstance(zone, ZoneInfo) else ZoneInfo(zone)


@register.inclusion_tag("bookings/_calendars.html")
def calendars(lines: Iterable[Line]) -> dict[str, Any]:
    """Links into calendars on the web, for each line that stands."""
    return {"events": links_of(lines)}
