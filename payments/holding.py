"""Placing and letting go of holds where Stripe may have to be asked first."""

from collections.abc import Sequence
from uuid import UUID

from bookings.models import Line
from config.kernel.context import Actor
from config.kernel.errors import NotFound
from holds import services
from holds.claims import Claimant, LineRequest
from holds.errors import CheckoutOpen
from holds.models import Hold
from holds.selectors import by_token, live_of_visitor
from holds.states import ACTIVE
from members.models import Member, Workspace
from payments import checkouts
from payments.errors import PaymentInProgress

__all__ = ["Claimant", "LineRequest", "let_go", "place", "prepare"]


def prepare(
    *,
    workspace: Workspace,
    lines: Sequence[LineRequest],
    token: str = "",
    visitor: str = "",
    member: Member | None = None,
) -> str:
    """Before a claim's transaction: find the visitor's own hold and close its Checkout if need be.

    Returns the token to claim with: the one given, or that of a hold of theirs which would be in
    their own way, or an empty string. Raises PaymentInProgress, TemporarilyUnavailable.
    """
    own = by_token(token) if token else _own_in_the_way(workspace, lines, visitor, member)
    if own is None or own.workspace_id != workspace.pk:
        return ""
    if own.state == ACTIVE and own.has_open_checkout and not _same_lines(own, lines):
        checkouts.close_all(own)
    return own.token


def place(
    *,
    workspace: Workspace,
    lines: Sequence[LineRequest],
    claimant: Claimant,
    actor: Actor,
    token: str = "",
    ttl_seconds: int | None = None,
) -> Hold:
    """Claim inside the caller's transaction (see `holds.claims.claim`); `prepare` goes before."""
    return services.claim(
        workspace=workspace,
        lines=lines,
        claimant=claimant,
        actor=actor,
        token=token,
        ttl_seconds=ttl_seconds,
    )


def let_go(*, hold_id: UUID, actor: Actor, reason: str = "") -> Hold:
    """Release a hold in two phases: its sessions are expired at Stripe, then its slots freed.

    Idempotent. Raises NotFound, InvalidTransition when it is confirmed, PaymentInProgress (409)
    when a session turns out to be paid, TemporarilyUnavailable (503) when Stripe does not answer:
    the hold is kept then.
    """
    for _ in range(3):
        try:
            return services.release(hold_id=hold_id, actor=actor, reason=reason)
        except CheckoutOpen:
            hold = Hold.objects.filter(pk=hold_id).first()
            if hold is None:
                raise NotFound("There is no such hold.") from None
            checkouts.close_all(hold)
    raise PaymentInProgress  # somebody keeps opening new ones


def _own_in_the_way(
    workspace: Workspace, lines: Sequence[LineRequest], visitor: str, member: Member | None
) -> Hold | None:
    if not visitor and member is None:
        return None
    wanted = {line.resource_id: line.window for line in lines}
    for hold in live_of_visitor(workspace=workspace, visitor=visitor, member=member):
        for line in Line.objects.filter(booking_id=hold.booking_id, resource_id__in=wanted):
            window = wanted[line.resource_id]
            if line.starts_at < window.end and window.start < line.ends_at:
                return hold
    return None


def _same_lines(hold: Hold, lines: Sequence[LineRequest]) -> bool:
    held = Line.objects.filter(booking_id=hold.booking_id).values_list(
        "resource_id", "starts_at", "ends_at", "quantity"
    )
    return set(held) == {(ln.resource_id, ln.start, ln.end, ln.quantity) for ln in lines}
