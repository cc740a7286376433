"""Local clocks: which moment a local time names, and which of two when it comes twice."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_SECOND = timedelta(seconds=1)


def moment_at(zone: ZoneInfo, day: date, local: time) -> datetime:
    """The moment, in UTC, that a local time of a day names.

    One that comes twice names its first coming; one that the clocks skip, the moment they jump.
    """
    named = datetime.combine(day, local, tzinfo=zone)
    moment = named.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == named.replace(tzinfo=None):
        return moment
    return jump_between(zone, named.replace(fold=1).astimezone(UTC), moment)


def repeated(moment: datetime, zone: ZoneInfo) -> str:
    """Which of the two this is, where its local time comes twice: "summer time"; else nothing.

    Where the clocks change for another reason than summer, the zone's abbreviation says it, or the
    offset where it has none. The two never have the same label.
    """
    local = moment.astimezone(zone)
    first, second = local.replace(fold=0), local.replace(fold=1)
    one, other = first.utcoffset(), second.utcoffset()
    if one is None or other is None or one <= other:
        return ""
    names = [first.tzname() or "", second.tzname() or ""]
    if names[0] == names[1] or not all(name.isalpha() for name in names):
        return _offset(other if local.fold else one)
    if first.dst() != second.dst():
        return "standard time" if local.fold else "summer time"
    return names[local.fold]


def clock_text(moment: datetime, zone: ZoneInfo) -> str:
    """ "14:00", or "02:30 (summer time)" when that local time comes twice."""
    which = repeated(moment, zone)
    local = f"{moment.astimezone(zone):%H:%M}"
    return f"{local} ({which})" if which else local


def is_skipped(zone: ZoneInfo, named: datetime) -> bool:
    """Whether the zone's clocks never show this local time (given without a zone)."""
    back = named.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)
    return back.replace(tzinfo=None) != named


def _offset(offset: timedelta) -> str:
    minutes = int(offset.total_seconds()) // 60
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02}" if rest else "")


def jump_between(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The second between two moments at which the zone's clocks jump; the later if they do not."""
    offset = after.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after
