"""Reads of credit: whose it is, what pages and the API show of it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Prefetch, Q, QuerySet

from bookings.models import Booking
from config.kernel import clock
from config.kernel.errors import NotFound
from config.kernel.money import Money
from holds.models import Hold
from members.models import Member, Workspace
from members.people import member_of_address
from payments import credit_rules
from payments.credits import Kind, spendable
from payments.models import Checkout, CreditAccount, CreditEntry, Due
from payments.states import CREATING, OPEN

_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Purse:
    """A member's credit in one workspace, as their page shows it."""

    workspace: Workspace
    balance: Money
    next_expiry_at: datetime | None
    entries: list[CreditEntry]


@dataclass(frozen=True, slots=True)
class Offer:
    """Credit that can pay for a hold; `is_chosen` when its open payment page spends it already."""

    usable: Money
    rest: Money
    is_chosen: bool


def member_here(workspace: Workspace, member_id: UUID) -> Member:
    """A member who has a booking or credit in the workspace; any other is NotFound (INV-9).

    A booking made with their address before they signed in is theirs.
    """
    member = Member.objects.filter(pk=member_id).first()
    if member is None or not _is_known(workspace, member):
        raise NotFound("There is no such member here.")
    return member


def recipient(workspace: Workspace, email: str) -> Member | None:
    """Who gets credit at an address that has booked here: made a member if they are none yet."""
    address = email.strip().lower()
    member = Member.objects.filter(email=address).first()
    if member is not None:
        return member if _is_known(workspace, member) else None
    by_guest = Booking.objects.filter(workspace=workspace, email=address)
    return member_of_address(address) if by_guest.exists() else None


def _is_known(workspace: Workspace, member: Member) -> bool:
    theirs = Q(member=member) | Q(member=None, email=member.email)
    return (
        CreditAccount.objects.filter(workspace=workspace, member=member).exists()
        or Booking.objects.filter(theirs, workspace=workspace).exists()
    )


def entries_of(workspace: Workspace, member: Member) -> QuerySet[CreditEntry]:
    """A member's ledger in a workspace."""
    found = CreditEntry.objects.filter(account__workspace=workspace, account__member=member)
    return found.select_related("account", "due")


def purses(member: Member) -> list[Purse]:
    """What a member has and had, by workspace; two queries."""
    entries = CreditEntry.objects.select_related("due__booking").order_by("-created_at", "-id")
    accounts = CreditAccount.objects.filter(member=member).select_related("workspace")
    found = accounts.prefetch_related(Prefetch("entries", entries)).order_by("workspace__name")
    now = clock.now() if found else None
    return [_purse(account, now) for account in found if now is not None]


def _purse(account: CreditAccount, now: datetime) -> Purse:
    entries = list(account.entries.all())
    left = [grant for grant in credit_rules.grants(entries) if not grant.is_over(now)]
    return Purse(
        workspace=account.workspace,
        balance=Money(credit_rules.spendable_minor(left, now), account.currency),
        next_expiry_at=credit_rules.next_expiry(left),
        entries=entries[:_SHOWN],
    )


def offer_for(hold: Hold, member: Member | None) -> Offer | None:
    """What a signed-in member can pay of a hold with credit, their open page's included."""
    if member is None:
        return None
    due = Due.objects.filter(booking_id=hold.booking_id, change=hold.change_id).first()
    if due is None or not due.amount_minor:
        return None
    account = CreditAccount.objects.filter(
        workspace_id=hold.workspace_id, member=member, currency=due.currency
    ).first()
    if account is None:
        return None
    out = _out(due, account)
    usable = credit_rules.usable_minor(spendable(account) + out, due.amount_minor, due.currency)
    if not usable:
        return None
    rest = Money(due.amount_minor - usable, due.currency)
    return Offer(Money(usable, due.currency), rest, bool(out))


def _out(due: Due, account: CreditAccount) -> int:
    """Credit of the account that an open payment page of the due holds."""
    open_ones = Checkout.objects.filter(
        due=due,
        state__in=[CREATING, OPEN],
        close_requested_at=None,
        credit_entries__account=account,
        credit_entries__kind=Kind.SPEND,
    )
    return open_ones.values_list("credit_minor", flat=True).first() or 0
