"""Offering what has become free to those who wait: a real hold and a link, in order (ADR 8).

One offer is one transaction under the resource's lock: the hold, the entry that it is for and the
mail stand together or not at all. Nothing but a claim takes the time, so no more is ever offered
than is free.
"""

import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import IntegrityError, connection, transaction

from bookings import lock_objects
from bookings.calendars.freshening import fresh_first
from bookings.errors import UnknownResource
from bookings.models import AddOn
from bookings.rules import Rules
from bookings.selectors import rules_for
from bookings.services import note
from bookings.visibility import OPERATOR, Viewer, visible
from config.kernel import clock, locks, rows
from config.kernel.context import SYSTEM
from config.kernel.errors import DomainError
from config.kernel.locks import retried_on_deadlock
from holds import booking_limits, waitlist
from holds.claims import Claimant, LineRequest, claim
from holds.models import FreedTime, Hold, WaitlistEntry
from holds.parts import with_required
from holds.states import ACTIVE, CONFIRMED
from holds.waitlist_line import Fit, first_fit, waiting_for
from holds.waitlist_models import OFFERING
from holds.waitlist_states import OFFERED, PASSED, TAKEN, WAITING

log = logging.getLogger(__name__)

_MOST_AT_ONCE = 200
_SHORTEST_SECONDS = 5 * 60
_LEAST_SECONDS = 60


class CannotBePaid(DomainError):
    """Nobody is offered what they could not pay for."""

    code = "charges_not_enabled"
    status = 409
    detail = "This workspace cannot take payments."


def offer(resource_id: UUID) -> int:
    """Offer what is free of a resource along its line until nothing fits any more; how many.

    Any number of workers may do this at once: they take turns at the resource's lock. One in line
    whose claim is refused keeps their place and is passed over this time.
    """
    refused: set[UUID] = set()
    offered = 0
    while offered < _MOST_AT_ONCE:
        likely = _likely(resource_id, refused)
        if likely is None and not FreedTime.objects.filter(resource_id=resource_id).exists():
            break
        try:
            if fresh_first(partial(_offer_next, resource_id, refused, likely)) is None:
                break
            offered += 1
        except _Refused as error:
            log.info("waitlist entry %s: %s", error.entry_id, error.__cause__)
            refused.add(error.entry_id)
    return offered


class _Refused(Exception):
    """A claim for this entry came to nothing, and its transaction with it."""

    def __init__(self, entry_id: UUID) -> None:
        super().__init__(entry_id)
        self.entry_id = entry_id


def _likely(resource_id: UUID, refused: set[UUID]) -> WaitlistEntry | None:
    """Whom something seems to fit; takes no lock. For nobody, freed time may still be kept."""
    line = waiting_for(resource_id)
    rules = _rules(line, resource_id)
    fit = first_fit(rules, line, but=refused) if rules else None
    return fit.entry if fit else None


def _rules(line: list[WaitlistEntry], resource_id: UUID) -> Rules | None:
    if not line:
        return None
    found = rules_for(workspace_id=line[0].workspace_id, resource_ids=[resource_id])
    return found.get(resource_id)


@retried_on_deadlock
def _offer_next(
    resource_id: UUID, refused: set[UUID], likely: WaitlistEntry | None
) -> WaitlistEntry | None:
    """Under the resource's lock: offer to the first in line whom something fits, or to nobody.

    When it fits nobody, what was kept for the line is anybody's. A member's limits are locked
    before resources: those of who is `likely` to come; for another one the claim takes them out of
    order, and a deadlock is retried.
    """
    with transaction.atomic():
        if likely is not None:
            locks.advisory(booking_limits.subjects(likely.workspace, _claimant(likely)))
        list(lock_objects.lock_resources(_needed(resource_id)))
        line = waiting_for(resource_id)
        rules = _rules(line, resource_id)
        fit = first_fit(rules, line, but=refused) if rules else None
        if fit is None or rules is None:
            FreedTime.objects.filter(resource_id=resource_id).delete()
            return None
        try:
            _place(fit, rules)
        except (DomainError, IntegrityError) as error:
            raise _Refused(fit.entry.pk) from error
        return fit.entry


