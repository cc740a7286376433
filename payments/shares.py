"""How an amount that is given back is split between card and credit: pure, in minor units."""

from dataclasses import dataclass

from payments.errors import NothingToRefund, RefundTooLarge

CARD = "card"
CREDIT = "credit"


@dataclass(frozen=True, slots=True)
class Left:
    """What of a due can still be given back: what was paid by card, and by credit."""

    by_card_minor: int
    by_credit_minor: int

    @property
    def total_minor(self) -> int:
        return self.by_card_minor + self.by_credit_minor


@dataclass(frozen=True, slots=True)
class Split:
    """`card_minor` of the card's money goes to the card, `credit_minor` of it becomes credit;
    `returned_minor` of the credit that was spent is the member's to spend again.
    """

    card_minor: int
    credit_minor: int
    returned_minor: int

    @property
    def total_minor(self) -> int:
        return self.card_minor + self.credit_minor + self.returned_minor

    @property
    def as_credit_minor(self) -> int:
        return self.credit_minor + self.returned_minor


def split(amount_minor: int, left: Left, *, to: str) -> Split:
    """The stated rule for mixed payments.

    To the card: the card's money goes back first, what is left over comes as the credit that was
    spent. To credit: the credit that was spent comes back first, then the card's money as credit.
    Raises NothingToRefund when nothing is left and RefundTooLarge (with `left_minor`) when more is
    asked for than is.
    """
    if not left.total_minor:
        raise NothingToRefund
    if amount_minor > left.total_minor:
        raise RefundTooLarge(left_minor=left.total_minor)
    if to == CREDIT:
        returned = min(amount_minor, left.by_credit_minor)
        return Split(0, amount_minor - returned, returned)
    card = min(amount_minor, left.by_card_minor)
    return Split(card, 0, amount_minor - card)


def across(amount_minor: int, lefts: list[int]) -> list[int]:
    """The amount taken from several payments, the first of them first."""
    taken = []
    for left in lefts:
        taken.append(min(amount_minor, left))
        amount_minor -= taken[-1]
    return taken
