"""What lines would cost whoever asks, without holding anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bookings import discounts
from bookings.add_ons import check_add_ons
from bookings.checks import check_window
from bookings.discount_rules import Reduction, reduced
from bookings.errors import UnknownResource
from bookings.pricing import Quote
from bookings.selectors import rules_for
from bookings.visibility import visible
from config.kernel.money import Money
from holds.claims import check_shape
from holds.parts import Part, parts_of
from holds.pricing import groups_of_claimant, priced_parts
from holds.subjects import Claimant, LineRequest
from members.models import Workspace


@dataclass(frozen=True, slots=True)
class Quoted:
    """Each part's quote (a line, or an add-on of one), the discount included, and their sum."""

    parts: Sequence[Part]
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
    parts = parts_of(lines)
    known = rules_for(workspace_id=workspace.pk, resource_ids={p.resource_id for p in parts})
    rules = visible(known, claimant.viewer)
    for part in parts:
        if part.resource_id not in rules:
            raise UnknownResource(line=part.line)
    for index, line in enumerate(lines):
        of_line = rules[line.resource_id]
        check_window(of_line, line.window, quantity=line.quantity, now=now, line=index)
        chosen = [(add_on.resource_id, add_on.quantity) for add_on in line.add_ons]
        check_add_ons(of_line, chosen, quantity=line.quantity, line=index)
    groups = groups_of_claimant(claimant, workspace.pk, rules.values())
    priced = priced_parts(parts, lines, rules, groups)
    found = discounts.find(workspace.pk, discount_code) if discount_code else None
    if found is None:
        return _summed(parts, [each for _, each in priced], workspace.currency)
    discounts.refuse_unless_fit(found, priced, at=now, currency=workspace.currency)
    member = claimant.member.pk if claimant.member else None
    discounts.refuse_unless_left(found, email=claimant.email, member_id=member)
    return _summed(parts, reduced(priced, found.reduction), workspace.currency, found.reduction)


def _summed(
    parts: Sequence[Part], quotes: list[Quote], currency: str, by: Reduction | None = None
) -> Quoted:
    total = sum(each.total.amount_minor for each in quotes)
    return Quoted(parts, quotes, Money(total, currency), by)
