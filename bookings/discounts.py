"""Discount codes: finding one, whether it can be used, and its uses.

What is looked up here is for good messages; the limits are kept by `discount_guards.py`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import IntegrityError
from django.db.models import Q
from django.db.models.functions import Upper

from bookings.discount_rules import Reduction
from bookings.models import Booking, Discount, DiscountUse
from bookings.pricing import Quote
from bookings.states import EXPIRED, WITHOUT_OCCUPANCIES
from config.kernel.database_errors import names, translated
from config.kernel.errors import DomainError
from config.kernel.locks import locked
from config.kernel.money import Money

FIELD = "discount_code"
LONGEST_CODE = 40


class DiscountRefused(DomainError):
    """A code that cannot be used: 422, naming the field."""

    code = "discount_not_valid"
    status = 422
    detail = "This code cannot be used here."

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail, field=FIELD)


class DiscountUnknown(DiscountRefused):
    code = "discount_unknown"
    detail = "There is no such code."


class DiscountNotNow(DiscountRefused):
    code = "discount_expired"
    detail = "This code is not valid now."


class DiscountUsedUp(DiscountRefused):
    code = "discount_used_up"
    detail = "This code has been used as often as it can be."


class DiscountNotForThis(DiscountRefused):
    code = "discount_not_for_this"
    detail = "This code is not for what you chose."


_BY_THEM = "This code has been used with this e-mail address as often as it can be."
DISCOUNT_ERRORS: list[type[DomainError]] = [
    DiscountUnknown,
    DiscountNotNow,
    DiscountNotForThis,
    DiscountUsedUp,
    DiscountRefused,
]

names("discount_max_uses", DiscountUsedUp)
names("discount_max_uses_each", lambda: DiscountUsedUp(_BY_THEM))


@dataclass(frozen=True, slots=True)
class Found:
    """A workspace's active code, as it stands now."""

    discount: Discount
    reduction: Reduction

    @property
    def subjects(self) -> list[str]:
        """What claims with it wait for each other by, where its uses are counted."""
        row = self.discount
        is_limited = row.max_uses is not None or row.max_uses_each is not None
        return [f"discount:{row.pk}"] if is_limited else []


def find(workspace_id: UUID, code: str) -> Found:
    """The code as somebody typed it; one query. Raises DiscountUnknown."""
    named = Discount.objects.annotate(upper=Upper("code")).filter(
        workspace_id=workspace_id, upper=code.strip().upper(), is_active=True
    )
    row = named.annotate(
        only_for=ArrayAgg("resources", filter=Q(resources__isnull=False), default=[])
    ).first()
    if row is None:
        raise DiscountUnknown
    only_for = frozenset(row.only_for) or None
    return Found(row, Reduction(row.code, row.percent, row.amount_minor, only_for))


def refuse_unless_fit(
    found: Found, lines: Sequence[tuple[UUID, Quote]], *, at: datetime, currency: str
) -> None:
    """Raises DiscountNotNow and DiscountNotForThis. `lines` are undiscounted, with resources.

    The minimum is of what the whole booking costs without the code, added tax included.
    """
    row = found.discount
    if (row.valid_from and at < row.valid_from) or (row.valid_until and at >= row.valid_until):
        raise DiscountNotNow
    if not any(found.reduction.is_for(resource) for resource, _ in lines):
        raise DiscountNotForThis
    if sum(q.total.amount_minor for _, q in lines) < row.min_total_minor:
        least = Money(row.min_total_minor, currency)
        raise DiscountNotForThis(f"This code is for bookings of {least} and more.")


def refuse_unless_left(found: Found, *, email: str, member_id: UUID | None) -> None:
    """Raises DiscountUsedUp. Without a lock it is as stale as every look; the guard decides."""
    row = found.discount
    live = row.uses.exclude(booking__state__in=WITHOUT_OCCUPANCIES)
    if row.max_uses is not None and live.count() >= row.max_uses:
        raise DiscountUsedUp
    theirs = Q(member_id=member_id) if member_id else Q(pk=None)
    theirs |= Q(email=email.lower()) if email else Q(pk=None)
    if row.max_uses_each is not None and live.filter(theirs).count() >= row.max_uses_each:
        raise DiscountUsedUp(_BY_THEM)


def refuse_anonymous(found: Found, *, email: str) -> None:
    """A code that is limited by person needs to know whose use it is."""
    if found.discount.max_uses_each is not None and not email:
        raise DiscountRefused("Give an e-mail address with this code: it counts by person.")


def use_of(found: Found, booking: Booking, at: datetime) -> DiscountUse:
    """The unsaved row for a booking that is priced with a code."""
    return DiscountUse(
        discount_id=found.discount.pk,
        booking_id=booking.pk,
        email=booking.email.lower(),
        member_id=booking.member_id,
        created_at=at,
    )


@contextmanager
def refusals() -> Iterator[None]:
    """The guard's refusals as errors that callers may see. Raises DiscountUsedUp."""
    try:
        yield
    except IntegrityError as error:
        named = translated(error)
        if isinstance(named, DiscountRefused):
            raise named from error
        raise


def contact_changed(booking: Booking) -> None:
    """A booking with a code has another e-mail address: it is that person's use now.

    Raises DiscountUsedUp.
    """
    if not booking.price.get("discount"):
        return
    uses = DiscountUse.objects.filter(booking_id=booking.pk)
    with refusals():
        uses.exclude(email=booking.email.lower()).update(email=booking.email.lower())


def refuse_unless_left_again(booking: Booking) -> None:
    """A late payment brings an expired booking back: its use must be left still.

    Under the discount's lock, which comes last. Raises DiscountUsedUp.
    """
    has = booking.state == EXPIRED and booking.price.get("discount")
    use = DiscountUse.objects.filter(booking_id=booking.pk).first() if has else None
    if use is None:
        return
    row = locked(Discount.objects.filter(pk=use.discount_id)).get()
    refuse_unless_left(Found(row, Reduction(row.code)), email=use.email, member_id=use.member_id)
