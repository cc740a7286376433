"""Money owed to a member by a workspace: an append-only ledger, and the balance it adds up to."""

import pgtrigger
from django.db import models
from django.db.models import F, Q

from config.kernel.ids import new_id
from config.kernel.money import Money
from config.kernel.triggers import refuse, unchangeable, undeletable
from members.models import Member, Workspace
from payments.models.money import Checkout, Due
from payments.models.refunds import Refund


class CreditAccount(models.Model):
    """A member's credit in one workspace. The balance is the trigger's to keep (INV-7)."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, related_name="credit_accounts", db_index=False
    )
    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="credit_accounts")
    currency = models.CharField(max_length=3)
    balance_minor = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField()
    next_expiry_at = models.DateTimeField(
        null=True, editable=False, db_default=None, help_text="When to look for expired credit."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "workspace", "member", "currency", name="credit_account_unique"
            ),
            models.CheckConstraint(
                name="credit_balance_not_negative", condition=Q(balance_minor__gte=0)
            ),
        ]
        indexes = [
            models.Index(
                "next_expiry_at", name="credit_expiring", condition=Q(next_expiry_at__isnull=False)
            ),
        ]
        triggers = [
            *undeletable("credit_is_history"),
            pgtrigger.Trigger(
                name="starts_empty",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                func=f"""
                    IF NEW.balance_minor <> 0 THEN
                        {refuse("credit_account_starts_empty", "a balance comes from entries")}
                    END IF;
                    RETURN NEW;
                """,
            ),
            pgtrigger.Trigger(
                name="keeps_balance",
                operation=pgtrigger.UpdateOf(
                    "balance_minor", "workspace_id", "member_id", "currency"
                ),
                when=pgtrigger.Before,
                func=f"""
                    IF NEW.workspace_id <> OLD.workspace_id OR NEW.member_id <> OLD.member_id
                       OR NEW.currency <> OLD.currency OR NEW.balance_minor <> (
                        SELECT coalesce(sum(amount_minor), 0) FROM payments_creditentry
                        WHERE account_id = NEW.id
                    ) THEN
                        {refuse("credit_balance_is_the_sum", "a balance is the sum of its entries")}
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.balance} of {self.member_id}"

    @property
    def balance(self) -> Money:
        return Money(self.balance_minor, self.currency)


class CreditEntry(models.Model):
    """One movement of a member's credit: positive for them, negative against them."""

    class Kind(models.TextChoices):
        GOODWILL = "goodwill", "Goodwill"
        REFUND = "refund", "Refund"
        SPEND = "spend", "Spent"
        RETURNED = "returned", "Given back"
        EXPIRY = "expiry", "Expired"
        REVERSAL = "reversal", "Reversed"
        CORRECTION = "correction", "Correction"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey(CreditAccount, on_delete=models.PROTECT, related_name="entries")
    kind = models.CharField(max_length=12, choices=Kind)
    amount_minor = models.BigIntegerField()
    reason = models.CharField(max_length=500, blank=True)
    source = models.CharField(max_length=60, help_text="What it came from: admin, api, late, …")
    idempotency_key = models.CharField(max_length=255)
    actor_kind = models.CharField(max_length=20)
    actor_id = models.CharField(max_length=40, blank=True)
    actor_label = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    due = models.ForeignKey(
        Due, on_delete=models.PROTECT, null=True, blank=True, related_name="credit_entries"
    )
    checkout = models.ForeignKey(
        Checkout, on_delete=models.PROTECT, null=True, blank=True, related_name="credit_entries"
    )
    refund = models.OneToOneField(
        Refund, on_delete=models.PROTECT, null=True, blank=True, related_name="credit_entry"
    )
    reverses = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="reversed_by"
    )

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name_plural = "credit entries"
        constraints = [
            models.UniqueConstraint("account", "idempotency_key", name="credit_entry_once"),
            models.CheckConstraint(
                name="credit_entry_sign",
                condition=(
                    Q(kind__in=["goodwill", "refund", "returned"], amount_minor__gt=0)
                    | Q(kind__in=["spend", "expiry"], amount_minor__lt=0)
                    | (Q(kind__in=["reversal", "correction"]) & ~Q(amount_minor=0))
                ),
            ),
            models.CheckConstraint(
                name="credit_entry_expires_later",
                condition=Q(expires_at=None) | Q(expires_at__gt=F("created_at")),
            ),
        ]
        triggers = [
            *unchangeable("credit_is_history"),
            pgtrigger.Trigger(
                name="belongs",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                func=f"""
                    IF NEW.due_id IS NOT NULL AND NOT EXISTS (
                        SELECT 1 FROM payments_due d JOIN payments_creditaccount a
                          ON a.workspace_id = d.workspace_id AND a.currency = d.currency
                        WHERE d.id = NEW.due_id AND a.id = NEW.account_id
                    ) THEN
                        {refuse("credit_within_workspace", "the due is of another workspace")}
                    END IF;
                    IF NEW.checkout_id IS NOT NULL AND NEW.due_id IS DISTINCT FROM (
                        SELECT due_id FROM payments_checkout WHERE id = NEW.checkout_id
                    ) THEN
                        {refuse("credit_within_workspace", "the checkout is of another due")}
                    END IF;
                    IF (NEW.kind = 'reversal' OR NEW.reverses_id IS NOT NULL) AND NOT EXISTS (
                        SELECT 1 FROM payments_creditentry e WHERE e.id = NEW.reverses_id
                        AND e.account_id = NEW.account_id AND e.amount_minor = -NEW.amount_minor
                        AND NEW.kind = 'reversal'
                    ) THEN
                        {refuse("credit_reversal_mirrors", "a reversal undoes one whole entry")}
                    END IF;
                    RETURN NEW;
                """,
            ),
            # The account's row is locked here, so entries of one account are one after the other;
            # its CHECK refuses what would go below zero. Credit that comes back may be of a grant
            # that has expired by now: it is looked at soon.
            pgtrigger.Trigger(
                name="moves_balance",
                operation=pgtrigger.Insert,
                when=pgtrigger.After,
                declare=[("spent", "numeric"), ("most", "numeric")],
                func=f"""
                    PERFORM 1 FROM payments_creditaccount
                    WHERE id = NEW.account_id FOR NO KEY UPDATE;
                    IF NEW.kind IN ('spend', 'returned') THEN
                        SELECT -sum(amount_minor) INTO spent FROM payments_creditentry
                        WHERE account_id = NEW.account_id AND kind IN ('spend', 'returned')
                          AND due_id IS NOT DISTINCT FROM NEW.due_id
                          AND checkout_id IS NOT DISTINCT FROM NEW.checkout_id;
                        SELECT coalesce(
                            (SELECT credit_minor FROM payments_checkout WHERE id = NEW.checkout_id),
                            (SELECT amount_minor FROM payments_due WHERE id = NEW.due_id)
                        ) INTO most;
                        IF spent < 0 OR spent > most OR most IS NULL THEN
                            {refuse("credit_spent_once", "spent and given back at most once")}
                        END IF;
                    END IF;
                    UPDATE payments_creditaccount SET balance_minor = (
                        SELECT coalesce(sum(amount_minor), 0) FROM payments_creditentry
                        WHERE account_id = NEW.account_id
                    ), next_expiry_at = least(
                        next_expiry_at, NEW.expires_at,
                        CASE WHEN NEW.kind = 'returned' THEN NEW.created_at END
                    ) WHERE id = NEW.account_id;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount_minor}"
