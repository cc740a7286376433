"""Looking along a line: who comes first, and whom something free fits.

First in line whom it fits: who waits for two units is not offered one, keeps their place, and does
not keep it from the next one who needs only one (ADR 8).
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from bookings.availability import Availability, availability, bookable
from bookings.rules import Rules, Window, merged
from holds.models import WaitlistEntry
from holds.waitlist_states import WAITING

_Wish = tuple[datetime, datetime, int, int]


@dataclass(frozen=True, slots=True)
class Fit:
    """Whom something fits, which window of theirs, and when that was so."""

    entry: WaitlistEntry
    window: Window
    as_of: datetime


def waiting_for(resource_id: UUID) -> list[WaitlistEntry]:
    """The line of a resource, first come first."""
    line = WaitlistEntry.objects.filter(resource_id=resource_id, state=WAITING)
    return list(line.select_related("workspace", "member").order_by("queued_at", "id"))


def first_fit(
    rules: Rules, line: Sequence[WaitlistEntry], *, but: Collection[UUID] = ()
) -> Fit | None:
    """The first of a line, but for those named, whom something free fits, or None.

    Reads what is taken from the tables and no cache. Exact under the resource's lock, and without
    it as stale as every look.
    """
    look = _Look(rules, [_range(entry) for entry in line])
    for entry in line:
        if entry.pk not in but and (found := look.fitting(entry)):
            return Fit(entry, *found)
    return None


@dataclass
class _Look:
    """What is free around the wishes of one line; alike wishes are answered once."""

    rules: Rules
    wishes: list[Window]
    known: dict[Window, Availability] = field(default_factory=dict)
    answers: dict[_Wish, tuple[Window, datetime] | None] = field(default_factory=dict)

    def fitting(self, entry: WaitlistEntry) -> tuple[Window, datetime] | None:
        wish = (entry.starts_at, entry.ends_at, entry.duration_seconds, entry.quantity)
        if wish not in self.answers:
            known = self._around(_range(entry))
            window = next(windows_of(known, entry), None)
            self.answers[wish] = (window, known.as_of) if window else None
        return self.answers[wish]

    def _around(self, wanted: Window) -> Availability:
        cluster = next(w for w in merged(self.wishes) if w.contains(wanted))
        if cluster not in self.known:
            found = availability(rules=[self.rules], start=cluster.start, end=cluster.end)
            self.known[cluster] = found[self.rules.resource_id]
        return self.known[cluster]


def windows_of(known: Availability, entry: WaitlistEntry) -> Iterator[Window]:
    """The windows within somebody's wish that they could have, the earliest first."""
    wanted = _range(entry)
    within = replace(known, range=wanted)
    for window in bookable(within, entry.duration_seconds, entry.quantity):
        if wanted.contains(window):
            yield window


def possible_windows(known: Availability, entry: WaitlistEntry) -> Iterator[Window]:
    """The same as if nobody had anything: what the resource's rules allow of a wish."""
    return windows_of(replace(known, uses=[]), entry)


def _range(entry: WaitlistEntry) -> Window:
    return Window(entry.starts_at, entry.ends_at)
