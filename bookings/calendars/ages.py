"""How old the busy times of a calendar are, in words; and when that is too old to be left alone."""

from datetime import datetime, timedelta

from django.db.models import DurationField, ExpressionWrapper, F, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from bookings.models import CalendarConnection

# So many times the age at which a claim reads them again.
TOO_OLD = 3


def in_trouble(now: datetime) -> QuerySet[CalendarConnection]:
    """Calendars whose busy times somebody relies on, and that were not read for far too long, or
    will not be until somebody connects them again."""
    states = CalendarConnection.State
    allowed = ExpressionWrapper(
        F("max_age_seconds") * Value(timedelta(seconds=TOO_OLD)), output_field=DurationField()
    )
    read = CalendarConnection.objects.filter(resources__reads=True).distinct()
    since = read.annotate(known_at=Coalesce("read_at", "created_at"), allowed=allowed)
    is_old = Q(state=states.CONNECTED, known_at__lt=now - F("allowed"))
    return since.filter(is_old | Q(state=states.NEEDS_CONSENT))


def said(connection: CalendarConnection, now: datetime) -> str:
    """Such as "read 3 minutes ago", "not read for 2 hours: It took too long."."""
    known = connection.read_at
    if connection.read_failing_since is None:
        age = f"read {_ago(now - known)} ago" if known else "not read yet"
        return f"{age}. {connection.read_note}".strip().removesuffix(".")
    old = f"known as of {_ago(now - known)} ago" if known else "never read"
    since = _ago(now - connection.read_failing_since)
    return f"{old}; cannot be read for {since}: {connection.read_error}"


def _ago(age: timedelta) -> str:
    seconds = max(0, int(age.total_seconds()))
    for name, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            many = seconds // length
            return f"{many} {name}{'' if many == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
