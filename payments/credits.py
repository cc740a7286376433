"""A member's credit: the one way in which entries are written (design.md §6, INV-7).

Callers hold a transaction; the account is the last thing locked (design.md §3). The database keeps
the balance, refuses one below zero and never lets an entry change.
"""

from datetime import datetime
from typing import Any

from django.db import IntegrityError

from config.kernel.clock import now as database_now
from config.kernel.context import Actor, request_id
from config.kernel.database_errors import constraint_of
from config.kernel.errors import DomainError
from config.kernel.locks import locked, require_transaction
from members.models import Member, Workspace
from payments.models import CreditAccount, CreditEntry


class NotEnoughCredit(DomainError):
    code = "not_enough_credit"
    status = 409
    detail = "There is not that much credit."


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
