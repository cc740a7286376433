"""What of a booking's money can still be given back."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import BigIntegerField, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from bookings.models import Booking
from payments.credits import SPENDING
from payments.models import CreditEntry, Dispute, Due, Payment, Refund
from payments.shares import Left, across
from payments.states import CAPTURE, CAPTURED, FAILED, SUCCEEDED

# What the cardholder's bank has taken back already; an inquiry (`warning_…`) takes nothing.
_TAKEN_BACK = Q(status__in=["needs_response", "under_review", "lost"]) | Q(is_lost=True)
# Credit that a refund gave back, told from credit that an unpaid checkout did.
BY_REFUND = "refund"
# Credit given back since a change made its booking cheaper.
BY_CHANGE = "change"
GIVEN_BACK = (BY_REFUND, BY_CHANGE)


@dataclass(frozen=True, slots=True)
class Standing:
    """The accepted payments of a booking with what is left of each, the newest first, and the
    credit spent on it.

    `given_minor` is what has been given back before, or is on its way; not what was given back when
    a change made the booking cheaper: that is no longer part of what it costs.
    """

    dues: list[Due]
    payments: list[tuple[Payment, int]]
    credit_minor: int
    given_minor: int

    @property
    def left(self) -> Left:
        return Left(sum(left for _, left in self.payments), self.credit_minor)

    def by_hand_of(self, amount_minor: int) -> int:
        """What of an amount that is not credit came by something else than Stripe."""
        parts = across(amount_minor, [left for _, left in self.payments])
        paired = zip(self.payments, parts, strict=True)
        return sum(part for (payment, _), part in paired if payment.is_external)

    @property
    def paid_minor(self) -> int:
        """All that was paid, by card and credit."""
        return self.left.total_minor + self.given_minor


def standing_of_booking(booking: Booking) -> Standing:
    """What of all that was paid for a booking can be given back; exact under money's locks."""
    return standing_of(booking.dues.order_by("-created_at"))


def standing_of(dues: Iterable[Due]) -> Standing:
    """The same for some of a booking's dues: reads payments, refunds, disputes and credit."""
    dues = list(dues)
    accepted = Payment.objects.filter(due__in=dues, state=CAPTURED, verdict=CAPTURE)
    payments = [
        (payment, left_of(payment))
        for payment in accepted.select_related("checkout", "due").order_by("-created_at")
    ]
    given = live_refunds().filter(due__in=dues, payment__verdict=CAPTURE)
    given = given.exclude(cause=Refund.Cause.CHANGE)
    given_minor = _sum(given) + _sum(returned_by_refunds(*dues))
    return Standing(dues, payments, credit_on(*dues), given_minor)


def left_of(payment: Payment) -> int:
    """What of a captured payment is neither given back, nor on its way, nor taken by the bank."""
    given = _sum(live_refunds().filter(payment=payment))
    taken = _sum(Dispute.objects.filter(_TAKEN_BACK, payment=payment))
    return max(0, payment.amount_minor - given - taken)


def live_refunds() -> "QuerySet[Refund]":
    """Refunds that took place, or that may yet."""
    return Refund.objects.exclude(state=FAILED)


def credit_on(*dues: Due) -> int:
    """The credit spent on dues and not given back."""
    spent = CreditEntry.objects.filter(due__in=dues, kind__in=SPENDING)
    return max(0, -_sum(spent))


def returned_by_refunds(*dues: Due) -> "QuerySet[CreditEntry]":
    """Spent credit that was given back as a refund, other than for a change."""
    return CreditEntry.objects.filter(
        due__in=dues, kind=CreditEntry.Kind.RETURNED, source=BY_REFUND
    )


def with_given_back(dues: "QuerySet[Due]") -> "QuerySet[Due]":
    """Dues with `refunded_minor` (refunds that succeeded) and `returned_minor` (credit)."""
    refunds = Refund.objects.filter(due=OuterRef("pk"), state=SUCCEEDED)
    returned = CreditEntry.objects.filter(
        due=OuterRef("pk"), kind=CreditEntry.Kind.RETURNED, source__in=GIVEN_BACK
    )
    return dues.annotate(refunded_minor=_summed(refunds), returned_minor=_summed(returned))


def given_back_on(due: Any) -> int:
    """What has been given back of a due of `with_given_back`, without asking again."""
    return int(due.refunded_minor + due.returned_minor)


def _summed(rows: "QuerySet") -> Coalesce:
    total = rows.order_by().values("due").annotate(total=Sum("amount_minor")).values("total")
    return Coalesce(Subquery(total), 0, output_field=BigIntegerField())


def _sum(rows: "QuerySet") -> int:
    return int(rows.aggregate(total=Sum("amount_minor"))["total"] or 0)