def _needed(resource_id: UUID) -> list[UUID]:
    """The resource, and the pools that have to be booked with it."""
    required_too = AddOn.objects.filter(resource_id=resource_id, is_required=True)
    return [resource_id, *required_too.values_list("pool_id", flat=True)]


def _place(fit: Fit, rules: Rules) -> Hold:
    """With the add-ons that have to be: others can be had by choosing the time anew."""
    entry, window = fit.entry, fit.window
    if not visible({entry.resource_id: rules}, _viewer(entry)):
        raise UnknownResource(line=0)
    wanted = LineRequest(entry.resource_id, window.start, window.end, entry.quantity)
    line = with_required(wanted, rules)
    with _what_is_kept():
        hold = claim(
            workspace=entry.workspace,
            lines=[line],
            claimant=_claimant(entry),
            actor=SYSTEM,
            ttl_seconds=ttl_seconds(entry.workspace.waitlist_ttl_seconds, window.start, fit.as_of),
        )
    if hold.booking.total_minor and not entry.workspace.takes_payments:
        raise CannotBePaid
    at = hold.created_at
    told = note(hold.booking, kind="offered", at=at, actor=SYSTEM, waitlist=str(entry.pk))
    follows = waitlist.move(entry, OFFERED, at, hold=hold, offered_at=at)
    rows.insert([told, *follows])
    return hold


def _claimant(entry: WaitlistEntry) -> Claimant:
    return Claimant(entry.member, entry.email, entry.name, entry.visitor)


def _viewer(entry: WaitlistEntry) -> Viewer:
    """Whose eyes: a visitor's or a member's, as they are now. A secret key waits for the operator,
    and has no browser.
    """
    return Viewer(entry.member) if entry.visitor or entry.member else OPERATOR


@contextmanager
def _what_is_kept() -> Iterator[None]:
    """What is kept from passers-by may be claimed within; after an error its transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, 'on', true)", [OFFERING])
        yield
        cursor.execute("SELECT set_config(%s, '', true)", [OFFERING])


def ttl_seconds(usual: int, start: datetime, now: datetime) -> int:
    """How long an offer stands: as usual, or half of the time until it begins, five minutes at
    least, so that the next in line has a chance too; never beyond the start, but for a minute.
    """
    left = int((start - now).total_seconds())
    wanted = min(usual, max(left // 2, _SHORTEST_SECONDS), left)
    return min(7200, max(_LEAST_SECONDS, wanted))


# --- The guarantee ------------------------------------------------------------------------------


def sweep(*, seconds: float = 20) -> int:
    """Look along every line, whatever it was that freed something; returns how many were offered.

    A waiting entry is itself the row that says there is something to look at. What is not reached
    within `seconds` is a later run's: the order is another one each time.
    """
    until = time.monotonic() + seconds
    waitlist.end_those_too_late()
    for entry_id in _left_behind():
        _catch_up(entry_id)
    _forget_freed()
    ids = list(
        WaitlistEntry.objects.filter(state=WAITING).values_list("resource_id", flat=True).distinct()
    )
    random.shuffle(ids)
    offered = 0
    for resource_id in ids:
        if time.monotonic() >= until:
            break
        offered += _offer_or_log(resource_id)
    return offered


def _offer_or_log(resource_id: UUID) -> int:
    try:
        return offer(resource_id)
    except Exception:
        log.exception("The line of resource %s could not be looked through", resource_id)
        return 0


def _left_behind() -> list[UUID]:
    """Offers whose hold has ended without its effects: by somebody's SQL, say."""
    stale = WaitlistEntry.objects.filter(state=OFFERED).exclude(hold__state=ACTIVE)
    return list(stale.values_list("pk", flat=True)[:100])


def _catch_up(entry_id: UUID) -> None:
    with transaction.atomic():
        entry = WaitlistEntry.objects.select_related("hold").get(pk=entry_id)
        if entry.state != OFFERED or entry.hold is None or entry.hold.state == ACTIVE:
            return
        to_state = TAKEN if entry.hold.state == CONFIRMED else PASSED
        rows.insert(waitlist.move(entry, to_state, lock_objects.now_under_locks()))


def _forget_freed() -> None:
    """Marks that nobody worked on, long after they kept anything."""
    FreedTime.objects.filter(kept_until__lt=clock.now() - timedelta(minutes=10)).delete()
