"""When a booking repeats: a rule of RFC 5545, read in the local time of the place.

What repeats is the hour on the wall; each occurrence lasts as many real hours as the first. A local
time that the clocks skip on some day is not offered that day.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from bookings.add_ons import required
from bookings.availability import availability
from bookings.checks import broken_rules
from bookings.days import Days
from bookings.local_time import is_skipped
from bookings.parts import Known, Part, first_taken
from bookings.pricing import quote, quote_add_on
from bookings.rules import Rules, Window
from bookings.selectors import rules_for
from config.kernel.errors import InvalidInput
from config.kernel.money import Money

MOST = 60
_FARTHEST = timedelta(days=740)
_MOMENT = "%Y%m%dT%H%M%S"
_NUMBERS = r"-?[0-9]{1,3}(,-?[0-9]{1,3})*"
_DAYS = r"[+-]?[0-9]{0,2}(MO|TU|WE|TH|FR|SA|SU)"
_NOTHING = re.compile(r"(?!)")
_PART = {
    name: re.compile(pattern, re.ASCII)
    for name, pattern in {
        "FREQ": "DAILY|WEEKLY|MONTHLY|YEARLY",
        "INTERVAL": "[1-9][0-9]{0,2}",
        "COUNT": "[1-9][0-9]{0,3}",
        "UNTIL": "[0-9]{8}(T[0-9]{6}Z?)?",
        "BYDAY": f"{_DAYS}(,{_DAYS})*",
        "BYMONTHDAY": _NUMBERS,
        "BYMONTH": _NUMBERS,
        "BYSETPOS": _NUMBERS,
        "WKST": "MO|TU|WE|TH|FR|SA|SU",
    }.items()
}
TAKEN, SKIPPED = "taken", "skipped"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One coming of a series. Without a `window` its local time does not exist that day.

    `problem` is why it cannot be had (taken, skipped, or the code of a broken rule) and `why` says
    it; both are empty for one that can be booked, for `price`.
    """

    local: datetime
    window: Window | None
    price: Money | None = None
    problem: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Repeat:
    """What is to be repeated: the first window, by which rule, how many units."""

    rule: str
    first: Window
    quantity: int = 1


@dataclass(frozen=True, slots=True)
class Preview:
    """All occurrences, and what those cost together that can be had."""

    occurrences: list[Occurrence]
    total: Money

    @property
    def free(self) -> list[Window]:
        return [o.window for o in self.occurrences if o.window and not o.problem]

    @property
    def conflicts(self) -> list[Occurrence]:
        return [o for o in self.occurrences if o.problem]


def windows(
    repeat: Repeat, zone: ZoneInfo, days: Days | None = None
) -> list[tuple[datetime, Window | None]]:
    """The local start and the window of each occurrence, in order; 2 to 60 of them.

    Where `days` are booked, each lasts as many days or nights as the first.

    Raises InvalidInput (field `rule`) for a rule that cannot be read, does not end, comes more
    often than daily, or does not begin with the first window.
    """
    local = repeat.first.start.astimezone(zone).replace(tzinfo=None)
    found = list(islice(_starts(repeat.rule, local, zone), MOST + 1))
    if len(found) > MOST:
        raise _refused(f"A series has at most {MOST} times.")
    if found[:1] != [local]:
        raise _refused("The first time does not fit the rule.")
    if len(found) < 2:
        raise _refused("A series has at least two times.")
    if days is not None:
        count = days.count(zone, repeat.first)
        return [(start, days.window(zone, start.date(), count)) for start in found]
    return [(start, _window(start, repeat.first.duration, zone)) for start in found]


