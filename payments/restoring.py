"""After a backup of the database was restored: what the rows must not forget that they forgot.

Stripe and the members' mailboxes are ahead of the rows by then. Docs: operations.md.
"""

from django.db.models import F
from django.db.models.functions import Greatest

from members.models import Workspace
from payments.models import Payment, ReceiptNumber, Refund
from payments.states import CAPTURING, NEEDS_ATTENTION, REQUESTED, VOIDING


def ask_stripe_first() -> int:
    """Whatever is still to be done counts as tried once; how many rows that are.

    Who carries it out then looks at Stripe before it calls: it may have been done after the
    backup, and Stripe forgets our idempotency keys within a day.
    """
    once = {"tries": Greatest(F("tries"), 1)}
    payments = Payment.objects.filter(state__in=[CAPTURING, VOIDING]).update(**once)
    refunds = Refund.objects.filter(state__in=[REQUESTED, NEEDS_ATTENTION]).update(**once)
    return payments + refunds


def skip_receipt_numbers(by: int) -> None:
    """Leave out the next numbers of every workspace: receipts with them are in members' hands.

    A gap can be explained; a number that was given out twice cannot.
    """
    known = ReceiptNumber.objects.values("workspace_id")
    fresh = Workspace.objects.exclude(pk__in=known)
    ReceiptNumber.objects.bulk_create(
        [ReceiptNumber(workspace=workspace) for workspace in fresh], ignore_conflicts=True
    )
    ReceiptNumber.objects.update(last=F("last") + by)
