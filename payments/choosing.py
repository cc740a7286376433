"""What the page for changing a booking offers: days and starts of a line, and longer times.

It only looks, with the booking's own time counting as free; what is chosen is decided by
`rescheduling` under its locks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import takewhile

from django.http import QueryDict

from bookings import policy
from bookings.availability import (
    Availability,
    Slot,
    also_used,
    availability,
    is_free,
    slots,
)
from bookings.forms import Wish, wish_from
from bookings.models import Booking, Line
from bookings.rules import Rules, Window
from bookings.selectors import rules_for
from bookings.together import together
from bookings.usage import Use
from bookings.week import Choice, Week, durations, range_of, week
from config.kernel import clock
from config.kernel.errors import DomainError
from config.kernel.money import Money
from holds.changing import NewWindow
from payments import rescheduling
from payments.errors import NothingChanges, TooLateToChange
from payments.models import Refund
from payments.rescheduling import Preview, Settling

# How many longer times stand on top where the line may also be moved.
_QUICK = 4
_NEAR = 4
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Longer:
    """The same start with a later end; `minutes` is the whole length."""

    minutes: int
    more_minutes: int
    window: Window


@dataclass(frozen=True)
class Picked:
    """A window chosen for a line: what it would come to, or why it cannot be had.

    `told` has the money with what goes back going to the card, `as_credit` the same as credit
    where there is a choice.
    """

    line: Line
    window: Window
    told: Preview | None = None
    as_credit: Preview | None = None
    refusal: DomainError | None = None
    is_taken: bool = False

    @property
    def given_back(self) -> Money | None:
        """What goes back in all, whichever way it takes."""
        if self.told is None:
            return None
        return self.told.to_card + self.told.to_hand + self.told.to_credit

    @property
    def verb(self) -> str:
        """ "Make it longer", "Make it shorter" or "Move it"."""
        had = Window(self.line.starts_at, self.line.ends_at)
        if self.window.contains(had):
            return "Make it longer"
        return "Make it shorter" if self.window.start == had.start else "Move it"


@dataclass(frozen=True)
class Choosing:
    """One line of a booking, and everything that can be chosen for it.

    `is_movable`: it may be moved; otherwise it can only be made longer. `first` is the first of
    the seven days that are shown.
    """

    booking: Booking
    line: Line
    others: list[Line]
    open_lines: list[Line]
    rules: Rules
    wish: Wish
    is_movable: bool

    @property
    def had(self) -> Window:
        return Window(self.line.starts_at, self.line.ends_at)

    @property
    def with_it(self) -> str:
        """The add-ons that go with the line, as words."""
        mine = [each for each in self.others if each.parent_id == self.line.pk]
        return together([self.line, *mine])[0].said

    @property
    def movable_until(self) -> datetime:
        """Until when cancelling it is, or was, free."""
        terms = policy.terms_of(self.booking.policy)
        hours = terms[self.line.position].free_hours if terms else 0
        return self.line.starts_at - timedelta(hours=hours)

    @property
    def choice(self) -> Choice:
        wish = self.wish
        return Choice(wish.day, wish.minutes, self.line.quantity, self.window)

    @property
    def window(self) -> Window | None:
        """What has been chosen, if anything has."""
        if self.wish.start is None:
            return None
        return self.rules.window_from(self.wish.start, self.wish.minutes * 60)

    @cached_property
    def available(self) -> Availability:
        """The seven days, the booking's own time of this line being free."""
        return self._available(range_of(self.wish.first, self.rules.zone))

    @cached_property
    def week(self) -> Week:
        return week(self.available, self.choice, self.wish.first)

    @cached_property
    def longer(self) -> list[Longer]:
        """Later ends of the same start for as long as what follows is free."""
        had = self.rules.minutes_of(self.had)
        later = [minutes for minutes in durations(self.rules, had) if minutes > had]
        if not later:
            return []
        around = self._available(Window(self.had.start, self._until(later[-1]).end))
        free = takewhile(lambda m: is_free(around, self._until(m), self.line.quantity), later)
        found = [Longer(m, m - had, self._until(m)) for m in free]
        return found[:_QUICK] if self.is_movable else found

    @property
    def near(self) -> list[Slot]:
        """The free starts nearest to what was chosen, from a day before to a week after it."""
        window = self.window
        if window is None or not self.is_movable:
            return []
        around = self._available(Window(window.start - _DAY, window.start + 7 * _DAY))
        seconds, quantity = int(window.duration.total_seconds()), self.line.quantity
        found = slots(around, duration_seconds=seconds, quantity=quantity)
        ranked = sorted(found, key=lambda slot: abs(slot.start - window.start))
        return sorted(ranked[:_NEAR], key=lambda slot: slot.start)

    @cached_property
    def picked(self) -> Picked | None:
        """The chosen window with its money, or with why it cannot be had."""
        window = self.window
        if window is None:
            return None
        wanted = NewWindow(self.line.position, window.start, window.end)
        try:
            return self._told(window, wanted)
        except DomainError as error:
            return Picked(self.line, window, refusal=error)

    def _told(self, window: Window, wanted: NewWindow) -> Picked:
        if window == self.had:
            raise NothingChanges
        if not (self.is_movable or window.contains(self.had)):
            raise TooLateToChange
        rescheduling.refuse_unapproved(self.rules, self.line, window)
        told = rescheduling.preview(self.booking, [wanted])
        if told.taken is not None:
            return Picked(self.line, window, is_taken=True)
        as_credit = None
        if (told.to_card + told.to_hand).amount_minor and (
            self.booking.email or self.booking.member_id
        ):
            settling = Settling(to=Refund.To.CREDIT)
            as_credit = rescheduling.preview(self.booking, [wanted], settling)
        return Picked(self.line, window, told, as_credit)

    def _until(self, minutes: int) -> Window:
        return self.rules.window_from(self.had.start, minutes * 60)

    def _available(self, around: Window) -> Availability:
        """Free but for others' time and for what the booking's other lines have."""
        known = availability(
            rules=[self.rules],
            start=around.start,
            end=around.end,
            ignore_booking_id=self.booking.pk,
        )[self.rules.resource_id]
        return also_used(known, self._uses())

    def _uses(self) -> list[Use]:
        mine = [line for line in self.others if line.resource_id == self.rules.resource_id]
        return [
            Use(self.rules.occupied(Window(line.starts_at, line.ends_at)), line.quantity)
            for line in mine
        ]


