"""A member's credit: the one way in which entries are written (design.md §6, INV-7).

Callers hold a transaction; the account is the last thing locked (design.md §3). The database keeps
the balance, refuses one below zero and never lets an entry change.
"""

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from config.kernel.clock import now as database_now
from config.kernel.context import SYSTEM, Actor, request_id
from config.kernel.database_errors import constraint_of
from config.kernel.errors import DomainError, InvalidInput, NotFound
from config.kernel.locks import locked, require_transaction, retried_on_deadlock
from config.kernel.money import Money
from members.idempotency import IdempotencyKeyReused
from members.models import Member, Workspace
from payments import credit_rules
from payments.models import CreditAccount, CreditEntry

log = logging.getLogger(__name__)
Kind = CreditEntry.Kind

MAX_MINOR = 99_999_999  # what Stripe takes at most in one payment
# What pays for a due: the sum of these, with the sign turned.
SPENDING = (Kind.SPEND, Kind.RETURNED)
# What belongs to a booking's money goes back through the booking.
REVERSIBLE = frozenset({Kind.GOODWILL, Kind.CORRECTION, Kind.EXPIRY})


class NotEnoughCredit(DomainError):
    code = "not_enough_credit"
    status = 409
    detail = "There is not that much credit."


class CreditNotReversible(DomainError):
    code = "credit_not_reversible"
    status = 409
    detail = "This entry cannot be reversed."


def lock_account(*, workspace: Workspace, member: Member, currency: str = "") -> CreditAccount:
    """The member's account in the workspace's currency, made when there is none, under its lock."""
    require_transaction()
    where = {"workspace": workspace, "member": member, "currency": currency or workspace.currency}
    found = locked(CreditAccount.objects.filter(**where)).first()
    if found is None:
        account = CreditAccount(**where, created_at=database_now())
        CreditAccount.objects.bulk_create([account], ignore_conflicts=True)
        found = locked(CreditAccount.objects.filter(**where)).get()
    return found


def locked_account(account_id: UUID) -> CreditAccount:
    """An account that is there, under its lock."""
    return locked(CreditAccount.objects.filter(pk=account_id)).get()


def enter(
    *,
    account: CreditAccount,
    kind: str,
    amount_minor: int,
    source: str,
    key: str,
    actor: Actor,
    reason: str = "",
    expires_at: datetime | None = None,
    **about: Any,
) -> CreditEntry:
    """Write one entry, or return the one that this key wrote before.

    `amount_minor` is positive for the member; `about` names the due, checkout, refund or entry it
    belongs to. Raises NotEnoughCredit (409) when the balance would go below zero.
    """
    require_transaction()
    before = CreditEntry.objects.filter(account=account, idempotency_key=key).first()
    if before is not None:
        return before
    entry = CreditEntry(
        account=account,
        kind=kind,
        amount_minor=amount_minor,
        source=source,
        idempotency_key=key,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label[:200],
        request_id=request_id.get(),
        reason=reason[:500],
        created_at=database_now(),
        expires_at=expires_at,
        **about,
    )
    try:
        entry.save(force_insert=True)
    except IntegrityError as error:
        if constraint_of(error) == "credit_balance_not_negative":
            raise NotEnoughCredit from error
        raise
    account.refresh_from_db()
    return entry


# --- What staff do ------------------------------------------------------------------------------


def issue(
    *,
    workspace: Workspace,
    member: Member,
    amount_minor: int,
    reason: str,
    source: str,
    key: str,
    actor: Actor,
    expires_at: datetime | None = None,
    **about: Any,
) -> CreditEntry:
    """Give goodwill: `amount_minor` of the workspace's currency, 1 to MAX_MINOR.

    It expires at `expires_at`, or after the workspace's `credit_valid_days`, or never. The same
    `key` gives the same entry. Locks the account: inside a transaction, call it last. Raises
    InvalidInput naming the field, and IdempotencyKeyReused (422) for a key of another amount.
    """
    _check_amount(amount_minor)
    with transaction.atomic():
        account = lock_account(workspace=workspace, member=member)
        now = database_now()
        if expires_at is not None and expires_at <= now:
            raise InvalidInput("This lies in the past.", field="expires_at")
        entry = enter(
            account=account,
            kind=Kind.GOODWILL,
            amount_minor=amount_minor,
            source=source,
            key=key,
            actor=actor,
            reason=reason,
            expires_at=expires_at or goodwill_expires_at(workspace, now),
            **about,
        )
        if (entry.kind, entry.amount_minor) != (Kind.GOODWILL, amount_minor):
            raise IdempotencyKeyReused
        return entry


def goodwill_expires_at(workspace: Workspace, now: datetime) -> datetime | None:
    """Until when goodwill given now can be spent: the workspace's days, at least one, or None."""
    days = workspace.credit_valid_days
    return None if days is None else now + timedelta(days=max(1, days))


