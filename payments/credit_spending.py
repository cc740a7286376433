"""Credit at checkout: debited with the Checkout's row, given back when that ends unpaid.

Everything here runs inside the caller's transaction, after `lock_money`: the account comes last
(design.md §3). Which credit pays for what stands in the ledger: spent entries less returned ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Sum

from bookings.models import Booking
from config.kernel.context import SYSTEM, Actor
from config.kernel.errors import DomainError
from config.kernel.money import Money, coin, smallest_charge
from members.models import Member
from payments.credits import (
    SPENDING,
    Kind,
    NotEnoughCredit,
    enter,
    expire_locked,
    lock_account,
    locked_account,
)
from payments.lock_objects import LockedMoney
from payments.models import Checkout, CreditAccount, CreditEntry, Due, Payment
from payments.states import ABANDONED, CAPTURE_FAILED, COMPLETE, EXPIRED, FAILED, REFUND, VOID


class MoreCreditThanOwed(DomainError):
    code = "more_credit_than_owed"
    status = 422
    detail = "That is more credit than is owed."


class RestTooSmall(DomainError):
    code = "rest_too_small"
    status = 422
    detail = "What is left for the card is too small to be charged."


CREDIT_REFUSALS = frozenset({NotEnoughCredit.code, MoreCreditThanOwed.code, RestTooSmall.code})


@dataclass(frozen=True, slots=True)
class Wish:
    """How much of whose credit is to pay, in minor units of the due's currency."""

    minor: int = 0
    member: Member | None = None

    def check(self, due: Due) -> None:
        """Raises MoreCreditThanOwed, or RestTooSmall when a card could not pay the rest (422)."""
        rest, least = due.amount_minor - self.minor, smallest_charge(due.currency)
        if rest < 0:
            raise MoreCreditThanOwed(f"Only {due.amount} is owed.", field="credit_minor")
        step = coin(due.currency)
        if self.minor and (0 < rest < least or rest % step):
            in_steps = f", in steps of {Money(step, due.currency)}" if step > 1 else ""
            raise RestTooSmall(
                f"Leave nothing for the card, or at least {Money(least, due.currency)}{in_steps}.",
                field="credit_minor",
            )

    def is_of(self, checkout: Checkout) -> bool:
        """Whether this Checkout spends just this."""
        if checkout.credit_minor != self.minor:
            return False
        spent = CreditEntry.objects.filter(checkout=checkout, kind=Kind.SPEND)
        return not self.minor or spent.filter(account__member=self.member).exists()

    def covers(self, due: Due) -> bool:
        return self.minor == due.amount_minor


@dataclass(frozen=True, slots=True)
class Part:
    """Credit of one account that pays for a due, through one Checkout or (None) as a whole."""

    account_id: UUID
    checkout_id: UUID | None
    minor: int


def owner_of(booking: Booking) -> Member | None:
    """Whose credit pays for a booking: its member's, or the member's with its e-mail address."""
    if booking.member_id is not None or not booking.email:
        return booking.member
    return Member.objects.filter(email=booking.email.lower()).first()


def spend(money: LockedMoney, wish: Wish, *, checkout: Checkout | None, actor: Actor) -> None:
    """Debit what is wished for; the booking becomes theirs if it was nobody's.

    Raises NotEnoughCredit (409). No Checkout: the credit pays all that is owed.
    """
    if wish.member is None:
        raise NotEnoughCredit("There is no member whose credit could pay.", field="credit_minor")
    booking = money.booking
    if booking.member_id is None:
        booking.member = wish.member
        booking.save(update_fields=["member"])
    account = lock_account(
        workspace=booking.workspace, member=wish.member, currency=money.due.currency
    )
    subject = checkout.pk if checkout is not None else money.due.pk
    _debit(money, account, wish.minor, checkout, f"spend:{subject}", actor)


def debit_again(money: LockedMoney, checkout: Checkout) -> None:
    """A payment came of a Checkout that had given its credit back: it is spent after all.

    Raises NotEnoughCredit when it has been spent elsewhere or has expired meanwhile.
    """
    missing = checkout.credit_minor - sum(part.minor for part in parts(checkout_ids=[checkout.pk]))
    if not checkout.credit_minor or not missing:
        return
    first = CreditEntry.objects.get(checkout=checkout, idempotency_key=f"spend:{checkout.pk}")
    key = _numbered("respend", checkout.pk, Kind.SPEND)
    _debit(money, locked_account(first.account_id), missing, checkout, key, SYSTEM)


