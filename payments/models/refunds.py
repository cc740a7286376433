"""Money on its way back: refunds, disputes, and the receipts that say so."""

import pgtrigger
from django.db import models
from django.db.models import Q

from config.kernel.ids import new_id
from config.kernel.money import Money
from config.kernel.triggers import refuse, unchangeable, undeletable
from members.models import Workspace
from payments.models.money import Due, Payment
from payments.states import REFUND_STATES

# What can be asked for: where there was no card, "to the card" is by hand.
ASKED = [("card", "To the card"), ("credit", "As credit")]


class Refund(models.Model):
    """An amount of a captured payment that is given back, to the card or as credit.

    `requested` is committed before Stripe hears of it; the key of its call is
    `refund:<id>:<attempt>`, the same until Stripe has said that this attempt came to nothing.
    To credit there is nothing to submit: it succeeds in the transaction that asks for it. By hand
    is how money goes back that did not come by Stripe: it waits for staff to say that it has.
    """

    kick_task = "payments.carry_out_refund"

    class To(models.TextChoices):
        CARD = "card", "To the card"
        CREDIT = "credit", "As credit"
        HAND = "hand", "By hand"

    class Cause(models.TextChoices):
        POLICY = "policy", "By the cancellation policy"
        STAFF = "staff", "By decision of staff"
        LATE = "late", "The slot was gone"
        DUPLICATE = "duplicate", "Paid twice"
        CHANGE = "change", "The booking became cheaper"
        RECONCILER = "reconciler", "By the reconciler"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    due = models.ForeignKey(Due, on_delete=models.PROTECT, related_name="refunds")
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds")
    to = models.CharField(max_length=6, choices=To, default=To.CARD)
    cause = models.CharField(max_length=12, choices=Cause)
    amount_minor = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=500, blank=True)
    actor_kind = models.CharField(max_length=20)
    actor_id = models.CharField(max_length=40, blank=True)
    actor_label = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=16, default="requested")
    version = models.PositiveIntegerField(default=0)
    refunds_fee = models.BooleanField(default=False, help_text="The application fee follows.")
    reverses_transfer = models.BooleanField(default=False)
    stripe_refund_id = models.CharField(max_length=255, unique=True, null=True, blank=True)
    created_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    next_try_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)
    attempt = models.PositiveIntegerField(default=1, db_default=1)
    last_error = models.TextField(blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(name="refund_amount", condition=Q(amount_minor__gt=0)),
        ]
        indexes = [
            models.Index(
                "next_try_at", name="refund_due_try", condition=Q(next_try_at__isnull=False)
            ),
            models.Index(
                "id",
                name="refund_unfinished",
                condition=Q(state__in=["requested", "submitted", "needs_attention", "failed"]),
            ),
        ]
        triggers = [
            REFUND_STATES.trigger(),
            *undeletable("money_is_history"),
            pgtrigger.Trigger(
                name="within_payment",
                operation=pgtrigger.Insert
                | pgtrigger.UpdateOf("payment_id", "amount_minor", "currency", "due_id", "state"),
                when=pgtrigger.Before,
                declare=[
                    ("paid", "bigint"),
                    ("paid_in", "text"),
                    ("of_due", "uuid"),
                    ("given", "numeric"),
                ],
                func=f"""
                    IF TG_OP = 'UPDATE' THEN
                        IF NEW.payment_id <> OLD.payment_id OR NEW.amount_minor <> OLD.amount_minor
                           OR NEW.currency <> OLD.currency OR NEW.due_id <> OLD.due_id THEN
                            {refuse("refund_amount_is_fixed", "a refund''s amount never changes")}
                        END IF;
                        IF NEW.state = 'failed' OR OLD.state <> 'failed' THEN
                            RETURN NEW;
                        END IF;
                    END IF;
                    -- Lock first, look second: two refunds at once must see each other.
                    SELECT amount_minor, currency, due_id INTO paid, paid_in, of_due
                    FROM payments_payment
                    WHERE id = NEW.payment_id AND state = 'captured' FOR NO KEY UPDATE;
                    IF NOT FOUND OR paid_in <> NEW.currency OR of_due <> NEW.due_id THEN
                        {refuse("refund_of_captured_payment", "only captured money is given back")}
                    END IF;
                    SELECT coalesce(sum(amount_minor), 0) INTO given FROM payments_refund
                    WHERE payment_id = NEW.payment_id AND state <> 'failed' AND id <> NEW.id;
                    IF given + NEW.amount_minor > paid THEN
                        {refuse("refund_within_payment", "no more is given back than was paid")}
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} back ({self.state})"

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


class Dispute(models.Model):
    """A cardholder's objection: recorded and flagged; the booking's state does not follow it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="disputes")
    stripe_dispute_id = models.CharField(max_length=255, unique=True)
    amount_minor = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=60, blank=True)
    status = models.CharField(max_length=40, help_text="Stripe's own word.")
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    is_lost = models.BooleanField(default=False)

    class Meta:
        ordering = ["-opened_at"]
        triggers = [*undeletable("money_is_history")]

    def __str__(self) -> str:
        return f"{self.stripe_dispute_id} ({self.status})"


class ReceiptNumber(models.Model):
    """The last receipt number of a workspace: one row, locked while the next is given out."""

    workspace = models.OneToOneField(
        Workspace, on_delete=models.PROTECT, primary_key=True, related_name="receipt_number"
    )
    last = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.workspace_id}: {self.last}"


class Receipt(models.Model):
    """What a member can show: numbered without gaps per workspace, never changed."""

    class Kind(models.TextChoices):
        PAYMENT = "payment", "Receipt"
        REFUND = "refund", "Refund note"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="receipts")
    number = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=8, choices=Kind)
    due = models.ForeignKey(Due, on_delete=models.PROTECT, related_name="receipts")
    payment = models.OneToOneField(
        Payment, on_delete=models.PROTECT, null=True, related_name="receipt"
    )
    refund = models.OneToOneField(
        Refund, on_delete=models.PROTECT, null=True, related_name="receipt"
    )
    issued_at = models.DateTimeField()
    content = models.JSONField(help_text="Who, what, parts, tax and totals, as they were then.")

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint("workspace", "number", name="receipt_number_unique"),
            models.CheckConstraint(
                name="receipt_of_one",
                condition=Q(kind="payment", refund=None) | Q(kind="refund", payment=None),
            ),
        ]
        triggers = [*unchangeable("receipts_are_history")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.number}"
