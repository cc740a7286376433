"""Bookings that are paid with credit and a card together, and what goes wrong with them."""

from typing import Any

from bookings.models import Resource
from config.kernel.context import SYSTEM, Actor
from holds.claims import Claimant
from holds.models import Hold
from members.models import Member, Workspace
from payments import checkouts
from payments.credits import issue
from payments.models import Checkout
from tests.core.support import hold, line
from tests.factories import MemberFactory, make_room
from tests.money.support import CANCEL, SUCCESS, latest, pay, payment_of, settle
from tests.support.sandbox import SandboxClient

STAFF = Actor("staff", "1", "Sam")


def room_with(**columns: Any) -> Resource:
    """A room of a workspace with these settings."""
    room = make_room()
    Workspace.objects.filter(pk=room.workspace_id).update(**columns)
    return room


def ana_with(room: Resource, credit_minor: int) -> Member:
    """A member with so much credit."""
    ana = MemberFactory(email="ana@example.test")
    issue(
        workspace=room.workspace,
        member=ana,
        amount_minor=credit_minor,
        reason="Sorry",
        source="test",
        key="first",
        actor=STAFF,
    )
    return ana


def held_by(member: Member, room: Resource) -> Hold:
    return hold(line(room), claimant=Claimant(member=member, email=member.email))


def start_with(held: Hold, credit_minor: int) -> Checkout:
    """Open the page that asks the card for the rest."""
    checkouts.start(
        hold_id=held.pk,
        success_url=SUCCESS,
        cancel_url=CANCEL,
        actor=SYSTEM,
        credit_minor=credit_minor,
    )
    return latest(held)


def capture_fails(sandbox: SandboxClient, held: Hold, credit_minor: int = 0) -> None:
    """Confirmed, and then the bank withdrew its promise before the capture."""
    checkout = start_with(held, credit_minor)
    pay(sandbox, checkout)
    sandbox.fault("capture_fails", match={"operation": "payment_intents.capture"})
    assert settle(checkout) == "confirmed"
    assert payment_of(checkout).state == "capture_failed"
