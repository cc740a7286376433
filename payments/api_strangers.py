"""Strangers who claim and pay over HTTP, with a publishable key: at a visitor's terms."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from config.api import ApiView
from config.kernel.errors import InvalidInput
from holds.models import Hold
from members.models import ApiKey, Workspace
from members.pages import address_of
from members.publishable import PublishableKeyNotAllowed, check_address
from payments import holding
from payments.holding import Claimant, LineRequest


def claimant_of(view: ApiView, said: Claimant, *, ttl_seconds: int | None = None) -> Claimant:
    """Who asks: as said with a secret key, else a visitor with a visitor's limits and no more to
    see, for as long as the workspace holds things. What they say of themselves is nobody's word.

    Raises PublishableKeyNotAllowed (403).
    """
    if not view.is_public:
        return said
    if ttl_seconds is not None:
        raise PublishableKeyNotAllowed("How long it is held is the workspace's to say.")
    address = address_of(view.request._request)
    return replace(said, visitor=view.visitor, address=address, limited=True, vouched_for="")


def to_replace(
    workspace: Workspace, lines: Sequence[LineRequest], who: Claimant, token: str
) -> list[str]:
    """The tokens of holds that a claim replaces: the one named, and a visitor's own in the way."""
    named = [token] if token else []
    if not who.visitor:
        return named
    own = holding.own_in_the_way(workspace=workspace, lines=lines, visitor=who.visitor)
    return list(dict.fromkeys([*named, *own]))


def check_payer(view: ApiView, hold_id: UUID, payer: Claimant) -> None:
    """A change is for whom its booking is for. Limits by person are counted at the latest when
    paying: so a stranger has to have said by then who they are, as on the hold's page.

    Raises InvalidInput (400).
    """
    is_named = bool(payer.email or payer.name)
    if not (is_named or view.is_public):
        return
    hold = Hold.objects.select_related("booking").get(pk=hold_id)
    if hold.change_id and is_named:
        raise InvalidInput("A change is for whom its booking is for.", field="member")
    if view.is_public and not (payer.email or hold.booking.email or hold.booking.member_id):
        raise InvalidInput("Whom it is for, before it is paid.", field="member.email")


def check_way(key: ApiKey, success_url: str, cancel_url: str, *, credit_minor: int) -> None:
    """A stranger comes back to the key's own sites, and spends nobody's credit.

    Raises InvalidInput (400) and PublishableKeyNotAllowed (403).
    """
    check_address(key, success_url, "success_url")
    check_address(key, cancel_url, "cancel_url")
    if credit_minor:
        raise PublishableKeyNotAllowed("Credit is spent by who is signed in, or by a server.")
