"""Every credit account is the sum of its entries (INV-7)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from config.kernel.money import Money
from config.kernel.version import code_version
from payments.reconciler.base import HIGH, HOUR, Check, Cursor, Page, Seen, bounds_of, rows

LEDGER_DIFFERS = "ledger_differs"


class CreditLedger(Check):
    """Every account's balance is the sum of its entries, and none is below zero."""

    name = "credit_ledger"
    looks_for = "credit balances that are not the sum of their entries (INV-7)"
    kinds = (LEDGER_DIFFERS,)
    interval = HOUR
    batch = 5000

    _WRONG = """
        SELECT a.id, a.workspace_id, a.currency, a.balance_minor AS balance,
               coalesce(sum(e.amount_minor), 0) AS entries
        FROM payments_creditaccount a LEFT JOIN payments_creditentry e ON e.account_id = a.id
        WHERE a.id > %(after)s AND a.id <= %(upto)s
        GROUP BY a.id
        HAVING a.balance_minor <> coalesce(sum(e.amount_minor), 0) OR a.balance_minor < 0
        ORDER BY a.id
    """

    def start(self, *, now: datetime, before: Cursor, since: datetime | None) -> Cursor:
        return {"after": str(UUID(int=0))}

    def look(self, cursor: Cursor) -> Page:
        after = cursor["after"]
        bounds = bounds_of("payments_creditaccount", after=after, batch=self.batch)
        if not bounds["many"]:
            return Page(0, [])
        wrong = rows(self._WRONG, {"after": after, "upto": bounds["upto"]})
        more = bounds["many"] == self.batch
        cursor_after = {"after": str(bounds["upto"])} if more else None
        return Page(bounds["many"], [_account(row) for row in wrong], cursor_after)


def _account(row: dict[str, Any]) -> Seen:
    balance = Money(int(row["balance"]), row["currency"])
    entries = Money(int(row["entries"]), row["currency"])
    return Seen(
        kind=LEDGER_DIFFERS,
        severity=HIGH,
        subject_type="credit_account",
        subject_id=str(row["id"]),
        workspace_id=row["workspace_id"],
        summary=f"A credit account says {balance}; its entries add up to {entries}",
        evidence={
            "balance_minor": int(row["balance"]),
            "entries_minor": int(row["entries"]),
            "code_version": code_version(),
        },
        fingerprint=f"{row['balance']}/{row['entries']}",
    )
