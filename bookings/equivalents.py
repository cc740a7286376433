"""What comes nearest to a booking that somebody lost (design.md §6, "Late-payment ladder").

The same resource at the nearest time, else its like at the same time. A booking of several lines
moves as a whole: all of them by the same stretch, so that what belonged together stays together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from bookings.availability import Availability, availability, bookable
from bookings.checks import broken_rules
from bookings.models import Line
from bookings.nearest import free_throughout
from bookings.pricing import quote
from bookings.rules import Rules, Window
from bookings.selectors import rules_for
from bookings.visibility import Viewer, visible
from config.kernel.money import Money

_LOOK_BACK = timedelta(days=1)
_LOOK_AHEAD = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Moved:
    """One line as it would be: a resource, a window, how many; its price."""

    resource_id: UUID
    name: str
    window: Window
    quantity: int
    price: Money


@dataclass(frozen=True, slots=True)
class Equivalent:
    """All lines of a booking, somewhere or some time else, and free when it was looked up."""

    lines: list[Moved]

    @property
    def start(self) -> datetime:
        """Where the first line begins: with its resource, what names this equivalent."""
        return self.lines[0].window.start

    @property
    def resource_id(self) -> UUID:
        return self.lines[0].resource_id

    @property
    def price(self) -> Money:
        return Money(sum(ln.price.amount_minor for ln in self.lines), self.lines[0].price.currency)


def equivalents(
    *,
    workspace_id: UUID,
    lines: Sequence[Line],
    now: datetime,
    viewer: Viewer,
    count: int = 3,
) -> list[Equivalent]:
    """The nearest equivalents of a booking's lines (in order), the nearest first.

    Looked for from a day before the lost start to two weeks after it, never before `now`. Two
    queries, whatever the number of lines.
    """
    if not lines:
        return []
    rules = visible(rules_for(workspace_id=workspace_id), viewer)
    if any(line.resource_id not in rules for line in lines):
        return []
    first, base = lines[0], max(lines[0].starts_at, now)
    wanted = rules[first.resource_id]
    kin = [r for r in rules.values() if r.category_id == wanted.category_id]
    ids = {line.resource_id for line in lines} | {r.resource_id for r in kin}
    known = availability(
        rules=[rules[i] for i in ids], start=base - _LOOK_BACK, end=base + _LOOK_AHEAD
    )
    own = _own(known, lines, base, count)
    others = _alike(known, first, kin) if len(lines) == 1 else []
    return [*own[:1], *others[: count - 1], *own[1:]][:count]


def _own(
    known: dict[UUID, Availability], lines: Sequence[Line], base: datetime, count: int
) -> list[Equivalent]:
    """The same resources, at the times nearest to `base`."""
    first = lines[0]
    seconds = int((first.ends_at - first.starts_at).total_seconds())
    free = bookable(known[first.resource_id], seconds, first.quantity)
    found: list[Equivalent] = []
    for window in sorted(free, key=lambda w: abs(w.start - base)):
        moved = list(_shifted(known, lines, window.start - first.starts_at))
        if len(moved) == len(lines):
            found.append(Equivalent(moved))
        if len(found) == count:
            break
    return found


def _shifted(
    known: dict[UUID, Availability], lines: Sequence[Line], by: timedelta
) -> Iterator[Moved]:
    """Those of the lines that are free when they are moved."""
    for line in lines:
        available = known[line.resource_id]
        seconds = (line.ends_at - line.starts_at).total_seconds()
        window = available.rules.window_from(line.starts_at + by, seconds)
        if _can_be_had(available, window, line.quantity):
            yield _moved(available.rules, window, line.quantity)


def _alike(known: dict[UUID, Availability], lost: Line, kin: Sequence[Rules]) -> list[Equivalent]:
    """Other resources of the category that are free at the very same time."""
    wanted = Window(lost.starts_at, lost.ends_at)
    return [
        Equivalent([_moved(rules, wanted, lost.quantity)])
        for rules in kin
        if rules.resource_id != lost.resource_id
        and _can_be_had(known[rules.resource_id], wanted, lost.quantity)
    ]


def _can_be_had(available: Availability, window: Window, quantity: int) -> bool:
    """Whether a claim of this window would be let through, as far as can be seen."""
    rules, now = available.rules, available.as_of
    if broken_rules(rules, window, quantity=quantity, now=now):
        return False
    return free_throughout(available, window) >= quantity


def _moved(rules: Rules, window: Window, quantity: int) -> Moved:
    price = quote(rules, window, quantity).total
    return Moved(rules.resource_id, rules.name, window, quantity, price)