@retried_on_deadlock
def reverse(*, entry_id: UUID, reason: str, source: str, actor: Actor) -> CreditEntry:
    """Undo one entry as a whole, once; again gives the same reversal.

    Goodwill and corrections can be reversed, and an expiry, whose credit then no longer expires.
    Raises NotFound, CreditNotReversible (409), and NotEnoughCredit (409) when it has been spent.
    """
    found = CreditEntry.objects.select_related("account").filter(pk=entry_id).first()
    if found is None:
        raise NotFound("There is no such entry.")
    with transaction.atomic():
        account = locked_account(found.account_id)
        before = CreditEntry.objects.filter(reverses=found).first()
        if before is not None:
            return before
        _check_reversible(found)
        return enter(
            account=account,
            kind=Kind.REVERSAL,
            amount_minor=-found.amount_minor,
            source=source,
            key=f"reverse:{found.pk}",
            actor=actor,
            reason=reason,
            reverses=found,
        )


def _check_reversible(entry: CreditEntry) -> None:
    if entry.kind not in REVERSIBLE:
        raise CreditNotReversible(
            f"“{entry.get_kind_display()}” belongs to a booking or to another entry: "
            "give credit or correct the balance instead."
        )
    granted = {grant.id: grant for grant in _grants(entry.account_id)}.get(entry.pk)
    if granted is not None and granted.expired_minor:
        raise CreditNotReversible("It has expired already, in whole or in part.")


def correct(
    *,
    workspace: Workspace,
    member: Member,
    amount_minor: int,
    reason: str,
    source: str,
    key: str,
    actor: Actor,
) -> CreditEntry:
    """Set a balance right by an amount for (positive) or against (negative) the member.

    Raises InvalidInput, and NotEnoughCredit (409) when the balance would go below zero.
    """
    _check_amount(abs(amount_minor))
    with transaction.atomic():
        return enter(
            account=lock_account(workspace=workspace, member=member),
            kind=Kind.CORRECTION,
            amount_minor=amount_minor,
            source=source,
            key=key,
            actor=actor,
            reason=reason,
        )


def _check_amount(amount_minor: int) -> None:
    if not 1 <= amount_minor <= MAX_MINOR:
        raise InvalidInput(f"An amount from 1 to {MAX_MINOR} minor units.", field="amount_minor")


# --- What expires -------------------------------------------------------------------------------


def expire_due(*, now: datetime | None = None, limit: int = 500) -> int:
    """Expire what is left of credit whose time is over, oldest first; how many entries were made.

    A transaction for each account, at most `limit` of them; safe to run any number of times at
    once. An account that cannot be seen to now is logged and left for the next run.
    """
    moment = now or database_now()
    waiting = CreditAccount.objects.filter(next_expiry_at__lte=moment).order_by("next_expiry_at")
    made = 0
    for account_id in list(waiting.values_list("pk", flat=True)[:limit]):
        try:
            made += _expire_one(account_id, moment)
        except Exception:
            log.exception("credit of account %s could not be expired", account_id)
    return made


@retried_on_deadlock
def _expire_one(account_id: UUID, now: datetime) -> int:
    with transaction.atomic():
        return expire_locked(locked_account(account_id), now)


def expire_locked(account: CreditAccount, now: datetime) -> int:
    """The same for one account under its lock: how many entries were made."""
    entries = list(account.entries.all())
    found = credit_rules.grants(entries)
    over = credit_rules.overdue(found, now)
    for grant in over:
        enter(
            account=account,
            kind=Kind.EXPIRY,
            amount_minor=-grant.left_minor,
            source="expiry",
            # A grant expires again when some of it is given back later: the ledger is longer then.
            key=f"expiry:{grant.id}:{len(entries)}",
            actor=SYSTEM,
        )
        grant.left_minor = 0
    if account.next_expiry_at is not None:
        next_expiry_at = credit_rules.next_expiry(found)
        CreditAccount.objects.filter(pk=account.pk).update(next_expiry_at=next_expiry_at)
    return len(over)


# --- What there is ------------------------------------------------------------------------------


def balance(*, workspace: Workspace, member: Member, currency: str = "") -> Money:
    """What a member can spend in a workspace now: the balance without what has just expired."""
    currency = currency or workspace.currency
    account = CreditAccount.objects.filter(
        workspace=workspace, member=member, currency=currency
    ).first()
    return Money(spendable(account) if account else 0, currency)


def spendable(account: CreditAccount) -> int:
    """Minor units that can be spent of an account now."""
    if account.next_expiry_at is None or not account.balance_minor:
        return account.balance_minor
    return credit_rules.spendable_minor(_grants(account.pk), database_now())


def unbalanced() -> QuerySet[CreditAccount]:
    """Accounts whose balance is not the sum of their entries, or is below zero: none, ever (INV-7).

    Each row has the sum as `entered_minor`. It reads the whole ledger; the reconciler asks by the
    page.
    """
    entered = Coalesce(Sum("entries__amount_minor"), 0)
    rows = CreditAccount.objects.annotate(entered_minor=entered)
    return rows.filter(~Q(balance_minor=F("entered_minor")) | Q(balance_minor__lt=0))


def _grants(account_id: UUID) -> list[credit_rules.Grant]:
    return credit_rules.grants(CreditEntry.objects.filter(account_id=account_id))
