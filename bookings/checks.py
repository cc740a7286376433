"""Whether a window keeps a resource's rules. The time is passed in; nothing is read."""

from datetime import datetime, timedelta

from bookings.days import Days
from bookings.errors import OutsideOpeningHours, WindowNotAllowed
from bookings.rules import Rules, Window, without
from bookings.spans import spans_text
from bookings.words import day_text, moment_text

_CLOCKS = 3 * 3600  # by how many seconds clocks may make days longer

# What staff may set aside when they book for somebody. Whether there is room is not among these.
OVERRIDABLE = frozenset({"notice", "horizon", "hours", "step"})


def check_window(
    rules: Rules,
    window: Window,
    *,
    quantity: int,
    now: datetime,
    line: int,
    overridden: bool = False,
) -> None:
    """Raise WindowNotAllowed or OutsideOpeningHours (422) unless the window may be claimed.

    `overridden` sets aside what staff may set aside. What is over is booked by nobody.
    """
    for code, detail in broken_rules(rules, window, quantity=quantity, now=now):
        if overridden and code in OVERRIDABLE and window.end > now:
            continue
        kind = OutsideOpeningHours if code == "hours" else WindowNotAllowed
        raise kind(detail, line=line, rule=code)


def broken_rules(
    rules: Rules, window: Window, *, quantity: int, now: datetime
) -> list[tuple[str, str]]:
    """Every rule that the window breaks, as (code, sentence): the operator wants them all."""
    if window.duration <= timedelta(0):
        return [("duration", "The end must come after the start.")]
    found = []
    if not 1 <= quantity <= max(1, rules.capacity):
        found.append(("quantity", f"There are {rules.capacity} of these."))
    lengths = _lengths(rules, window) if rules.days is None else _days(rules, rules.days, window)
    return [*found, *lengths, *_notice(rules, window, now), *_opening(rules, window)]


def _lengths(rules: Rules, window: Window) -> list[tuple[str, str]]:
    seconds = window.duration.total_seconds()
    if seconds < rules.min_seconds:
        return [("duration", f"The shortest booking is {rules.min_seconds // 60} minutes.")]
    if seconds > rules.max_seconds:
        return [("duration", f"The longest booking is {rules.max_seconds // 60} minutes.")]
    if seconds % rules.step_seconds:
        return [("step", f"Durations go in steps of {rules.step_seconds // 60} minutes.")]
    return []


def _days(rules: Rules, days: Days, window: Window) -> list[tuple[str, str]]:
    """Where days count: from check-in to check-out, and how many of them."""
    count = rules.days_of(window)
    first = window.start.astimezone(rules.zone).date()
    if window != days.window(rules.zone, first, count):
        said = f"check-in at {days.starts_at:%H:%M} to check-out at {days.ends_at:%H:%M}"
        return [("step", f"It is booked by the {days.unit}, from {said}.")]
    if count < days.least:
        return [("duration", f"The shortest booking is {days.said(days.least)}.")]
    if count > days.most:
        return [("duration", f"The longest booking is {days.said(days.most)}.")]
    return []


def _notice(rules: Rules, window: Window, now: datetime) -> list[tuple[str, str]]:
    if window.start < now:
        return [("notice", "That time has already begun.")]
    if window.start < rules.earliest_start(now):
        return [("notice", f"It needs {rules.notice_seconds // 60} minutes' notice.")]
    if window.start > rules.latest_start(now):
        opens = moment_text(rules.bookable_from(window.start), rules.zone)
        ahead = f"{rules.horizon_days} day{'' if rules.horizon_days == 1 else 's'} ahead"
        return [("horizon", f"It can be booked {ahead}. For this time that is from {opens}.")]
    return []


def _opening(rules: Rules, window: Window) -> list[tuple[str, str]]:
    """Whether it is open throughout and starts on the step; not asked of what is far too long."""
    longest = rules.max_seconds + (_CLOCKS if rules.days else 0)
    if window.duration.total_seconds() > longest:
        return []
    opened = rules.open_windows(window.start, window.end)
    if not any(each.contains(window) for each in opened):
        return [("hours", _closed(rules, window, opened))]
    if not rules.is_on_step(window.start) and rules.days is None:
        minutes = rules.step_seconds // 60
        return [("step", f"Starts are every {minutes} minutes from opening.")]
    return []


def _closed(rules: Rules, window: Window, opened: list[Window]) -> str:
    """What keeps it closed: the first day's holiday, exception or season, by its name."""
    usual = "It is closed for some of that time."
    gaps = without([window], opened)
    if not gaps:
        return usual
    local = gaps[0].start.astimezone(rules.zone)
    hours = rules.hours.on(local.date())
    if hours.source == "weekly":
        return usual
    reason = hours.label or "an exception"
    if not hours.spans:
        return f"It is closed on {day_text(local)}: {reason}."
    return f"It is open {spans_text(hours.spans)} on {day_text(local)}: {reason}."
