"""Booking a series: its occurrences are held and paid together, or booked and paid each by itself.

Paid together they are the lines of one booking: one hold, one due, one payment; some of them can be
given up later (`dropping.py`). Paid each they are bookings of their own, which are theirs at once
and owe until `Due.pay_again_until`: not paid by then, that one is cancelled (`pay_again.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction

from bookings import mails
from bookings.errors import SlotTaken
from bookings.links import manage_token
from bookings.models import Booking, Line, Resource, Series
from bookings.rules import Rules, Window
from bookings.selectors import rules_for
from bookings.series import Occurrence, Preview, Repeat, preview
from bookings.states import CONFIRMED
from bookings.visibility import visible
from config.kernel import clock, rows
from config.kernel.context import Actor
from config.kernel.errors import DomainError, InvalidInput, NotFound
from config.kernel.locks import require_transaction
from config.kernel.money import Money
from holds import ending
from holds.claims import Claimant, LineRequest
from holds.lock_objects import lock_hold
from holds.models import Hold
from holds.parts import with_required
from holds.pricing import groups_of_claimant
from payments import cancelling, holding
from payments.errors import RefundChanged
from payments.models import Due

# However soon an occurrence begins, so much time there is to pay for it.
_AT_LEAST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Wish:
    """Which resource, when, and what to do about times that cannot be had: leave them out, or else
    book none. `expects_minor` is the total that was shown.
    """

    resource: Resource
    repeat: Repeat
    skips_conflicts: bool = False
    expects_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of it: one hold to be paid, or bookings that are paid each; what was left out."""

    series: Series
    holds: list[Hold]
    left_out: list[Occurrence]


class SeriesConflict(InvalidInput):
    """Some times cannot be had, and all were wanted; or what can be had has changed."""

    code = "series_conflict"
    status = 409
    detail = "Not all of these times can be had."


@dataclass(frozen=True, slots=True)
class Owed:
    """One booking of a series, the link to it, and by when it is to be paid, if it still is."""

    booking: Booking
    token: str
    pay_by: datetime | None


def bookings_of(token: str) -> list[Owed]:
    """The bookings of a series by the token of one of their holds; none for any other hold."""
    hold = Hold.objects.select_related("booking__series").filter(token=token).first()
    if hold is None or hold.booking.series is None:
        return []
    found = Booking.objects.filter(series=hold.booking.series).select_related(
        "workspace", "series__resource__location"
    )
    bookings = list(found.order_by("starts_at"))
    pay_by = _deadlines(bookings)
    return [Owed(b, manage_token(b), pay_by.get(str(b.pk))) for b in bookings]


def has_rest(booking: Booking, lines: Sequence[Line], now: datetime) -> bool:
    """Whether more of its series is still to come than this one."""
    if booking.series_id is None or booking.state != CONFIRMED:
        return False
    return sum(line.starts_at > now for line in lines) > 1 or len(rest_of(booking)) > 1


def rest_of(booking: Booking) -> list[Booking]:
    """The confirmed bookings of its series from this one on, in order; itself alone without one."""
    if booking.series_id is None:
        return [booking]
    rest = Booking.objects.filter(
        series=booking.series_id, state=CONFIRMED, starts_at__gte=booking.starts_at
    )
    return list(rest.select_related("workspace").order_by("starts_at"))


@dataclass(frozen=True, slots=True)
class Rest:
    """A booking and all later ones of its series, with what cancelling gives back of each."""

    each: list[tuple[Booking, cancelling.Preview]]
    given_back: Money


def preview_rest(booking: Booking) -> Rest:
    """What cancelling the rest of a series would give back now; nothing is changed."""
    each = [(one, cancelling.preview(one)) for one in rest_of(booking)]
    total = sum(told.given_back.amount_minor for _, told in each)
    return Rest(each, Money(total, booking.currency))


def cancel_rest(
    booking: Booking, *, actor: Actor, expects_minor: int
) -> list[tuple[Booking, DomainError]]:
    """Cancel a booking and all later ones of its series, each by itself and by the policy.

    `expects_minor` is what was shown as given back in all: RefundChanged (409) when that is no
    longer so, and nothing is cancelled. Returns those that could not be cancelled, and why: the
    others are.
    """
    told = preview_rest(booking).given_back
    if told.amount_minor != expects_minor:
        raise RefundChanged(given_back_minor=told.amount_minor)
    failed = []
    for each in rest_of(booking):
        try:
            holding.placed(partial(cancelling.cancel_own, booking_id=each.pk, actor=actor))
        except DomainError as error:
            failed.append((each, error))
    return failed


def is_paid_each(resource: Resource) -> bool:
    """The workspace's setting; what staff approve first is asked for, and paid, together."""
    return resource.workspace.series_paid_each and not resource.needs_approval


