"""What of a booking's money can still be given back."""

from dataclasses import dataclass
from typing import Any

from django.db.models import BigIntegerField, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from payments.models import CreditEntry, Dispute, Due, Payment, Refund
from payments.shares import Left
from payments.states import CAPTURE, CAPTURED, FAILED, SUCCEEDED

# What the cardholder's bank has taken back already; an inquiry (`warning_…`) takes nothing.
_TAKEN_BACK = Q(status__in=["needs_response", "under_review", "lost"]) | Q(is_lost=True)
# Credit that a refund gave back, told from credit that an unpaid checkout did.
BY_REFUND = "refund"


@dataclass(frozen=True, slots=True)
class Standing:
    """The accepted payments of a due with what is left of each, and the credit spent on it.

    `given_minor` is what has been given back before, or is on its way.
    """

    payments: list[tuple[Payment, int]]
    credit_minor: int
    given_minor: int

    @property
    def left(self) -> Left:
        return Left(sum(left for _, left in self.payments), self.credit_minor)

    @property
    def paid_minor(self) -> int:
        """All that was paid, by card and credit."""
        return self.left.total_minor + self.given_minor


def standing_of(due: Due) -> Standing:
    """Reads payments, refunds, disputes and credit of a due; exact under money's locks."""
    accepted = Payment.objects.filter(due=due, state=CAPTURED, verdict=CAPTURE)
    payments = [
        (payment, left_of(payment))
        for payment in accepted.select_related("checkout").order_by("created_at")
    ]
    given = live_refunds().filter(due=due, payment__verdict=CAPTURE)
    return Standing(payments, credit_on(due), _sum(given) + _sum(returned_by_refunds(due)))


def left_of(payment: Payment) -> int:
    """What of a captured payment is neither given back, nor on its way, nor taken by the bank."""
    given = _sum(live_refunds().filter(payment=payment))
    taken = _sum(Dispute.objects.filter(_TAKEN_BACK, payment=payment))
    return max(0, payment.amount_minor - given - taken)


def live_refunds() -> "QuerySet[Refund]":
    """Refunds that took place, or that may yet."""
    return Refund.objects.exclude(state=FAILED)


def credit_on(due: Due) -> int:
    """The credit spent on a due and not given back."""
    spent = CreditEntry.objects.filter(
        due=due, kind__in=[CreditEntry.Kind.SPEND, CreditEntry.Kind.RETURNED]
    )
    return max(0, -_sum(spent))


def returned_by_refunds(due: Due) -> "QuerySet[CreditEntry]":
    """Spent credit that was given back as a refund."""
    return CreditEntry.objects.filter(due=due, kind=CreditEntry.Kind.RETURNED, source=BY_REFUND)


def with_given_back(dues: "QuerySet[Due]") -> "QuerySet[Due]":
    """Dues with `refunded_minor` (refunds that succeeded) and `returned_minor` (credit)."""
    refunds = Refund.objects.filter(due=OuterRef("pk"), state=SUCCEEDED)
    returned = CreditEntry.objects.filter(
        due=OuterRef("pk"), kind=CreditEntry.Kind.RETURNED, source=BY_REFUND
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