def _debit(
    money: LockedMoney,
    account: CreditAccount,
    minor: int,
    checkout: Checkout | None,
    key: str,
    actor: Actor,
) -> None:
    if account.next_expiry_at is not None and account.next_expiry_at <= money.now:
        expire_locked(account, money.now)
    if account.balance_minor < minor:
        raise NotEnoughCredit(f"There is {account.balance} of credit here.", field="credit_minor")
    enter(
        account=account,
        kind=Kind.SPEND,
        amount_minor=-minor,
        source="checkout",
        key=key,
        actor=actor,
        due=money.due,
        checkout=checkout,
    )


def give_back(money: LockedMoney) -> None:
    """Return the credit of every Checkout from which no payment can come any more, once each."""
    ended = [c.pk for c in money.checkouts.values() if c.credit_minor and _ended_unpaid(money, c)]
    for part in parts(checkout_ids=ended):
        enter(
            account=locked_account(part.account_id),
            kind=Kind.RETURNED,
            amount_minor=part.minor,
            source="checkout",
            key=_numbered("return", part.checkout_id, Kind.RETURNED),
            actor=SYSTEM,
            due=money.due,
            checkout_id=part.checkout_id,
        )


def _numbered(what: str, checkout_id: UUID | None, kind: str) -> str:
    """A key of its own each time that credit goes to a Checkout, or comes back from it.

    What is spent and not given back says whether there is anything to do; not the key.
    """
    before = CreditEntry.objects.filter(checkout=checkout_id, kind=kind).count()
    return f"{what}:{checkout_id}:{before + 1}" if before else f"{what}:{checkout_id}"


def _ended_unpaid(money: LockedMoney, checkout: Checkout) -> bool:
    if checkout.state in {EXPIRED, ABANDONED}:
        return True
    mine = [payment for payment in money.payments if payment.checkout_id == checkout.pk]
    return checkout.state == COMPLETE and bool(mine) and all(map(_came_to_nothing, mine))


def _came_to_nothing(payment: Payment) -> bool:
    return payment.verdict in {VOID, REFUND} or payment.state in {FAILED, CAPTURE_FAILED}


def return_spent(
    *, due: Due, amount_minor: int, key: str, actor: Actor, reason: str = "", source: str
) -> list[CreditEntry]:
    """Give back credit that paid for a due, as when its booking is cancelled.

    It keeps the expiry that it had. `key` makes it happen once. Raises NotEnoughCredit when that
    much of it was not paid with credit.
    """
    made: list[CreditEntry] = []
    before = CreditEntry.objects.filter(due=due, idempotency_key__startswith=f"{key}:")
    if known := list(before):
        return known
    rest = amount_minor
    for part in parts(due_ids=[due.pk]):
        minor = min(rest, part.minor)
        if minor:
            entry = enter(
                account=locked_account(part.account_id),
                kind=Kind.RETURNED,
                amount_minor=minor,
                source=source,
                key=f"{key}:{part.checkout_id or due.pk}",
                actor=actor,
                reason=reason,
                due=due,
                checkout_id=part.checkout_id,
            )
            made.append(entry)
            rest -= minor
    if rest:
        raise NotEnoughCredit("So much of it was not paid with credit.", field="amount_minor")
    return made


def parts(*, checkout_ids: Iterable[UUID] = (), due_ids: Iterable[UUID] = ()) -> list[Part]:
    """What is spent and not given back of these checkouts or dues, in the order of their locks."""
    wanted = {"checkout_id__in": list(checkout_ids)} if checkout_ids else {}
    wanted |= {"due_id__in": list(due_ids)} if due_ids else {}
    if not wanted:
        return []
    entries = CreditEntry.objects.filter(kind__in=SPENDING, **wanted)
    sums = entries.order_by("account_id", "checkout_id").values_list("account_id", "checkout_id")
    return [
        Part(account_id, checkout_id, -total)
        for account_id, checkout_id, total in sums.annotate(total=Sum("amount_minor"))
        if total < 0
    ]