def preview(*, rules: Rules, repeat: Repeat, groups: frozenset[UUID] = frozenset()) -> Preview:
    """What of a series can be had now, and for how much; it only looks, a claim decides.

    Each has what must be booked with it. One query, however many there are, and one more for such
    add-ons. Raises what `windows` raises.
    """
    found = windows(repeat, rules.zone, rules.days)
    known = [window for _, window in found if window]
    needed = dict(required(rules, repeat.quantity))
    pools = rules_for(workspace_id=rules.workspace_id, resource_ids=needed) if needed else {}
    around = availability(
        rules=[rules, *pools.values()],
        start=min(w.start for w in known),
        end=max(w.end for w in known),
    )
    wanted = _Wanted(rules, repeat.quantity, needed, groups)
    occurrences = [_occurrence(around, local, window, wanted) for local, window in found]
    total = sum(o.price.amount_minor for o in occurrences if o.price and not o.problem)
    return Preview(occurrences, Money(total, rules.currency))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What each occurrence takes: the resource, and how many of the pools that go with it."""

    rules: Rules
    quantity: int
    needed: dict[UUID, int]
    groups: frozenset[UUID]

    def parts(self, window: Window) -> list[Part]:
        main = Part(0, None, self.rules.resource_id, window, self.quantity)
        others = [Part(0, n, *each) for n, each in enumerate(self._add_ons(window))]
        return [main, *others]

    def _add_ons(self, window: Window) -> list[tuple[UUID, Window, int]]:
        return [(pool_id, window, many) for pool_id, many in self.needed.items()]

    def price(self, known: Known, window: Window) -> Money:
        total = quote(self.rules, window, self.quantity, groups=self.groups).total
        for offer in self.rules.offers:
            if offer.pool_id in self.needed and offer.pool_id in known:
                pool, many = known[offer.pool_id].rules, self.needed[offer.pool_id]
                total += quote_add_on(offer, window, many, rules=pool).total
        return total


def _occurrence(
    known: Known, local: datetime, window: Window | None, wanted: _Wanted
) -> Occurrence:
    if window is None:
        return Occurrence(local, None, None, SKIPPED, "The clocks skip that time on this day.")
    rules = wanted.rules
    price, now = wanted.price(known, window), known[rules.resource_id].as_of
    for code, why in broken_rules(rules, window, quantity=wanted.quantity, now=now):
        return Occurrence(local, window, price, code, why)
    missing = first_taken(known, wanted.parts(window))
    if missing is not None:
        return Occurrence(local, window, price, TAKEN, _gone(missing[0], known))
    return Occurrence(local, window, price)


def _gone(part: Part, known: Known) -> str:
    if part.add_on is None:
        return "Someone else has that time."
    if part.resource_id not in known:
        return "What goes with it cannot be had."
    return f"Too few of {known[part.resource_id].rules.name} are left then."


def _starts(text: str, first: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Local times by the rule, as far ahead as anything can be booked."""
    parts = _parts(text)
    count, until = parts.pop("COUNT", None), parts.pop("UNTIL", None)
    if (count is None) == (until is None):
        raise _refused("Say how often, or else until when: a series has an end.")
    if count is not None and int(count) > MOST:
        raise _refused(f"A series has at most {MOST} times.")
    end = min(_until(until, first, zone) if until else first + _FARTHEST, first + _FARTHEST)
    rest = ";".join(f"{name}={value}" for name, value in parts.items())
    try:
        rule = rrulestr(f"{rest};UNTIL={end:%Y%m%dT%H%M%S}", dtstart=first)
    except (ValueError, TypeError, KeyError) as error:
        raise _refused("This rule cannot be read.") from error
    return islice(iter(rule), int(count) if count else None)


def _parts(text: str) -> dict[str, str]:
    """What a rule says, part by part; only what repeats by days, weeks, months or years."""
    parts: dict[str, str] = {}
    for part in text.strip().upper().removeprefix("RRULE:").split(";"):
        name, _, value = part.partition("=")
        if name in parts or not _PART.get(name, _NOTHING).fullmatch(value):
            raise _refused("Give one rule that comes daily at most, such as FREQ=WEEKLY;COUNT=8.")
        parts[name] = value
    if "FREQ" not in parts:
        raise _refused("Say how often it comes, such as FREQ=WEEKLY.")
    return parts


def _until(said: str, first: datetime, zone: ZoneInfo) -> datetime:
    """The last local time: a day is meant whole, and a moment is given in UTC by the standard."""
    try:
        if "T" not in said:
            return datetime.strptime(f"{said}T235959", _MOMENT)  # noqa: DTZ007
        moment = datetime.strptime(said.removesuffix("Z"), _MOMENT)  # noqa: DTZ007
        if said.endswith("Z"):
            moment = moment.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise _refused("This rule ends on a day that does not exist.") from error
    return max(moment, first)


def _window(local: datetime, duration: timedelta, zone: ZoneInfo) -> Window | None:
    """None for a local time that the clocks skip; the first coming of one that comes twice."""
    if is_skipped(zone, local):
        return None
    start = local.replace(tzinfo=zone).astimezone(UTC)
    return Window(start, start + duration)


def _refused(detail: str) -> InvalidInput:
    return InvalidInput(detail, field="rule")
