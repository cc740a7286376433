"""Credit that a page can offer to whoever is signed in."""

from typing import Any

from django import template

from members.pages import member_of
from payments.credit_selectors import Offer, offer_for

register = template.Library()

_WORDS = {
    "goodwill": "Credit given",
    "refund": "Refunded as credit",
    "spend": "Spent",
    "returned": "Given back",
    "expiry": "Expired",
    "reversal": "Reversed",
    "correction": "Corrected",
}


@register.filter
def credit_word(kind: str) -> str:
    """What an entry's kind is called towards a member."""
    return _WORDS.get(kind, kind.capitalize())


@register.simple_tag(takes_context=True)
def credit_offer(context: dict[str, Any]) -> Offer | None:
    """What the signed-in member can pay of this page's hold with their credit."""
    return offer_for(context["hold"], member_of(context["request"]))
