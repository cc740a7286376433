"""How long something is, as people say it."""

from datetime import timedelta

from bookings.rules import Rules, Window


def duration_text(seconds: float) -> str:
    """ "45 min", "1 h", "1 h 30 min", "2 days"."""
    minutes = int(seconds) // 60
    if minutes >= 2 * 1440 and minutes % 1440 == 0:
        return f"{minutes // 1440} days"
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] if hours else []
    parts += [f"{minutes} min"] if minutes or not hours else []
    return " ".join(parts)


def length_text(rules: Rules, length: Window | timedelta) -> str:
    """The same, or "2 nights" where a resource is booked by them."""
    if isinstance(length, Window):
        if rules.days is not None:
            return rules.days.said(rules.days_of(length))
        length = length.duration
    if rules.days is not None:
        return rules.days.said(max(1, rules.days.count_for(length.total_seconds())))
    return duration_text(length.total_seconds())
