"""Placing and letting go of holds where Stripe may have to be asked first."""

from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from bookings.calendars.freshening import fresh_first
from bookings.errors import SlotTaken
from bookings.models import Booking, Occupancy, Series
from bookings.parts import parts_of
from bookings.selectors import rules_for
from bookings.states import AWAITING_APPROVAL
from config.kernel.context import Actor
from config.kernel.errors import NotFound
from holds import gate, services
from holds.claims import AddOnRequest, Claimant, LineRequest
from holds.errors import CheckoutOpen
from holds.models import Hold
from holds.selectors import live_of_visitor
from members.models import Member, Workspace
from payments import approval, checkouts, connect
from payments.errors import PaymentInProgress

T = TypeVar("T")

__all__ = [
    "AddOnRequest",
    "Claimant",
    "LineRequest",
    "let_go",
    "own_in_the_way",
    "place",
    "placed",
    "placed_in_turn",
]


def own_in_the_way(
    *,
    workspace: Workspace,
    lines: Sequence[LineRequest],
    visitor: str = "",
    member: Member | None = None,
) -> list[str]:
    """Tokens of a visitor's holds that take, buffers included, some of what the lines would take.

    It only looks; a claim with these tokens replaces them under its locks.
    """
    mine = live_of_visitor(workspace=workspace, visitor=visitor, member=member)
    tokens = {hold.booking_id: hold.token for hold in mine}
    if not tokens:
        return []
    parts = parts_of(lines)
    rules = rules_for(workspace_id=workspace.pk, resource_ids={part.resource_id for part in parts})
    in_the_way: set[UUID] = set()
    for part in parts:
        if part.resource_id in rules:
            taken = rules[part.resource_id].occupied(part.window)
            in_the_way.update(
                Occupancy.objects.filter(
                    booking_id__in=tokens,
                    resource_id=part.resource_id,
                    released_at=None,
                    lapses_at__isnull=False,
                    during__overlap=(taken.start, taken.end),
                ).values_list("booking_id", flat=True)
            )
    return [token for booking_id, token in tokens.items() if booking_id in in_the_way]


def placed_in_turn(
    attempt: Callable[[], T], *, asked: gate.Asked, refuse: Callable[[SlotTaken], T]
) -> T:
    """As `placed`, when its turn comes at the gate; `refuse` stores the answer of who lost.

    Raises SlotContended (409) besides, while others decide about that time.
    """
    return fresh_first(lambda: gate.through(lambda: placed(attempt), asked=asked, refuse=refuse))


def placed(attempt: Callable[[], T]) -> T:
    """Attempt a claim through its idempotency record; Checkouts in its way are closed in between.

    Stripe is asked only once the claim itself was worked on and found them open: a replay, or a
    request that is refused before, closes nothing. Raises PaymentInProgress when one of them is
    paid, TemporarilyUnavailable when Stripe does not answer; the holds are kept then.
    """
    for _ in range(3):
        try:
            return fresh_first(attempt)
        except CheckoutOpen as error:
            for hold in Hold.objects.filter(pk__in=error.hold_ids).order_by("pk"):
                checkouts.close_all(hold)
    raise PaymentInProgress  # somebody keeps opening new ones


def place(
    *,
    workspace: Workspace,
    lines: Sequence[LineRequest],
    claimant: Claimant,
    actor: Actor,
    token: str | Sequence[str] = (),
    ttl_seconds: int | None = None,
    series: Series | None = None,
    discount_code: str = "",
) -> Hold:
    """Claim inside the caller's transaction (see `holds.claims.claim`), itself within `placed`.

    Raises ChargesNotEnabled (409) besides: nobody holds what they could not pay for.
    """
    hold = services.claim(
        workspace=workspace,
        lines=lines,
        claimant=claimant,
        actor=actor,
        token=token,
        ttl_seconds=ttl_seconds,
        series=series,
        discount_code=discount_code,
    )
    connect.refuse_unless_charging(workspace, hold.booking.total_minor)
    return hold


def _withdrawn(hold_id: UUID, actor: Actor, reason: str) -> bool:
    """A request that was sent is let go at once: nothing is open, and nothing was charged."""
    booking = Booking.objects.filter(
        holds=hold_id, holds__change=None, state=AWAITING_APPROVAL, requested_at__isnull=False
    ).first()
    if booking is None:
        return False
    approval.let_go(booking_id=booking.pk, actor=actor, reason=reason)
    return True


def let_go(*, hold_id: UUID, actor: Actor, reason: str = "") -> Hold:
    """Release a hold in two phases: its sessions are expired at Stripe, then its slots freed.

    Idempotent. Raises NotFound, InvalidTransition when it is confirmed, PaymentInProgress (409)
    when a session turns out to be paid, TemporarilyUnavailable (503) when Stripe does not answer:
    the hold is kept then.
    """
    for _ in range(3):
        try:
            if _withdrawn(hold_id, actor, reason):
                return Hold.objects.get(pk=hold_id)
            return services.release(hold_id=hold_id, actor=actor, reason=reason)
        except CheckoutOpen:
            hold = Hold.objects.filter(pk=hold_id).first()
            if hold is None:
                raise NotFound("There is no such hold.") from None
            checkouts.close_all(hold)
    raise PaymentInProgress  # somebody keeps opening new ones
