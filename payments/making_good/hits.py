"""Who was hit in a window of time, and what became of their money. Reads only."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet

from bookings.models import Booking, BookingEvent, Line
from members.models import Member, Workspace
from payments.making_good.wishes import wish_of
from payments.models import FailedAttempt, Payment
from payments.states import AUTHORISED, CAPTURED, REFUND

_HAS_SLOT = ["pending_payment", "awaiting_approval", "confirmed", "completed", "no_show"]
_NOT_THEIRS = ["released", "expired"]


@dataclass
class Hit:
    """One person of one workspace: what they tried, what happened to their money.

    `email` is empty for those whom we cannot write to. `quoted_minor` counts a wish once, however
    often it was tried. `is_served` says that they have what they wanted by now.
    """

    workspace: Workspace
    email: str
    member: Member | None = None
    wishes: dict[str, tuple[list[dict[str, Any]], int]] = field(default_factory=dict)
    attempts: int = 0
    payments: list[Payment] = field(default_factory=list)
    cancelled: list[Booking] = field(default_factory=list)
    is_served: bool = False

    @property
    def quoted_minor(self) -> int:
        return sum(price for _, price in self.wishes.values())

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The wish that the mail's link offers again: the last one."""
        return list(self.wishes.values())[-1][0] if self.wishes else []

    def wish(self, lines: list[dict[str, Any]], price: int) -> None:
        if lines:
            self.wishes[json.dumps(lines, sort_keys=True)] = (lines, price)


def find(*, starts_at: datetime, ends_at: datetime, workspace: Workspace | None) -> list[Hit]:
    """Everybody hit in `[starts_at, ends_at)`: of one workspace, or of all.

    Attempts that ended in a 5xx; money authorised or charged then without a booking; bookings that
    staff or we ourselves ended. Those who got what they wanted in the end are marked as served.
    """
    hits: dict[tuple[UUID, str], Hit] = {}
    scope = {"workspace": workspace} if workspace else {}
    _attempts(hits, FailedAttempt.objects.filter(at__gte=starts_at, at__lt=ends_at, **scope))
    _payments(hits, _money_without_booking(starts_at, ends_at, workspace))
    _cancelled(hits, _ended_by_us(starts_at, ends_at, workspace))
    found = list(hits.values())
    _mark_served(found, starts_at)
    return sorted(found, key=lambda hit: (hit.workspace.name, hit.email))


def to_be_told(hits: Iterable[Hit]) -> list[Hit]:
    """Those with an address who do not have what they wanted."""
    return [hit for hit in hits if hit.email and not hit.is_served]


def _hit(
    hits: dict[tuple[UUID, str], Hit], workspace: Workspace, email: str, nameless: str = ""
) -> Hit:
    """The one person with this address; without one, those who can be told apart by `nameless`."""
    key = (workspace.pk, email.lower() or f"? {nameless}")
    return hits.setdefault(key, Hit(workspace, email.lower()))


def _attempts(hits: dict[tuple[UUID, str], Hit], attempts: QuerySet[FailedAttempt]) -> None:
    for attempt in attempts.select_related("workspace", "member").order_by("at"):
        who = attempt.visitor or str(attempt.pk)
        hit = _hit(hits, attempt.workspace, attempt.email, who)
        hit.attempts += 1
        # Somebody may have typed another's address: what is given goes to who has that address.
        if attempt.member is not None and attempt.member.email == hit.email:
            hit.member = hit.member or attempt.member
        hit.wish(attempt.lines, attempt.quoted_minor or 0)


def _money_without_booking(
    starts_at: datetime, ends_at: datetime, workspace: Workspace | None
) -> QuerySet[Payment]:
    """Payments heard of in the window that are authorised or captured for a booking that is not.

    Those that came too late were given back and told so by themselves; bookings that ended after
    they were confirmed are `_ended_by_us`, or were cancelled by their members.
    """
    found = Payment.objects.filter(
        created_at__gte=starts_at,
        created_at__lt=ends_at,
        state__in=[AUTHORISED, CAPTURED],
        due__booking__state__in=_NOT_THEIRS,
    ).exclude(verdict=REFUND)
    return found.filter(due__workspace=workspace) if workspace else found


def _payments(hits: dict[tuple[UUID, str], Hit], payments: QuerySet[Payment]) -> None:
    for payment in payments.select_related("due__booking__workspace", "due__booking__member"):
        booking = payment.due.booking
        hit = _hit(hits, booking.workspace, booking.email, str(booking.pk))
        hit.member = hit.member or booking.member
        hit.payments.append(payment)
        hit.wish(wish_of(booking), booking.total_minor)


def _ended_by_us(
    starts_at: datetime, ends_at: datetime, workspace: Workspace | None
) -> QuerySet[Booking]:
    """Bookings that were theirs and that staff or the system ended in the window."""
    by_us = BookingEvent.objects.filter(
        booking=OuterRef("pk"),
        at__gte=starts_at,
        at__lt=ends_at,
        from_state="confirmed",
        to_state="cancelled",
        actor_kind__in=["staff", "system"],
    )
    found = Booking.objects.filter(Exists(by_us), state="cancelled")
    return found.filter(workspace=workspace) if workspace else found


def _cancelled(hits: dict[tuple[UUID, str], Hit], bookings: QuerySet[Booking]) -> None:
    for booking in bookings.select_related("workspace", "member").prefetch_related("lines"):
        hit = _hit(hits, booking.workspace, booking.email, str(booking.pk))
        hit.member = hit.member or booking.member
        hit.cancelled.append(booking)
        hit.wish(wish_of(booking), booking.total_minor)


def _mark_served(hits: list[Hit], since: datetime) -> None:
    """Served: every wish of theirs is a booking of theirs by now, and no money is astray."""
    wishes = [lines for hit in hits for lines, _ in hit.wishes.values()]
    wanted = {UUID(line["resource"]) for lines in wishes for line in lines}
    emails = {hit.email for hit in hits if hit.email}
    have: dict[tuple[UUID, str], set[tuple[str, datetime, datetime]]] = defaultdict(set)
    lines = Line.objects.filter(
        resource_id__in=wanted,
        booking__email__in=emails,
        booking__state__in=_HAS_SLOT,
        booking__created_at__gte=since,
    ).select_related("booking")
    for line in lines:
        key = (line.booking.workspace_id, line.booking.email.lower())
        have[key].add((str(line.resource_id), line.starts_at, line.ends_at))
    for hit in hits:
        theirs = have[(hit.workspace.pk, hit.email)]
        got = [_has(theirs, wish) for wish, _ in hit.wishes.values()]
        hit.is_served = bool(got) and all(got) and not hit.payments


def _has(theirs: set[tuple[str, datetime, datetime]], wish: list[dict[str, Any]]) -> bool:
    return all(
        (
            line["resource"],
            datetime.fromisoformat(line["start"]),
            datetime.fromisoformat(line["end"]),
        )
        in theirs
        for line in wish
    )
