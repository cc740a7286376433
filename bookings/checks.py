"""Whether a window keeps a resource's rules. The time is passed in; nothing is read."""

from datetime import datetime

from bookings.errors import OutsideOpeningHours, WindowNotAllowed
from bookings.rules import Rules, Window

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
    seconds = window.duration.total_seconds()
    if seconds <= 0:
        return [("duration", "The end must come after the start.")]
    found = []
    if not 1 <= quantity <= max(1, rules.capacity):
        found.append(("quantity", f"There are {rules.capacity} of these."))
    found += _duration(rules, seconds)
    found += _notice(rules, window, now)
    if seconds <= rules.max_seconds and not _is_open(rules, window):
        found.append(("hours", "It is closed for some of that time."))
    elif seconds <= rules.max_seconds and not rules.is_on_step(window.start):
        minutes = rules.step_seconds // 60
        found.append(("step", f"Starts are every {minutes} minutes from opening."))
    return found


def _duration(rules: Rules, seconds: float) -> list[tuple[str, str]]:
    if seconds < rules.min_seconds:
        return [("duration", f"The shortest booking is {rules.min_seconds // 60} minutes.")]
    if seconds > rules.max_seconds:
        return [("duration", f"The longest booking is {rules.max_seconds // 60} minutes.")]
    if seconds % rules.step_seconds:
        return [("step", f"Durations go in steps of {rules.step_seconds // 60} minutes.")]
    return []


def _notice(rules: Rules, window: Window, now: datetime) -> list[tuple[str, str]]:
    if window.start < now:
        return [("notice", "That time has already begun.")]
    if window.start < rules.earliest_start(now):
        return [("notice", f"It needs {rules.notice_seconds // 60} minutes' notice.")]
    if window.start > rules.latest_start(now):
        return [("horizon", f"It can be booked {rules.horizon_days} days ahead.")]
    return []


def _is_open(rules: Rules, window: Window) -> bool:
    return any(opened.contains(window) for opened in rules.open_windows(window.start, window.end))
