"""What lines would cost whoever asks, without holding anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bookings import discounts
from bookings.checks import check_window
from bookings.discount_rules import Reduction, reduced
from bookings.errors import UnknownResource
from bookings.pricing import Quote, quote
from bookings.selectors import rules_for
from config.kernel.money import Money
from holds.claims import check_shape
from holds.pricing import groups_of_claimant
from holds.subjects import Claimant, LineRequest
from members.models import Workspace


@dataclass(frozen=True, slots=True)
class Quoted:
    """Each line's quote, the discount included, and what they come to."""

    quotes: list[Quote]
    total: Money
    reduction: Reduction | None = None


def quoted(
    *,
    workspace: Workspace,
    lines: Sequence[LineRequest],
    claimant: Claimant,
    now: datetime,
    discount_code: str = "",
) -> Quoted:
    """The price of lines that keep the resources' rules, whether or not they are free.

    Raises UnknownResource, WindowNotAllowed and OutsideOpeningHours (422) with the index of the
    line, and DiscountRefused (422).
    """
    check_shape(lines, None)
    rules = rules_for(workspace_id=workspace.pk, resource_ids={ln.resource_id for ln in lines})
    for index, line in enumerate(lines):
        if line.resource_id not in rules:
            raise UnknownResource(line=index)
        known = rules[line.resource_id]
        check_window(known, line.window, quantity=line.quantity, now=now, line=index)
    groups = groups_of_claimant(claimant, workspace.pk, rules.values())
    priced = [
        (ln.resource_id, quote(rules[ln.resource_id], ln.window, ln.quantity, groups=groups))
        for ln in lines
    ]
    found = discounts.find(workspace.pk, discount_code) if discount_code else None
    if found is None:
        return _summed([each for _, each in priced], workspace.currency)
    discounts.refuse_unless_fit(found, priced, at=now, currency=workspace.currency)
    member = claimant.member.pk if claimant.member else None
    discounts.refuse_unless_left(found, email=claimant.email, member_id=member)
    return _summed(reduced(priced, found.reduction), workspace.currency, found.reduction)


def _summed(quotes: list[Quote], currency: str, by: Reduction | None = None) -> Quoted:
    total = sum(each.total.amount_minor for each in quotes)
    return Quoted(quotes, Money(total, currency), by)