def choosing(booking: Booking, lines: Iterable[Line], query: QueryDict) -> Choosing | None:
    """What can be chosen for the line that a query names by position or id (else the first).

    None when nothing of the booking can be changed here: it is over, or out of the catalogue.
    """
    now = clock.now()
    lines = list(lines)
    open_ones = [line for line in lines if line.ends_at > now and line.parent_id is None]
    rules = rules_for(
        workspace_id=booking.workspace_id, resource_ids={ln.resource_id for ln in open_ones}
    )
    ours = [line for line in open_ones if line.resource_id in rules]
    if not ours:
        return None
    asked = query.get("line", "")
    line = next((ln for ln in ours if asked in {str(ln.position), str(ln.pk)}), ours[0])
    known = rules[line.resource_id]
    return Choosing(
        booking=booking,
        line=line,
        others=[each for each in lines if each.pk != line.pk],
        open_lines=ours,
        rules=known,
        wish=wish_from(_with_defaults(query, line, known), known, now),
        is_movable=rescheduling.is_movable(booking, line, now),
    )


def _with_defaults(query: QueryDict, line: Line, rules: Rules) -> QueryDict:
    """Where nothing else is said: the line's own day and length."""
    found = query.copy()
    found.setdefault("minutes", str(int((line.ends_at - line.starts_at).total_seconds() // 60)))
    if not found.get("start") and not found.get("at"):
        found.setdefault("day", line.starts_at.astimezone(rules.zone).date().isoformat())
    return found
