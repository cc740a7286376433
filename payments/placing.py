"""Holding what a page's form asks for: the one way for every page that has such a button."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest

from bookings.errors import SlotTaken
from holds import gate
from holds.claims import Claimant, LineRequest
from members.idempotency import Answer
from members.models import Workspace
from members.pages import actor_of, address_of, member_of, refused, submitted
from members.visitors import visitor_of
from payments import holding


def placed_once(
    request: HttpRequest,
    operation: str,
    asked: dict[str, Any],
    *,
    workspace: Workspace,
    lines: Sequence[LineRequest],
    email: str = "",
    name: str = "",
) -> Answer:
    """Hold all lines for whoever sent this form, however often it arrives: 201 with the token.

    Their own holds in the way are replaced, open Checkouts closed first. Under the e-mail and name
    given, else the member's. Raises what `holding.placed` and the claim raise.
    """
    who = claimant_of(request, email=email, name=name)

    def work() -> Answer:
        own = holding.own_in_the_way(
            workspace=workspace, lines=lines, visitor=who.visitor, member=who.member
        )
        hold = holding.place(
            workspace=workspace, lines=lines, claimant=who, actor=actor_of(request), token=own
        )
        return Answer(201, {"token": hold.token})

    def refuse(error: SlotTaken) -> Answer:
        return refused(request, operation, asked, error)

    owner = f"member:{who.member.pk}" if who.member else f"visitor:{who.visitor}"
    wanted = gate.Asked(
        workspace.pk, lines, owner, who.visitor, who.member.pk if who.member else None
    )

    def attempt() -> Answer:
        return holding.placed_in_turn(
            lambda: submitted(request, operation, asked, work), asked=wanted, refuse=refuse
        )

    try:
        return attempt()
    except gate.SlotContended:  # a page asks again by itself, once
        return attempt()


def claimant_of(request: HttpRequest, *, email: str = "", name: str = "") -> Claimant:
    """Who asks: the member if signed in, their browser and address; the limits apply."""
    return Claimant(
        member=member_of(request),
        email=email,
        name=name,
        visitor=visitor_of(request),
        address=address_of(request),
        limited=True,
    )
