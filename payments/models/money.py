"""What is owed, each attempt to pay it, and what became of each PaymentIntent."""

import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from bookings.models import Booking, Change
from config.kernel.ids import new_id
from config.kernel.money import Money
from config.kernel.triggers import deferred, refuse, undeletable
from members.models import Workspace
from payments.states import CHECKOUT_STATES, PAYMENT_STATES


class Due(models.Model):
    """An amount owed for a purpose; payments settle it."""

    class Purpose(models.TextChoices):
        BOOKING = "booking", "Booking"
        CHANGE = "change", "Change"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, related_name="dues", db_index=False
    )
    booking = models.ForeignKey(
        Booking, on_delete=models.PROTECT, related_name="dues", db_index=False
    )
    purpose = models.CharField(max_length=12, choices=Purpose, default=Purpose.BOOKING)
    change = models.ForeignKey(
        Change, on_delete=models.PROTECT, null=True, related_name="dues", db_index=False
    )
    amount_minor = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    created_at = models.DateTimeField()
    waived_minor = models.PositiveBigIntegerField(
        default=0, db_default=0, help_text="What staff asked no money for: all of it, or nothing."
    )
    settled_at = models.DateTimeField(null=True, blank=True)
    pay_again_until = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Theirs, and to be paid by then: a capture failed, or it is paid later.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["booking", "change"], name="due_once_per_purpose", nulls_distinct=False
            ),
            models.CheckConstraint(
                name="due_of_its_purpose",
                condition=Q(purpose="booking", change=None)
                | Q(purpose="change", change__isnull=False),
            ),
            models.CheckConstraint(
                name="due_waived_whole",
                condition=Q(waived_minor=0)
                | Q(waived_minor=F("amount_minor"), settled_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(
                "pay_again_until",
                name="due_pay_again",
                condition=Q(pay_again_until__isnull=False),
            ),
        ]
        triggers = [
            *undeletable("money_is_history"),
            deferred(
                "belongs",
                f"""
                    IF NEW.workspace_id IS DISTINCT FROM (
                        SELECT b.workspace_id FROM bookings_booking b WHERE b.id = NEW.booking_id
                    ) THEN
                        {refuse("due_within_workspace", "a due stays in its booking''s workspace")}
                    END IF;
                    IF NEW.change_id IS NOT NULL AND NEW.booking_id IS DISTINCT FROM (
                        SELECT c.booking_id FROM bookings_change c WHERE c.id = NEW.change_id
                    ) THEN
                        {refuse("due_within_booking", "a due stays with its booking")}
                    END IF;
                    RETURN NULL;
                """,
                pgtrigger.Insert | pgtrigger.UpdateOf("booking_id", "workspace_id", "change_id"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} for {self.booking_id}"

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


class Checkout(models.Model):
    """One attempt to pay a due: one Stripe Checkout Session.

    Every parameter of the call to Stripe is a column here and is committed before the call, so
    that a retry with the same idempotency key (`checkout:<id>`) sends the same request.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    due = models.ForeignKey(Due, on_delete=models.PROTECT, related_name="checkouts", db_index=False)
    attempt = models.PositiveIntegerField(default=1)
    state = models.CharField(max_length=10, default="creating")
    version = models.PositiveIntegerField(default=0)
    account = models.CharField(max_length=255, blank=True, help_text="Connected account, or none.")
    destination = models.CharField(max_length=255, blank=True)
    livemode = models.BooleanField()
    amount_minor = models.PositiveBigIntegerField(help_text="What the card is asked for.")
    credit_minor = models.PositiveBigIntegerField(
        default=0, db_default=0, help_text="What credit covers."
    )
    currency = models.CharField(max_length=3)
    takes_delayed_methods = models.BooleanField(default=False, db_default=False)
    application_fee_minor = models.PositiveBigIntegerField(default=0)
    title = models.CharField(max_length=250)
    email = models.EmailField(blank=True)
    success_url = models.TextField()
    cancel_url = models.TextField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(help_text="When Stripe closes the session by itself.")
    session_id = models.CharField(max_length=255, unique=True, null=True, blank=True)
    url = models.TextField(blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    close_requested_at = models.DateTimeField(
        null=True, blank=True, help_text="The session is to be expired at Stripe."
    )
    next_look_at = models.DateTimeField(null=True, blank=True)
    looks = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("due", "attempt", name="checkout_attempt_unique"),
            models.UniqueConstraint(
                "due",
                name="checkout_one_live_per_due",
                condition=Q(state__in=["creating", "open"], close_requested_at=None),
            ),
        ]
        indexes = [
            models.Index(
                "next_look_at", name="checkout_due_look", condition=Q(next_look_at__isnull=False)
            ),
        ]
        triggers = [CHECKOUT_STATES.trigger(), *undeletable("money_is_history")]

    def __str__(self) -> str:
        return self.session_id or str(self.id)


class Payment(models.Model):
    """What became of one PaymentIntent (INV-5), or of one payment that did not come by Stripe.

    The verdict is written once and is final. `provider` is blank for Stripe's; else it says by what
    it came (`cash`, or another payment provider) and `reference` which one it is there.
    """

    class Verdict(models.TextChoices):
        CAPTURE = "capture", "Capture"
        VOID = "void", "Void"
        REFUND = "refund", "Refund"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    due = models.ForeignKey(Due, on_delete=models.PROTECT, related_name="payments")
    checkout = models.ForeignKey(
        Checkout, on_delete=models.PROTECT, null=True, related_name="payments"
    )
    payment_intent_id = models.CharField(max_length=255, unique=True, null=True, blank=True)
    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, null=True, related_name="external_payments"
    )
    provider = models.CharField(max_length=40, blank=True, default="", db_default="")
    reference = models.CharField(max_length=120, blank=True, default="", db_default="")
    account = models.CharField(max_length=255, blank=True)
    livemode = models.BooleanField()
    amount_minor = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    state = models.CharField(max_length=16, default="created")
    version = models.PositiveIntegerField(default=0)
    verdict = models.CharField(max_length=8, choices=Verdict, blank=True)
    verdict_because = models.CharField(max_length=60, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.CharField(max_length=20, blank=True, help_text="Which signal came first.")
    created_at = models.DateTimeField()
    captured_at = models.DateTimeField(null=True, blank=True)
    voided_at = models.DateTimeField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    next_try_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "due",
                name="payment_one_accepted_per_due",
                condition=Q(verdict="capture") & ~Q(state="capture_failed"),
            ),
            models.UniqueConstraint(
                fields=["workspace", "provider", "reference"],
                name="payment_external_once",
                condition=~Q(provider=""),
            ),
            models.CheckConstraint(
                name="payment_of_one_source",
                condition=Q(
                    provider="",
                    reference="",
                    workspace=None,
                    checkout__isnull=False,
                    payment_intent_id__isnull=False,
                )
                | (
                    Q(workspace__isnull=False, checkout=None, payment_intent_id=None)
                    & ~Q(provider="")
                    & ~Q(reference="")
                ),
            ),
            models.CheckConstraint(
                name="payment_verdict_before_call",
                condition=Q(state__in=["created", "processing", "authorised", "failed"])
                | (Q(state__in=["capturing", "captured", "capture_failed"]) & Q(verdict="capture"))
                | Q(state="captured", verdict__in=["refund", "void"])
                | (Q(state__in=["voiding", "voided"]) & Q(verdict="void")),
            ),
        ]
        indexes = [
            models.Index(
                "next_try_at", name="payment_due_try", condition=Q(next_try_at__isnull=False)
            ),
            models.Index(
                "id",
                name="payment_unfinished",
                condition=Q(state__in=["authorised", "capturing", "voiding", "capture_failed"]),
            ),
        ]
        triggers = [
            PAYMENT_STATES.trigger(),
            *undeletable("money_is_history"),
            pgtrigger.Trigger(
                name="verdict_is_final",
                operation=pgtrigger.UpdateOf("verdict"),
                when=pgtrigger.Before,
                func=f"""
                    IF OLD.verdict <> '' AND NEW.verdict <> OLD.verdict THEN
                        {refuse("payment_verdict_is_final", "a verdict is written once")}
                    END IF;
                    RETURN NEW;
                """,
            ),
            deferred(
                "belongs",
                f"""
                    IF NEW.workspace_id IS DISTINCT FROM (
                        SELECT d.workspace_id FROM payments_due d WHERE d.id = NEW.due_id
                    ) THEN
                        {refuse("payment_within_workspace", "a payment stays in its workspace")}
                    END IF;
                    RETURN NULL;
                """,
                pgtrigger.Insert | pgtrigger.UpdateOf("due_id", "workspace_id"),
                condition=pgtrigger.Condition("NEW.workspace_id IS NOT NULL"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.state})"

    @property
    def name(self) -> str:
        """What it is called where it was made: Stripe's id, or the provider and its reference."""
        return self.payment_intent_id or f"{self.provider} {self.reference}"

    @property
    def is_external(self) -> bool:
        """Whether it came by something else than Stripe, which then knows nothing of it."""
        return bool(self.provider)

    @property
    def intent_id(self) -> str:
        """Stripe's id. Raises ValueError for a payment that Stripe knows nothing of."""
        if self.payment_intent_id is None:
            raise ValueError("not one of Stripe's")
        return self.payment_intent_id

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


class Signal(models.Model):
    """One hint that a payment may have moved: where from, when, and what came of it.

    Written by the receiver of a webhook before it answers, and by each of the other sources when
    it has settled. `outcome` tells late and repeated hints from the one that decided.
    """

    kick_task = "payments.follow_signal"

    class Source(models.TextChoices):
        SUCCESS_PAGE = "success_page", "Success page"
        PLATFORM = "platform_webhook", "Platform webhook"
        CONNECT = "connect_webhook", "Connect webhook"
        SELF_HEAL = "self_heal", "Self-heal"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    checkout = models.ForeignKey(Checkout, on_delete=models.PROTECT, related_name="signals")
    source = models.CharField(max_length=20, choices=Source)
    event_id = models.CharField(max_length=255, blank=True)
    event_type = models.CharField(max_length=60, blank=True)
    session_id = models.CharField(max_length=255, blank=True)
    received_at = models.DateTimeField(db_default=Now())
    followed_at = models.DateTimeField(null=True, blank=True)
    next_try_at = models.DateTimeField(db_default=Now())
    tries = models.PositiveIntegerField(default=0)
    outcome = models.CharField(max_length=40, blank=True)

    class Meta:
        indexes = [
            models.Index("next_try_at", name="signal_open", condition=Q(followed_at=None)),
        ]
        constraints = [
            models.UniqueConstraint(
                "event_id", "source", name="signal_once_per_event", condition=~Q(event_id="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.event_type}"


class RevivedBooking(Booking):
    """Bookings seen from money's side: one that expired comes back only when it is paid (INV-3)."""

    class Meta:
        proxy = True
        triggers = [
            deferred(
                "revived_only_when_paid",
                f"""
                    IF OLD.state = 'expired' AND NEW.state = 'confirmed' AND NOT EXISTS (
                        SELECT 1 FROM payments_payment p JOIN payments_due d ON d.id = p.due_id
                        WHERE d.booking_id = NEW.id AND p.verdict = 'capture'
                    ) THEN
                        {refuse("revived_booking_is_paid", "only a payment revives a booking")}
                    END IF;
                    RETURN NULL;
                """,
                pgtrigger.UpdateOf("state"),
            )
        ]