def place(
    wish: Wish, *, claimant: Claimant, actor: Actor, token: str | Sequence[str] = ()
) -> Placed:
    """Hold all occurrences, or those that can be had where the wish says so.

    Must run inside a transaction, that of its idempotency record, itself within `holding.placed`.
    Raises InvalidInput for the rule, SeriesConflict and SlotTaken (409), and what a claim raises.
    """
    require_transaction()
    rules = _rules(wish.resource, claimant)
    groups = groups_of_claimant(claimant, wish.resource.workspace_id, [rules])
    seen = preview(rules=rules, repeat=wish.repeat, groups=groups)
    _refuse_conflicts(wish, seen)
    series = _written(wish)
    windows = list(seen.free)
    while True:
        try:
            with transaction.atomic():
                holds = _held(_lines(wish, windows, rules), series, claimant, actor, token)
            break
        except SlotTaken as error:
            if not wish.skips_conflicts or len(windows) <= 2:
                raise
            del windows[error.data["line"]]
    return Placed(series, holds, _left_out(seen, windows))


def _rules(resource: Resource, claimant: Claimant) -> Rules:
    known = rules_for(workspace_id=resource.workspace_id, resource_ids=[resource.pk])
    found = visible(known, claimant.viewer)
    if resource.pk not in found:
        raise NotFound("There is no such resource here.")
    return found[resource.pk]


def _refuse_conflicts(wish: Wish, seen: Preview) -> None:
    if seen.conflicts and not wish.skips_conflicts:
        raise SeriesConflict
    if len(seen.free) < 2:
        raise SeriesConflict("Of these times fewer than two can be had.")
    if wish.expects_minor is not None and wish.expects_minor != seen.total.amount_minor:
        raise SeriesConflict("What can be had of it has changed while you looked.")


def _written(wish: Wish) -> Series:
    first = wish.repeat.first
    return Series.objects.create(
        workspace=wish.resource.workspace,
        resource=wish.resource,
        rule=wish.repeat.rule[:500],
        starts_at=first.start,
        ends_at=first.end,
        quantity=wish.repeat.quantity,
        payment=Series.Payment.EACH if is_paid_each(wish.resource) else Series.Payment.TOGETHER,
        created_at=clock.now(),
    )


def _lines(wish: Wish, windows: Sequence[Window], rules: Rules) -> list[LineRequest]:
    """A line for each, with what must be booked with it."""
    resource_id, quantity = wish.resource.pk, wish.repeat.quantity
    lines = [LineRequest(resource_id, w.start, w.end, quantity) for w in windows]
    return [with_required(line, rules) for line in lines]


def _held(
    lines: Sequence[LineRequest],
    series: Series,
    claimant: Claimant,
    actor: Actor,
    token: str | Sequence[str],
) -> list[Hold]:
    if series.payment == Series.Payment.TOGETHER:
        return [
            holding.place(
                workspace=series.workspace,
                lines=lines,
                claimant=claimant,
                actor=actor,
                token=token,
                series=series,
            )
        ]
    return _booked_each(series, lines, claimant, actor)


def _booked_each(
    series: Series, lines: Sequence[LineRequest], claimant: Claimant, actor: Actor
) -> list[Hold]:
    """A booking for each, confirmed and to be paid; one mail tells of all of them."""
    if not claimant.email and claimant.member is None:
        raise InvalidInput("Say where the links to pay should go.", field="email")
    holds = []
    for index, line in enumerate(lines):
        try:
            held = holding.place(
                workspace=series.workspace,
                lines=[line],
                claimant=claimant,
                actor=actor,
                series=series,
            )
        except SlotTaken as error:
            raise SlotTaken(error.message, line=index) from error
        holds.append(_confirmed(held, actor))
    bookings = [hold.booking for hold in holds]
    rows.insert(mails.series_booked(series, bookings, pay_by=_deadlines(bookings)))
    return holds


def _confirmed(hold: Hold, actor: Actor) -> Hold:
    """Theirs at once; what is owed has a deadline, and where nothing is, it is settled."""
    found = lock_hold(hold.pk)
    ending.win_locked(found.hold, found.now, actor, series=str(found.booking.series_id))
    due = Due.objects.get(booking=found.booking, change=None)
    if due.amount_minor:
        due.pay_again_until = _pay_by(found.booking, found.now)
    else:
        due.settled_at = found.now
    due.save(update_fields=["pay_again_until", "settled_at"])
    return found.hold


def _pay_by(booking: Booking, now: datetime) -> datetime:
    """The workspace's hours before it begins; an hour from now at least, and before it begins."""
    wanted = booking.starts_at - timedelta(hours=booking.workspace.series_pay_hours)
    return min(max(wanted, now + _AT_LEAST), max(booking.starts_at, now + timedelta(minutes=15)))


def _deadlines(bookings: Sequence[Booking]) -> dict[str, datetime]:
    owing = Due.objects.filter(booking__in=bookings, pay_again_until__isnull=False)
    return {str(due.booking_id): due.pay_again_until for due in owing if due.pay_again_until}


def _left_out(seen: Preview, windows: Sequence[Window]) -> list[Occurrence]:
    return [o for o in seen.occurrences if o.window not in windows]
