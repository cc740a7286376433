"""Price rules as people say them: NZ$45.00 per hour, Mon–Fri, 08:00–12:00, from 3 units."""

from datetime import date, time
from typing import Any

from bookings.models import Booking, PriceRule
from bookings.pricing import frozen
from bookings.taxes import Tax
from config.kernel.money import Money

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def price_text(rule: PriceRule, currency: str) -> str:
    """One rule with all of its conditions."""
    kind = rule.get_kind_display()
    if rule.kind == PriceRule.Kind.PER_STEP and rule.step_seconds:
        kind = f"per started {_minutes(rule.step_seconds)}"
    said = [f"{Money(rule.amount_minor, currency)} {kind}", *_when(rule), *_for_whom(rule)]
    if rule.priority:
        said.append("in place of the basic price")
    return ", ".join(said)


def prices_said(booking: Booking) -> list[dict[str, Any]]:
    """A booking's frozen prices, part by part, and the taxes that they include."""
    found = [
        {
            "what": f"{line.resource.name}: {part['label']}, {part['quantity']}",
            "amount": str(Money(part["amount_minor"], booking.currency)),
        }
        for line in booking.lines.select_related("resource").order_by("position")
        for part in frozen(line.price, booking.currency).shown
    ]
    within = [tax for tax in booking.price.get("taxes", []) if tax["inclusive"]]
    return found + [
        {
            "what": f"of which {Tax(tax['name'], tax['basis_points']).label}",
            "amount": str(Money(tax["amount_minor"], booking.currency)),
        }
        for tax in within
    ]


def _when(rule: PriceRule) -> list[str]:
    found = []
    if rule.weekdays:
        found.append(_weekdays(rule.weekdays))
    if rule.from_time or rule.to_time:
        found.append(
            f"{_clock(rule.from_time)}–{_clock(rule.to_time) if rule.to_time else '24:00'}"
        )
    if rule.first_day or rule.last_day:
        found.append(_season(rule.first_day, rule.last_day))
    if rule.until_seconds is not None:
        start = f"{_minutes(rule.from_seconds)} to " if rule.from_seconds else "first "
        found.append(f"{start}{_minutes(rule.until_seconds)} of a booking")
    elif rule.from_seconds:
        found.append(f"after {_minutes(rule.from_seconds)} of a booking")
    return found


def _for_whom(rule: PriceRule) -> list[str]:
    found = [f"from {rule.from_quantity} units"] if rule.from_quantity > 1 else []
    return [*found, f"for {rule.group}"] if rule.group else found


def _weekdays(weekdays: str) -> str:
    """Mon–Fri for days in a row, else one by one."""
    days = sorted({int(day) for day in weekdays})
    if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        return f"{_DAYS[days[0]]}–{_DAYS[days[-1]]}"
    return ", ".join(_DAYS[day] for day in days)


def _clock(value: time | None) -> str:
    return f"{value or time(0):%H:%M}"


def _season(first: date | None, last: date | None) -> str:
    if first and last:
        return f"{_day(first)} to {_day(last)}"
    return f"from {_day(first)}" if first else f"until {_day(last)}"


def _day(value: date | None) -> str:
    return f"{value.day} {value:%b %Y}" if value else ""


def _minutes(seconds: int) -> str:
    hours, minutes = divmod(seconds // 60, 60)
    parts = ([f"{hours} h"] if hours else []) + ([f"{minutes} min"] if minutes else [])
    return " ".join(parts) or "0 min"
